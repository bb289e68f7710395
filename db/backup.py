"""Copy a SQLite database while it is in use."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from db.database import Database


def copy_sqlite(database: Database, target: Path) -> None:
    """Write a consistent copy of a SQLite database to `target`. Writers go on meanwhile.

    Raises:
        sqlite3.Error: The database cannot be read, or the file cannot be written.
    """
    assert database.url.database, "a SQLite database in memory has no copy"
    unfinished = target.with_name(f".unfinished-{target.name}")
    source = f"file:{Path(database.url.database).absolute()}?mode=ro"
    with closing(sqlite3.connect(source, uri=True)) as origin, closing(sqlite3.connect(unfinished)) as copy:
        # All pages in one step: SQLite would begin again after each write of another process in between.
        origin.backup(copy)
        # A copy of a database in WAL mode would need two more files beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
    unfinished.rename(target)
