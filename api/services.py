"""The connections and settings that the views use. Each process creates them once, with its application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from api.identity.callers import Callers
from api.identity.picture_urls import PictureUrls
from api.identity.sessions import Sessions
from api.readiness import Readiness
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
    picture_urls: PictureUrls
    policy: ChunkPolicy
    readiness: Readiness

    @classmethod
    def connect(cls, settings: Settings) -> Services:
        """Return the services. None of them needs to answer yet."""
        database = Database(settings.resolved_database_url, pool_size=settings.api_threads)
        blobs, broker = open_blob_store(settings), Broker.connect(settings)
        return cls(
            settings=settings,
            database=database,
            blobs=blobs,
            broker=broker,
            versions=ModelVersionCache(database),
            callers=Callers(database, settings),
            sessions=Sessions(database),
            picture_urls=PictureUrls(database),
            policy=ChunkPolicy.of(settings),
            readiness=Readiness(database, blobs, broker, settings.home),
        )


def current_services() -> Services:
    """Return the services of the application that handles the current request."""
    return cast(Services, current_app.extensions[EXTENSION])
