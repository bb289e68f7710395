"""Secrets that this installation generates for itself."""

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
    """Return the secret of that name. If there is none, `make` generates it and it is stored."""
    stored = select(Secret.value).where(Secret.name == name)
    with database.reading() as session:
        value = session.scalar(stored)
    if value is None:
        row = {"name": name, "value": make(), "created_at": utc_now()}
        with database.writing() as session:
            # Another process may have stored the secret meanwhile, and the stored one counts.
            _SECRETS.execute(session, [row])
            value = session.scalars(stored).one()
    return value
