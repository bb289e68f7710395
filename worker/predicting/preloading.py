"""Keeps the models loaded that aliases point at: the one in production, and the one that is about to be."""

from __future__ import annotations

import threading

import structlog
from sqlalchemy.exc import DBAPIError

from broker.client import HEARTBEAT_SECONDS
from core.errors import LookbookError
from core.types import ModelRef
from db import model_versions
from db.database import Database
from worker.predicting.models import ModelCache

log = structlog.get_logger(__name__)


class ModelPreloader:
    """Looks at the aliases as often as the worker's heart beats, so that a promotion finds its model warm."""

    def __init__(self, database: Database, models: ModelCache) -> None:
        self._database = database
        self._models = models
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="preloader", daemon=True)

    def start(self) -> None:
        """Load what is to be loaded, then go on looking in the background."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def look(self) -> None:
        """Load what aliases point at and is not loaded yet. What cannot be loaded is logged."""
        try:
            with self._database.reading() as session:
                wanted = model_versions.list_aliases(session)
        except DBAPIError as error:
            log.warning("aliases_unread", reason=str(error.orig))
            return
        if not wanted:
            log.warning("no_model", expected=model_versions.PRODUCTION)
        loaded = {model.artifact.ref for model in self._models.loaded()}
        for alias, text in wanted.items():
            ref = ModelRef.parse(text)
            if ref not in loaded:
                self._load(alias, ref)

    def _load(self, alias: str, ref: ModelRef) -> None:
        try:
            self._models.load(ref)
        except LookbookError as error:
            log.error("model_not_loaded", alias=alias, model=str(ref), reason=error.detail)

    def _run(self) -> None:
        while not self._stopped.wait(HEARTBEAT_SECONDS):
            self.look()
