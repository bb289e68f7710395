"""One row, thousands of times a second: a statement that is compiled once and handed to the driver as it is.

SQLAlchemy's way through takes five times as long as such a statement itself, and then most of an unchanged poll's time.
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
    """A statement as one kind of database wants it."""

    sql: str
    fixed: dict[str, Any]
    """Parameters that the statement itself brings along."""
    order: list[str] | None
    """Of the parameters, where the driver knows them by their place."""
    converters: Sequence[tuple[int, Convert]] | None = None
    """Columns that the driver does not give as Python should have them: known with its first answer."""


class LookUp:
    """A statement for one row. Its parameters are texts and numbers, which drivers take as they are."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def first(self, database: Database, **parameters: str | int) -> tuple[Any, ...] | None:
        """The first row, in a transaction of its own.

        Raises:
            sqlalchemy.exc.DBAPIError: the database does not answer.
        """
        dialect = database.engine.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self._statement, dialect)
        given: Any = {**compiled.fixed, **parameters}
        if compiled.order is not None:
            given = [given[name] for name in compiled.order]
        try:
            # Describing the columns takes psycopg half as long as fetching them: once is enough.
            row, columns = database.fetch_one(compiled.sql, given, describe=compiled.converters is None)
        except database.driver_error:
            # A connection from before the database was restarted, or one that is away: SQLAlchemy knows what to do.
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

    def _converters(self, dialect: Dialect, described: Sequence[Any]) -> list[tuple[int, Convert]]:
        found: list[tuple[int, Convert]] = []
        for index, (column, description) in enumerate(zip(self._statement.selected_columns, described, strict=True)):
            convert = column.type.dialect_impl(dialect).result_processor(dialect, description[1])
            if convert is not None:
                found.append((index, convert))
        return found


def _compile(statement: Select[*tuple[Any, ...]], dialect: Dialect) -> _Compiled:
    compiled: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    order = list(compiled.positiontup) if compiled.positional else None
    return _Compiled(str(compiled), dict(compiled.params), order)
