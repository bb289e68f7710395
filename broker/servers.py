"""The check that a process makes of its servers when it starts."""

from __future__ import annotations

from contextlib import closing, suppress

from broker.client import Broker
from core.settings import Settings
from db.database import TRANSIENT_ERRORS, Database


def check_servers(settings: Settings) -> None:
    """Refuse a PostgreSQL or a Redis that is older than the versions in core/versions.py.

    A server that does not answer is not refused, because it may still be starting.

    Raises:
        UnsupportedVersion: a server is too old. The message says which setting names it.
    """
    with closing(Database(settings.resolved_database_url)) as database:
        if not database.is_sqlite:
            with suppress(*TRANSIENT_ERRORS):
                database.ping()
    if settings.redis_url:
        with closing(Broker.connect(settings)) as broker:
            broker.check_version()
