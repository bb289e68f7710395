"""Statements over many rows, which both databases know and each wants put differently."""

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
    any_,
    bindparam,
    column,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert_missing(session: Session, table: Table, rows: Sequence[dict[str, Any]]) -> int:
    """INSERT … ON CONFLICT DO NOTHING: insert `rows`, passing over those whose unique key is there already.

    How many were inserted.

    Rows should come sorted by that key: two transactions that insert the same rows in different orders could wait
    for each other.
    """
    if not rows:
        return 0
    insert = postgresql.insert if on_postgresql(session) else sqlite.insert
    statement = insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return session.connection().execute(statement, list(rows)).rowcount


def update_rows(session: Session, table: Table, rows: Sequence[dict[str, Any]], *where: ColumnElement[bool]) -> int:
    """Set each row's values in the table's row of the same primary key (one column), where `where` holds; how many.

    All rows have the same columns. PostgreSQL gets one statement that joins their arrays, since it would run one for
    each; SQLite, which is no round trip away, prepares one and steps through them.
    """
    if not rows:
        return 0
    (key,) = table.primary_key.columns
    names = [name for name in rows[0] if name != key.name]
    if on_postgresql(session):
        every = (key.name, *names)
        arrays = [bindparam(f"p_{n}", [row[n] for row in rows], type_=ARRAY(table.c[n].type)) for n in every]
        given = func.unnest(*arrays).table_valued(*(column(n, table.c[n].type) for n in every)).render_derived("given")
        taken = {name: given.c[name] for name in names}
        return (
            session.connection().execute(update(table).where(key == given.c[key.name], *where).values(taken)).rowcount
        )
    statement = update(table).where(key == bindparam("p_key"), *where).values({n: bindparam(f"p_{n}") for n in names})
    parameters = [{"p_key": row[key.name], **{f"p_{n}": row[n] for n in names}} for row in rows]
    return session.connection().execute(statement, parameters).rowcount


def add_to_rows(session: Session, table: Table, rows: Sequence[dict[str, Any]], adding: Sequence[str]) -> None:
    """INSERT … ON CONFLICT DO UPDATE: insert `rows`, or add their `adding` columns to the row of the same key.

    All rows have the same columns and keys of their own. One statement on both databases, as in `update_rows`.
    """
    if not rows:
        return
    key = list(table.primary_key.columns)
    insert: Any
    parameters: Any = rows
    if on_postgresql(session):
        names = list(rows[0])
        arrays = [bindparam(f"p_{n}", [row[n] for row in rows], type_=ARRAY(table.c[n].type)) for n in names]
        given = func.unnest(*arrays).table_valued(*(column(n, table.c[n].type) for n in names)).render_derived("given")
        insert, parameters = postgresql.insert(table).from_select(names, select(given)), None
    else:
        insert = sqlite.insert(table)
    sums = {name: table.c[name] + insert.excluded[name] for name in adding}
    session.connection().execute(insert.on_conflict_do_update(index_elements=key, set_=sums), parameters)


def among(session: Session, of: SQLColumnExpression[str], values: Sequence[str]) -> ColumnElement[bool]:
    """`of IN values`, as one statement however many they are.

    For each other number of values an IN is another statement, and SQLite's driver keeps the last 128 of them: for
    hundreds of values that is a hundred megabytes.
    """
    if on_postgresql(session):
        return of == any_(bindparam(None, list(values), type_=ARRAY(String)))
    return of.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))


def on_postgresql(session: Session) -> bool:
    """Whether the session speaks to PostgreSQL (else it is SQLite)."""
    return session.get_bind().dialect.name == "postgresql"
