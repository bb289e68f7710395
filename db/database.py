"""Connections to the database, with the same calls for SQLite (in WAL mode) and PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from core.errors import DatabaseUnusable, SettingsError
from core.versions import POSTGRESQL

if TYPE_CHECKING:
    import psycopg

SQLITE_BUSY_SECONDS = 30.0
"""Longest time that a SQLite writer waits for another process's write. Writes are short, so it rarely waits long."""

TRANSIENT_ERRORS = (OperationalError, InterfaceError)
"""Errors of a database that is down, full or in a deadlock. The same call may succeed a moment later."""

_WRITING = "lookbook_writing"
_POSTGRESQL_DISK_FULL = "53100"
"""The error code `disk_full` (appendix A of PostgreSQL's manual)."""


class Database:
    """The connections to one database, and the two kinds of transaction that the project uses: reading and writing."""

    def __init__(self, url: str, *, pool_size: int = 20, durable: bool = True) -> None:
        """Prepare connections to `url`. Nothing is connected yet.

        With `durable`, a commit to SQLite is on the disk when it returns. Without it, a power failure can undo the last
        commits (the end of a process cannot). Workers accept that, because their work is simply done again. In return
        they do not hold the write lock while the disk syncs.

        Raises:
            SettingsError: `url` is not one of SQLite or PostgreSQL.
        """
        self.url = _parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._make_parent_folder()
        # LIFO, so that ordinary load uses few connections and only these fill their caches.
        self.engine = create_engine(
            self.url, pool_size=pool_size, max_overflow=pool_size, pool_use_lifo=True, **self._options()
        )
        if self.is_sqlite:
            event.listen(self.engine, "connect", partial(_prepare_sqlite, "FULL" if durable else "NORMAL"))
            event.listen(self.engine, "begin", _begin_sqlite)
        self._autocommit_engine = self.engine if self.is_sqlite else self._create_autocommit_engine()
        if not self.is_sqlite:
            for engine in (self.engine, self._autocommit_engine):
                event.listen(engine, "connect", _check_postgresql)
        self._write_lock: AbstractContextManager[object] = threading.Lock() if self.is_sqlite else nullcontext()
        self._readers = sessionmaker(self.engine, expire_on_commit=False)
        self._writers = sessionmaker(self.engine.execution_options(**{_WRITING: True}), expire_on_commit=False)

    def _create_autocommit_engine(self) -> Engine:
        """Create the PostgreSQL engine for single statements. It sends no BEGIN, COMMIT or ROLLBACK around them."""
        return create_engine(self.url, isolation_level="AUTOCOMMIT", pool_use_lifo=True, pool_reset_on_return=None)

    def _make_parent_folder(self) -> None:
        if self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)

    def _options(self) -> dict[str, Any]:
        if self.is_sqlite:
            return {"connect_args": {"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False}}
        # A restart of PostgreSQL leaves dead connections in the pool, therefore each one is tested before use.
        return {"pool_pre_ping": True}

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that only reads."""
        with self._readers() as session:
            yield session

    def fetch_one(self, sql: str, parameters: Any, *, describe: bool) -> tuple[tuple[Any, ...] | None, Sequence[Any]]:
        """Run a statement by the driver itself, in a transaction of its own (see db/look_up.py).

        Return its first row as the driver gives it and, with `describe`, the driver's description of the columns.

        Raises:
            driver_error: The statement failed. Its connection is not used again.
        """
        connection = self._autocommit_engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(sql, parameters)
            row: tuple[Any, ...] | None = cursor.fetchone()
            columns: Sequence[Any] = cursor.description if describe else ()
            cursor.close()
        except BaseException:
            connection.invalidate()
            raise
        connection.close()
        return row, columns

    @property
    def driver_error(self) -> type[Exception]:
        """Return the base class of the driver's own errors."""
        error: type[Exception] = self.engine.dialect.loaded_dbapi.Error
        return error

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a session that writes. It commits at the end of the block and rolls back on an exception.

        On SQLite the transaction takes the write lock at its start (BEGIN IMMEDIATE), so that two writers queue instead
        of one failing half-way. The writers of one process queue for a lock in Python, because the next one then starts
        at once. SQLite's own waiting polls, with pauses of up to 100 ms.
        """
        with self._write_lock, self._writers.begin() as session:
            yield session

    def ping(self) -> None:
        """Make one round trip to the database.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: The database does not answer.
        """
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()
        self._autocommit_engine.dispose()


def _parse_url(text: str) -> URL:
    try:
        url = make_url(text)
        if url.drivername in {"sqlite", "postgresql+psycopg"}:
            return url
        got = f"one that begins with {url.drivername}://"
    except ArgumentError:
        got = "another text"
    # The URL itself is not shown, because it may hold a password.
    raise SettingsError(f"LOOKBOOK_DATABASE_URL: expected sqlite:///… or postgresql+psycopg://…, got {got}")


def has_table(database: Database, name: str) -> bool:
    """Return whether the database has a table. If the file of a SQLite database is missing, it is not created."""
    if database.is_sqlite and database.url.database and not Path(database.url.database).exists():
        return False
    return inspect(database.engine).has_table(name)


def is_full(error: DBAPIError) -> bool:
    """Return whether a write failed because the database's disk, or its share of the disk, is full."""
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return getattr(original, "sqlstate", None) == _POSTGRESQL_DISK_FULL


def _prepare_sqlite(synchronous: str, connection: sqlite3.Connection, _record: object) -> None:
    # The driver would begin transactions itself, and later than our BEGIN. This switches its transaction control off.
    connection.isolation_level = None
    try:
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()
    except sqlite3.OperationalError:
        # It is locked, read-only or out of reach, and not damaged.
        raise
    except sqlite3.DatabaseError as error:
        raise DatabaseUnusable(f"the SQLite database cannot be used: {error}; restore a backup of it") from error


def _check_postgresql(connection: psycopg.Connection[Any], _record: object) -> None:
    # libpq knows the server's version without a query, as one number: 150004 means 15.4.
    major, minor = divmod(connection.info.server_version, 10_000)
    POSTGRESQL.check((major, minor), "LOOKBOOK_DATABASE_URL")


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
