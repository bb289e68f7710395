"""The connections and settings that the views use. Each process creates them once, with its application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from api.identity.callers import Callers
from api.identity.sessions import Sessions
from broker.client import Broker
from core.settings import Settings
from db.blobs.opening import open_blob_store
from db.blobs.store import BlobStore
from db.database import Database
from db.model_versions import ModelVersionCache
from db.steps.chunks import ChunkPolicy

EXTENSION = "lookbook"


@dataclass(frozen=True, slots=True)
class Services:
    """The settings, and everything that was created from them."""

    settings: Settings
    database: Database
    blobs: BlobStore
    broker: Broker
    versions: ModelVersionCache
    callers: Callers
    sessions: Sessions
    policy: ChunkPolicy

    @classmethod
    def connect(cls, settings: Settings) -> Services:
        """Return the services. None of them needs to answer yet."""
        database = Database(settings.resolved_database_url, pool_size=settings.api_threads)
        return cls(
            settings=settings,
            database=database,
            blobs=open_blob_store(settings),
            broker=Broker.connect(settings),
            versions=ModelVersionCache(database),
            callers=Callers(database, settings),
            sessions=Sessions(database),
            policy=ChunkPolicy.of(settings),
        )


def current_services() -> Services:
    """Return the services of the application that handles the current request."""
    return cast(Services, current_app.extensions[EXTENSION])
