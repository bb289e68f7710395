"""The database, for commands that work on it themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.errors import SettingsError
from core.settings import Settings

if TYPE_CHECKING:
    from db.database import Database


@contextmanager
def open_database(settings: Settings, table: str) -> Iterator[Database]:
    """The database of the settings, in which a command wants to find a table.

    Raises:
        SettingsError: it is not there; nothing was ever started there, or an older version was.
    """
    from db.database import Database, has_table

    database = Database(settings.resolved_database_url)
    try:
        if not has_table(database, table):
            where = database.url.render_as_string()
            raise SettingsError(
                f"{where} does not have this version's tables: run `lookbook up` or `lookbook db upgrade`"
            )
        yield database
    finally:
        database.close()
