"""What this installation makes for itself once, and nobody else may know."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from sqlalchemy import Table, select

from core.clock import utc_now
from db.bulk import InsertMissing
from db.database import Database
from db.tables import Secret

_SECRETS = InsertMissing(cast(Table, Secret.__table__))


def get_or_create_secret(database: Database, name: str, make: Callable[[], str]) -> str:
    """The secret of that name, which `make` makes when it is first asked for."""
    known = select(Secret.value).where(Secret.name == name)
    with database.reading() as session:
        value = session.scalar(known)
    if value is None:
        row = {"name": name, "value": make(), "created_at": utc_now()}
        with database.writing() as session:
            # Somebody else may have been faster, and theirs is the one that counts.
            _SECRETS.execute(session, [row])
            value = session.scalars(known).one()
    return value
