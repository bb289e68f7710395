"""Statements over many rows, which both databases know and each wants put differently.

They are made once, as every statement on the way of a picture is: SQLAlchemy then has what it compiles them to at hand.
One that is built anew takes it five times as long as running it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    SQLColumnExpression,
    String,
    Table,
    TableValuedAlias,
    any_,
    bindparam,
    column,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

_POSTGRESQL = "postgresql"
_INSERTS: dict[str, Any] = {_POSTGRESQL: postgresql.insert, "sqlite": sqlite.insert}


class InsertMissing:
    """INSERT … ON CONFLICT DO NOTHING: insert rows, passing over those whose unique key is there already."""

    def __init__(self, table: Table) -> None:
        self._statements = {
            name: insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
            for name, insert in _INSERTS.items()
        }

    def execute(self, session: Session, rows: Sequence[dict[str, Any]]) -> int:
        """How many were inserted.

        Rows should come sorted by their key: two transactions that insert the same rows in different orders could wait
        for each other.
        """
        if not rows:
            return 0
        return session.connection().execute(self._statements[_dialect(session)], list(rows)).rowcount


class UpdateRows:
    """Set `columns` in the table's row of the same primary key (one column), where `where` holds.

    PostgreSQL gets one statement that joins the rows' arrays, since it would run one for each; SQLite, which is no
    round trip away, prepares one and steps through them.
    """

    def __init__(self, table: Table, columns: Sequence[str], *where: ColumnElement[bool]) -> None:
        (self._key,) = table.primary_key.columns.keys()
        self._columns = columns
        key = table.c[self._key]
        given = _given(table, (self._key, *columns))
        self._at_once = (
            update(table).where(key == given.c[self._key], *where).values({name: given.c[name] for name in columns})
        )
        values: Any = {name: bindparam(_parameter(name)) for name in columns}
        self._one_by_one = update(table).where(key == bindparam(_parameter(self._key)), *where).values(values)

    def execute(self, session: Session, rows: Sequence[dict[str, Any]]) -> int:
        """How many were changed. Each row has its key and the columns."""
        if not rows:
            return 0
        names = (self._key, *self._columns)
        if on_postgresql(session):
            return session.connection().execute(self._at_once, _arrays(names, rows)).rowcount
        parameters = [{_parameter(name): row[name] for name in names} for row in rows]
        return session.connection().execute(self._one_by_one, parameters).rowcount


class AddToRows:
    """INSERT … ON CONFLICT DO UPDATE: insert rows, or add their `adding` columns to the row of the same key.

    One statement on both databases, as with `UpdateRows`.
    """

    def __init__(self, table: Table, adding: Sequence[str]) -> None:
        self._columns = table.columns.keys()
        self._statements = {}
        for name, make in _INSERTS.items():
            insert: Any = make(table)
            if name == _POSTGRESQL:
                insert = insert.from_select(self._columns, select(_given(table, self._columns)))
            sums = {column: table.c[column] + insert.excluded[column] for column in adding}
            key = list(table.primary_key.columns)
            self._statements[name] = insert.on_conflict_do_update(index_elements=key, set_=sums)

    def execute(self, session: Session, rows: Sequence[dict[str, Any]]) -> None:
        """Each row has every column, and a key of its own."""
        if not rows:
            return
        parameters: Any = _arrays(self._columns, rows) if on_postgresql(session) else list(rows)
        session.connection().execute(self._statements[_dialect(session)], parameters)


def _parameter(column: str) -> str:
    """What a column's value is called in a statement: its own name would mean a value to set."""
    return f"p_{column}"


def _given(table: Table, names: Sequence[str]) -> TableValuedAlias:
    """Rows that come as an array for each of a table's columns (PostgreSQL)."""
    arrays = [bindparam(_parameter(name), type_=ARRAY(table.c[name].type)) for name in names]
    columns = [column(name, table.c[name].type) for name in names]
    return func.unnest(*arrays).table_valued(*columns).render_derived("given")


def _arrays(names: Sequence[str], rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {_parameter(name): [row[name] for row in rows] for name in names}


def in_values(session: Session, of: SQLColumnExpression[str], values: Sequence[str]) -> ColumnElement[bool]:
    """`of IN values`, as one statement however many they are.

    For each other number of values an IN is another statement, and SQLite's driver keeps the last 128 of them: for
    hundreds of values that is a hundred megabytes.
    """
    if on_postgresql(session):
        return of == any_(bindparam(None, list(values), type_=ARRAY(String)))
    return of.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))


def on_postgresql(session: Session) -> bool:
    """Whether the session speaks to PostgreSQL (else it is SQLite)."""
    return _dialect(session) == _POSTGRESQL


def _dialect(session: Session) -> str:
    return session.get_bind().dialect.name
