"""What the views work with, made once per process and hung on the application."""

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
    """The database, the blobs, the broker, the models and the keys, and the settings that they were made from."""

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
        """Prepare to speak to everything; nothing needs to answer yet."""
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
    """The services of the application that handles the present request."""
    return cast(Services, current_app.extensions[EXTENSION])
