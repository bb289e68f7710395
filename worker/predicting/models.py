"""The models that this worker process has loaded, each with its batcher; and the watch over their device."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from classifier.artifact import Artifact, find_artifact
from classifier.runtime import Runtime
from classifier.runtimes import open_runtime
from core.deadlines import Deadlines
from core.settings import Settings
from core.types import ModelRef
from worker.predicting.batcher import Batcher

log = structlog.get_logger(__name__)

EXIT_DEVICE_STUCK = 70
"""Exit code of a worker whose device has stopped answering (EX_SOFTWARE of sysexits.h)."""
_WATCH_SECONDS = 1.0


@dataclass(slots=True)
class LoadedModel:
    """One model version, warm, on this process's device."""

    artifact: Artifact
    runtime: Runtime
    batcher: Batcher
    users: int = 0
    """Chunks that are using it now: it is not closed under them."""

    def close(self) -> None:
        self.batcher.close()
        self.runtime.close()


class ModelCache:
    """Loads each model version when it is first needed; beyond `loaded_models` the least recently used one goes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._device_seconds = Deadlines.of(settings).device_timeout.total_seconds()
        self._loaded: OrderedDict[ModelRef, LoadedModel] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._closed = threading.Event()

    @contextmanager
    def using(self, ref: ModelRef) -> Iterator[LoadedModel]:
        """The model version, loaded, and kept so while it is used.

        Raises:
            ModelUnknown: there is no such artifact here.
            ArtifactInvalid: its files are not what its manifest says.
        """
        model = self._take(ref)
        try:
            yield model
        finally:
            with self._lock:
                model.users -= 1
            self._evict()

    def load(self, ref: ModelRef) -> None:
        """Have the model version loaded and warm.

        Raises:
            ModelUnknown, ArtifactInvalid: as for `using`.
        """
        with self.using(ref):
            pass

    def loaded(self) -> list[LoadedModel]:
        with self._lock:
            return list(self._loaded.values())

    def watch(self) -> None:
        """End this process when a device does not answer: nothing in it can wake one, and another can do its work."""
        while not self._closed.wait(_WATCH_SECONDS):
            for model in self.loaded():
                silent = model.batcher.stuck()
                if silent > self._device_seconds:
                    log.critical("device_stuck", model=str(model.artifact.ref), seconds=round(silent, 1))
                    # Not sys.exit: the threads that wait for the device would never let it finish.
                    os._exit(EXIT_DEVICE_STUCK)

    def close(self) -> None:
        self._closed.set()
        for model in self.loaded():
            model.close()

    def _take(self, ref: ModelRef) -> LoadedModel:
        if (model := self._known(ref)) is not None:
            return model
        # One at a time, and without the lock that those hold who use another model meanwhile.
        with self._loading:
            if (model := self._known(ref)) is not None:
                return model
            model = self._open(ref)
            with self._lock:
                model.users += 1
                self._loaded[ref] = model
            return model

    def _known(self, ref: ModelRef) -> LoadedModel | None:
        with self._lock:
            model = self._loaded.get(ref)
            if model is not None:
                model.users += 1
                self._loaded.move_to_end(ref)
            return model

    def _open(self, ref: ModelRef) -> LoadedModel:
        artifact = find_artifact(self._settings.models, ref)
        settings = self._settings
        runtime = open_runtime(artifact, settings.runtime, settings.precision, settings.cache_folder)
        log.info(
            "model_loaded", model=str(ref), runtime=runtime.name, device=runtime.device, precision=runtime.precision
        )
        return LoadedModel(artifact, runtime, Batcher(runtime))

    def _evict(self) -> None:
        """Close what is too many, as far as nobody uses it."""
        with self._lock:
            spare = len(self._loaded) - self._settings.loaded_models
            idle = [ref for ref, model in self._loaded.items() if model.users == 0][: max(spare, 0)]
            closing = [self._loaded.pop(ref) for ref in idle]
        for model in closing:
            model.close()
            log.info("model_unloaded", model=str(model.artifact.ref))
