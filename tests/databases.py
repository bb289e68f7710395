"""SQLite databases with this version's tables, which tests need by the hundred."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from db.database import Database
from db.migrate import upgrade


def make_sqlite(path: Path) -> None:
    """Write an empty database with this version's tables to a file. The migrations run once in each process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        database = Database(f"sqlite:///{path}")
        upgrade(database)
        database.close()
        return path.read_bytes()
