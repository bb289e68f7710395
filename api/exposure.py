"""Refuses to serve other machines without keys."""

from __future__ import annotations

from core.errors import SettingsError
from core.settings import Settings
from db.access import keys
from db.database import Database, has_table


def check_exposure(settings: Settings) -> None:
    """Refuse to serve other machines without keys.

    Raises:
        SettingsError: the host is not loopback, no key was ever created, and LOOKBOOK_NO_AUTH is not set.
    """
    if settings.on_loopback or settings.no_auth or _keys_exist(settings):
        return
    raise SettingsError(
        f"LOOKBOOK_HOST={settings.host} is not a loopback address, and no API key exists yet. Create one with "
        "`lookbook db upgrade` and `lookbook keys create NAME --scope admin`, listen on 127.0.0.1, or set "
        "LOOKBOOK_NO_AUTH=true (or --no-auth) to serve everyone who can reach this host."
    )


def _keys_exist(settings: Settings) -> bool:
    database = Database(settings.resolved_database_url)
    try:
        if not has_table(database, "api_keys"):
            return False
        with database.reading() as session:
            return keys.any_key_exists(session)
    finally:
        database.close()
