"""Statements over many rows, for which SQLite and PostgreSQL need different SQL.

Each statement is built once, at import, like every statement that runs for each picture. SQLAlchemy then finds its
compiled form in a cache. Building a statement anew takes five times as long as running it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    CursorResult,
    Integer,
    SQLColumnExpression,
    String,
    Table,
    TableValuedAlias,
    Update,
    any_,
    bindparam,
    column,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

T = TypeVar("T", str, int)

_POSTGRESQL = "postgresql"
_INSERTS: dict[str, Any] = {_POSTGRESQL: postgresql.insert, "sqlite": sqlite.insert}


class InsertMissing:
    """Insert rows, except those whose unique key exists already (INSERT … ON CONFLICT DO NOTHING)."""

    def __init__(self, table: Table) -> None:
        self._statements = {
            name: insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
            for name, insert in _INSERTS.items()
        }

    def execute(self, session: Session, rows: Sequence[dict[str, Any]]) -> int:
        """Insert the rows and return how many were new.

        Pass the rows sorted by their key, because two transactions that insert the same rows in different orders can
        deadlock.
        """
        if not rows:
            return 0
        return session.connection().execute(self._statements[_dialect(session)], list(rows)).rowcount


class UpdateRows:
    """Update `columns` of the rows with the given primary keys, if the row fulfils `where`.

    PostgreSQL gets one statement for all rows, with an array for each column, because one statement a row would cost a
    round trip each. SQLite has no round trips, therefore it runs one prepared statement for each row.
    """

    def __init__(self, table: Table, columns: Sequence[str], *where: ColumnElement[bool]) -> None:
        keys = table.primary_key.columns.keys()
        self._names = (*keys, *columns)
        rows = _rows_of_arrays(table, self._names)
        same_keys = [table.c[key] == rows.c[key] for key in keys]
        self._all_rows = update(table).where(*same_keys, *where).values({name: rows.c[name] for name in columns})
        values: Any = {name: bindparam(_parameter(name)) for name in columns}
        same_key = [table.c[key] == bindparam(_parameter(key)) for key in keys]
        self._one_row = update(table).where(*same_key, *where).values(values)

    def execute(self, session: Session, rows: Sequence[dict[str, Any]]) -> int:
        """Update the rows and return how many were changed. Each row holds its key and all of `columns`."""
        if not rows:
            return 0
        if on_postgresql(session):
            return session.connection().execute(self._all_rows, _arrays(self._names, rows)).rowcount
        parameters = [{_parameter(name): row[name] for name in self._names} for row in rows]
        return session.connection().execute(self._one_row, parameters).rowcount


class AddToRows:
    """Insert rows, or add their `added` columns to the row of the same key (INSERT … ON CONFLICT DO UPDATE).

    PostgreSQL gets one statement with arrays, for the reason that `UpdateRows` gives.
    """

    def __init__(self, table: Table, added: Sequence[str]) -> None:
        self._columns = table.columns.keys()
        self._statements = {}
        for name, make in _INSERTS.items():
            insert: Any = make(table)
            if name == _POSTGRESQL:
                insert = insert.from_select(self._columns, select(_rows_of_arrays(table, self._columns)))
            sums = {column: table.c[column] + insert.excluded[column] for column in added}
            key = list(table.primary_key.columns)
            self._statements[name] = insert.on_conflict_do_update(index_elements=key, set_=sums)

    def execute(self, session: Session, rows: Sequence[dict[str, Any]]) -> None:
        """Insert or add the rows. Each row holds every column of the table, and no two rows have the same key."""
        if not rows:
            return
        parameters: Any = _arrays(self._columns, rows) if on_postgresql(session) else list(rows)
        session.connection().execute(self._statements[_dialect(session)], parameters)


def _parameter(column: str) -> str:
    """Return the name of a column's parameter. SQLAlchemy would read the column's own name as a value to set."""
    return f"p_{column}"


def _rows_of_arrays(table: Table, names: Sequence[str]) -> TableValuedAlias:
    """Return a table expression that makes rows of one array parameter for each column (PostgreSQL)."""
    arrays = [bindparam(_parameter(name), type_=ARRAY(table.c[name].type)) for name in names]
    columns = [column(name, table.c[name].type) for name in names]
    return func.unnest(*arrays).table_valued(*columns).render_derived("given")


def _arrays(names: Sequence[str], rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {_parameter(name): [row[name] for row in rows] for name in names}


def in_values(session: Session, column: SQLColumnExpression[T], values: Sequence[T]) -> ColumnElement[bool]:
    """Return the condition `column IN values`, with the same SQL for any number of values.

    A plain IN has different SQL for each number of values, and SQLite's driver keeps the last 128 statements in memory.
    With hundreds of values each, that takes a hundred megabytes.
    """
    if on_postgresql(session):
        kind = BigInteger if values and isinstance(values[0], int) else String
        return column == any_(bindparam(None, list(values), type_=ARRAY(kind)))
    return column.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))


def in_numbers(session: Session, column: SQLColumnExpression[int], numbers: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition `column IN numbers`, as `in_values` does for texts."""
    if on_postgresql(session):
        return column == any_(bindparam(None, list(numbers), type_=ARRAY(Integer)))
    return column.in_(select(func.json_each(json.dumps(list(numbers))).table_valued("value").c.value))


def count_changed(session: Session, statement: Update) -> int:
    """Run an update and return how many rows it changed. Objects of the session are not refreshed."""
    result = session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", result).rowcount


def on_postgresql(session: Session) -> bool:
    """Return whether the session's database is PostgreSQL. Otherwise it is SQLite."""
    return _dialect(session) == _POSTGRESQL


def _dialect(session: Session) -> str:
    return session.get_bind().dialect.name
