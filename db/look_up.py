"""Statements for one row that run thousands of times a second: compiled once, then given to the driver directly.

A client polls its job until the job ends, and most polls find it unchanged. With a plain session, SQLAlchemy's own work
is half of such a poll. This was measured in microseconds of CPU time: the best of five rounds of 1,000 calls of the
WSGI application without an HTTP server, and the best of seven rounds of 2,000 calls of the statement (Python 3.11,
SQLAlchemy 2.1, PostgreSQL by a Unix socket):

| | `LookUp` | Core, AUTOCOMMIT engine | Core, session |
| --- | --- | --- | --- |
| SQLite, statement | 10 | 59 | 117 |
| SQLite, whole poll answered 304 | 144 | 205 | 274 |
| PostgreSQL, statement | 25 | 81 | 228 |
| PostgreSQL, whole poll answered 304 | 179 | 226 | 382 |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Select

from db.database import Database

Convert = Callable[[Any], Any]


@dataclass(slots=True)
class _Compiled:
    """A statement in the SQL of one kind of database."""

    sql: str
    fixed_parameters: dict[str, Any]
    """Parameters whose values are part of the statement."""
    parameter_order: list[str] | None
    """The names of the parameters in order, if the driver takes them by position. None if it takes them by name."""
    converters: Sequence[tuple[int, Convert]] | None = None
    """Index and conversion of each column whose value the driver returns in another type than Python needs. None until
    the driver has described the columns, with its first answer."""


class LookUp:
    """A statement that reads one row. Its parameters are texts and numbers, because drivers take these as they are."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def first(self, database: Database, **parameters: str | int) -> tuple[Any, ...] | None:
        """Return the first row, read in a transaction of its own.

        Raises:
            sqlalchemy.exc.DBAPIError: The database does not answer.
        """
        dialect = database.engine.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self._statement, dialect)
        arguments: Any = {**compiled.fixed_parameters, **parameters}
        if compiled.parameter_order is not None:
            arguments = [arguments[name] for name in compiled.parameter_order]
        try:
            # The columns are described only once, because that takes psycopg half as long as fetching the row.
            row, columns = database.fetch_one(compiled.sql, arguments, describe=compiled.converters is None)
        except database.driver_error:
            # The database is down, or was restarted after this connection was opened. SQLAlchemy handles both.
            with database.reading() as session:
                found = session.execute(self._statement, parameters).first()
            return None if found is None else tuple(found)
        if row is None:
            return None
        if compiled.converters is None:
            compiled.converters = self._converters(dialect, columns)
        values = list(row)
        for index, convert in compiled.converters:
            values[index] = convert(values[index])
        return tuple(values)

    def _converters(self, dialect: Dialect, descriptions: Sequence[Any]) -> list[tuple[int, Convert]]:
        converters: list[tuple[int, Convert]] = []
        for index, (column, description) in enumerate(zip(self._statement.selected_columns, descriptions, strict=True)):
            convert = column.type.dialect_impl(dialect).result_processor(dialect, description[1])
            if convert is not None:
                converters.append((index, convert))
        return converters


def _compile(statement: Select[*tuple[Any, ...]], dialect: Dialect) -> _Compiled:
    compiled: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    order = list(compiled.positiontup) if compiled.positional else None
    return _Compiled(str(compiled), dict(compiled.params), order)
