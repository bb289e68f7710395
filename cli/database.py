"""Access to the database, for the commands that do not use the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.errors import SettingsError
from core.private_files import create_only_private_files
from core.settings import Settings

if TYPE_CHECKING:
    from db.database import Database


@contextmanager
def open_database(settings: Settings, table: str) -> Iterator[Database]:
    """Open the database of the settings, and check that it has the table that the command needs.

    Raises:
        SettingsError: the table is missing, because no version, or only an older one, was started on this database.
    """
    from db.database import Database, has_table

    # SQLite creates files beside the database.
    create_only_private_files()
    database = Database(settings.resolved_database_url)
    try:
        if not has_table(database, table):
            where = database.url.render_as_string()
            raise SettingsError(
                f"{where} does not have the tables of this version: run `lookbook up` or `lookbook db upgrade`"
            )
        yield database
    finally:
        database.close()
