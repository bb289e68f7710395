"""Connections to the database: SQLite in WAL mode or PostgreSQL, the same calls for both."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from core.versions import POSTGRESQL

if TYPE_CHECKING:
    import psycopg

SQLITE_BUSY_SECONDS = 30.0
"""How long a writer waits for the one before it: a bound, not a habit, for write transactions are short."""

TRANSIENT_ERRORS = (OperationalError, InterfaceError)
"""What a database that is away, full or in a deadlock raises: the same may succeed a moment later."""

_WRITING = "lookbook_writing"
_POSTGRESQL_DISK_FULL = "53100"
"""PostgreSQL, appendix A: `disk_full`."""


class Database:
    """One engine, and the two kinds of transaction that the project uses: reading and writing."""

    def __init__(self, url: str, *, pool_size: int = 20, durable: bool = True) -> None:
        """`durable`: a commit is on the disk when it returns.

        Without it the power may take the last commits of a SQLite database with it (a process that dies never does):
        enough for workers, whose work is then done once more, and they do not hold the write lock while a disk syncs.
        """
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._make_parent_folder()
        # Last in, first out: a few connections serve ordinary load, and only their caches fill.
        self.engine = create_engine(
            self.url, pool_size=pool_size, max_overflow=pool_size, pool_use_lifo=True, **self._options()
        )
        if self.is_sqlite:
            event.listen(self.engine, "connect", partial(_prepare_sqlite, "FULL" if durable else "NORMAL"))
            event.listen(self.engine, "begin", _begin_sqlite)
        self._single = self.engine if self.is_sqlite else self._make_single()
        if not self.is_sqlite:
            for engine in (self.engine, self._single):
                event.listen(engine, "connect", _check_postgresql)
        self._turn: AbstractContextManager[object] = threading.Lock() if self.is_sqlite else nullcontext()
        self._readers = sessionmaker(self.engine, expire_on_commit=False)
        self._writers = sessionmaker(self.engine.execution_options(**{_WRITING: True}), expire_on_commit=False)

    def _make_single(self) -> Engine:
        """For single statements on PostgreSQL: each a transaction of its own, of which nothing else is said to it."""
        return create_engine(self.url, isolation_level="AUTOCOMMIT", pool_use_lifo=True, pool_reset_on_return=None)

    def _make_parent_folder(self) -> None:
        if self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)

    def _options(self) -> dict[str, Any]:
        if self.is_sqlite:
            return {"connect_args": {"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False}}
        # A PostgreSQL that was restarted leaves dead connections in the pool: ask before use.
        return {"pool_pre_ping": True}

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads."""
        with self._readers() as session:
            yield session

    def fetch_one(self, sql: str, parameters: Any, *, describe: bool) -> tuple[tuple[Any, ...] | None, Sequence[Any]]:
        """The first row of a statement in the driver's own words, and if asked to what that says of its columns.

        It is a transaction of its own (see db/look_up.py).

        Raises:
            driver_error: it could not be executed; its connection is not used again.
        """
        connection = self._single.raw_connection()
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
        """What the driver's own errors have in common."""
        error: type[Exception] = self.engine.dialect.loaded_dbapi.Error
        return error

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that writes; commits on leaving, rolls back on an exception.

        On SQLite the transaction takes the write lock at its start (BEGIN IMMEDIATE), so that two writers
        queue instead of one of them failing half-way. Those of one process wait for each other in Python, where the
        next one begins at once: SQLite's own waiting is sleeping and looking again, for up to 100 ms at a time.
        """
        with self._turn, self._writers.begin() as session:
            yield session

    def ping(self) -> None:
        """One round trip.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()
        self._single.dispose()


def has_table(database: Database, name: str) -> bool:
    """Whether the database has a table, and so at least the version that brought it. A file is not made for asking."""
    if database.is_sqlite and database.url.database and not Path(database.url.database).exists():
        return False
    return inspect(database.engine).has_table(name)


def is_full(error: DBAPIError) -> bool:
    """Whether the database could not write because its disk, or what it may use of it, is full."""
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return getattr(original, "sqlstate", None) == _POSTGRESQL_DISK_FULL


def _prepare_sqlite(synchronous: str, connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction control begins late and would hide our BEGIN; it is switched off.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _check_postgresql(connection: psycopg.Connection[Any], _record: object) -> None:
    # libpq tells the version as one number, 150004 for 15.4, without a query.
    major, minor = divmod(connection.info.server_version, 10_000)
    POSTGRESQL.check((major, minor), "LOOKBOOK_DATABASE_URL")


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
