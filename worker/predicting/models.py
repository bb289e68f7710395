"""The models that a worker process has loaded, each with its batcher, and the watchdog of their device."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from classifier.artifact import Artifact
from classifier.runtime import Runtime
from classifier.runtimes import open_runtime
from core.deadlines import Deadlines
from core.errors import LookbookError
from core.settings import Settings
from core.types import ModelRef
from worker.predicting.batcher import Batcher
from worker.predicting.model_store import open_registered

log = structlog.get_logger(__name__)

EXIT_DEVICE_STUCK = 70
"""Exit code of a worker process whose device no longer answers (EX_SOFTWARE of sysexits.h)."""
_CHECK_SECONDS = 1.0
_KEPT_FAILURES = 8
"""Versions of which the cache remembers why they could not be loaded."""


@dataclass(slots=True)
class LoadedModel:
    """One model version, loaded and warmed up on the device of this process."""

    artifact: Artifact
    runtime: Runtime
    batcher: Batcher
    users: int = 0
    """Number of `using` blocks that use the model now. It is not closed before they end."""

    def close(self) -> None:
        self.batcher.close()
        self.runtime.close()


class ModelCache:
    """Loads each model version when it is first needed, and keeps the `loaded_models` that were used last."""

    def __init__(
        self, settings: Settings, registered_digest: Callable[[ModelRef], str | None] = lambda _: None
    ) -> None:
        """`registered_digest` returns the digest under which the database knows a version, or None."""
        self._settings = settings
        self._registered_digest = registered_digest
        self._device_seconds = Deadlines.of(settings).device_timeout.total_seconds()
        self._loaded: OrderedDict[ModelRef, LoadedModel] = OrderedDict()
        self._failures: OrderedDict[ModelRef, str] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._closed = threading.Event()

    @contextmanager
    def using(self, ref: ModelRef) -> Iterator[LoadedModel]:
        """Load a model version if necessary, and keep it loaded until the end of the block.

        Raises:
            ModelUnknown: neither this machine nor the bucket has such an artifact.
            ArtifactInvalid: the files of the artifact do not match its manifest, or not the registered version.
            BlobStoreUnavailable, StorageFull: it cannot be got from the bucket.
        """
        model = self._acquire(ref)
        try:
            yield model
        finally:
            with self._lock:
                model.users -= 1
            self._evict()

    def load(self, ref: ModelRef) -> None:
        """Load a model version and warm it up.

        Raises:
            ModelUnknown, ArtifactInvalid: as in `using`.
        """
        with self.using(ref):
            pass

    def loaded(self) -> list[LoadedModel]:
        with self._lock:
            return list(self._loaded.values())

    def failures(self) -> dict[ModelRef, str]:
        """Return why the last attempt to load a version failed, by version. Versions that are loaded are left out."""
        with self._lock:
            return dict(self._failures)

    def watch(self) -> None:
        """End this process if the device does not answer for too long.

        Python cannot interrupt a call into a driver, but another process can take over the work.
        """
        while not self._closed.wait(_CHECK_SECONDS):
            for model in self.loaded():
                seconds = model.batcher.seconds_on_oldest_batch()
                if seconds > self._device_seconds:
                    log.critical("device_stuck", model=str(model.artifact.ref), seconds=round(seconds, 1))
                    # sys.exit would wait forever for the threads that wait for the device.
                    os._exit(EXIT_DEVICE_STUCK)

    def close(self) -> None:
        self._closed.set()
        for model in self.loaded():
            model.close()

    def _acquire(self, ref: ModelRef) -> LoadedModel:
        if (model := self._acquire_loaded(ref)) is not None:
            return model
        # Models are loaded one at a time. Loading takes long, so it must not block the lock that users of other models
        # need.
        with self._loading:
            if (model := self._acquire_loaded(ref)) is not None:
                return model
            try:
                model = self._open(ref)
            except Exception as error:
                self._note_failure(ref, error.detail if isinstance(error, LookbookError) else repr(error))
                raise
            with self._lock:
                self._failures.pop(ref, None)
                model.users += 1
                self._loaded[ref] = model
            return model

    def _note_failure(self, ref: ModelRef, reason: str) -> None:
        with self._lock:
            self._failures[ref] = reason
            self._failures.move_to_end(ref)
            if len(self._failures) > _KEPT_FAILURES:
                self._failures.popitem(last=False)

    def _acquire_loaded(self, ref: ModelRef) -> LoadedModel | None:
        with self._lock:
            model = self._loaded.get(ref)
            if model is not None:
                model.users += 1
                self._loaded.move_to_end(ref)
            return model

    def _open(self, ref: ModelRef) -> LoadedModel:
        settings = self._settings
        artifact = open_registered(settings, ref, self._registered_digest(ref))
        runtime = open_runtime(artifact, settings.runtime, settings.precision, settings.cache_folder)
        log.info(
            "model_loaded", model=str(ref), runtime=runtime.name, device=runtime.device, precision=runtime.precision
        )
        return LoadedModel(artifact, runtime, Batcher(runtime))

    def _evict(self) -> None:
        """Close the least recently used models beyond the limit, unless they are in use."""
        with self._lock:
            excess = len(self._loaded) - self._settings.loaded_models
            idle = [ref for ref, model in self._loaded.items() if model.users == 0][: max(excess, 0)]
            closing = [self._loaded.pop(ref) for ref in idle]
        for model in closing:
            model.close()
            log.info("model_unloaded", model=str(model.artifact.ref))
