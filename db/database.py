"""Connections to the database, with the same calls for SQLite (in WAL mode) and PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
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

_KEEPALIVE_SECONDS, _KEEPALIVES = 3, 3
"""Seconds between two probes of an idle connection, and how many may be lost before it counts as dead."""

_WRITING = "lookbook_writing"
_AFTER_COMMIT = "lookbook_after_commit"
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
                event.listen(engine, "connect", _notice_dead_clients)
        self._write_lock: AbstractContextManager[object] = threading.Lock() if self.is_sqlite else nullcontext()
        self._readers = sessionmaker(self.engine, expire_on_commit=False)
        self._writers = sessionmaker(self.engine.execution_options(**{_WRITING: True}), expire_on_commit=False)

    def _create_autocommit_engine(self) -> Engine:
        """Create the PostgreSQL engine for single statements. It sends no BEGIN, COMMIT or ROLLBACK around them."""
        return create_engine(
            self.url,
            isolation_level="AUTOCOMMIT",
            pool_use_lifo=True,
            pool_reset_on_return=None,
            connect_args=_notice_dead_server(self.url),
        )

    def _make_parent_folder(self) -> None:
        if self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)

    def _options(self) -> dict[str, Any]:
        if self.is_sqlite:
            return {"connect_args": {"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False}}
        # A restart of PostgreSQL leaves dead connections in the pool, therefore each one is tested before use.
        return {"pool_pre_ping": True, "connect_args": _notice_dead_server(self.url)}

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
        for call in session.info.pop(_AFTER_COMMIT, ()):
            call()

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


def after_commit(session: Session, call: Callable[[], object]) -> None:
    """Call `call` when the transaction of `Database.writing` is committed. It must not raise."""
    session.info.setdefault(_AFTER_COMMIT, []).append(call)


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


def _notice_dead_server(url: URL) -> dict[str, int]:
    """Return the options of libpq with which a client notices within seconds that the server is cut off.

    Options that the URL has are left out.
    """
    options = {
        "connect_timeout": 5,
        "keepalives_idle": _KEEPALIVE_SECONDS,
        "keepalives_interval": _KEEPALIVE_SECONDS,
        "keepalives_count": _KEEPALIVES,
        "tcp_user_timeout": _KEEPALIVE_SECONDS * (_KEEPALIVES + 1) * 1000,
    }
    return {name: value for name, value in options.items() if name not in url.query}


def _notice_dead_clients(connection: psycopg.Connection[Any], _record: object) -> None:
    """Have the server notice within seconds that this client is cut off.

    A host that is cut off in a transaction holds the locks of its rows until the server notices, and all others wait
    for them. With the defaults of Linux, this takes two hours.
    """
    settings = {
        "tcp_keepalives_idle": _KEEPALIVE_SECONDS,
        "tcp_keepalives_interval": _KEEPALIVE_SECONDS,
        "tcp_keepalives_count": _KEEPALIVES,
        "tcp_user_timeout": _KEEPALIVE_SECONDS * (_KEEPALIVES + 1) * 1000,
        # A query that waits for a lock does not read from its connection. It has to look whether the client is there.
        "client_connection_check_interval": _KEEPALIVE_SECONDS * 1000,
    }
    autocommit = connection.autocommit
    connection.autocommit = True
    connection.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()).encode())
    connection.autocommit = autocommit


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
