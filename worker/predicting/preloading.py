"""Keep those models loaded that an alias points at: the production model, and the candidate to replace it."""

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
    """Checks the aliases as often as the worker sends heartbeats, so that a model is warm before it is promoted."""

    def __init__(self, database: Database, models: ModelCache) -> None:
        self._database = database
        self._models = models
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-preloader", daemon=True)

    def start(self) -> None:
        """Load the models of all aliases, then check the aliases regularly in the background."""
        self.load_missing()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def load_missing(self) -> None:
        """Load every model that an alias points at and that is not loaded yet. Log the ones that cannot be loaded."""
        try:
            with self._database.reading() as session:
                aliases = model_versions.list_aliases(session)
        except DBAPIError as error:
            log.warning("aliases_not_read", reason=str(error.orig))
            return
        if not aliases:
            log.warning("no_model", expected=model_versions.PRODUCTION)
        loaded = {model.artifact.ref for model in self._models.loaded()}
        for alias, text in aliases.items():
            ref = ModelRef.parse(text)
            if ref not in loaded:
                self._load(alias, ref)

    def _load(self, alias: str, ref: ModelRef) -> None:
        try:
            self._models.load(ref)
        except LookbookError as error:
            log.error("model_not_loaded", alias=alias, model=str(ref), reason=error.detail)
        except DBAPIError as error:
            log.warning("model_not_loaded", alias=alias, model=str(ref), reason=str(error.orig))
        except Exception:
            # Runtimes raise all kinds. The worker goes on with the models that it has, and `promote` shows the reason.
            log.exception("model_not_loaded", alias=alias, model=str(ref))

    def _run(self) -> None:
        while not self._stopped.wait(HEARTBEAT_SECONDS):
            self.load_missing()
