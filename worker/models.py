"""The models that this worker process has loaded, each with its batcher."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import structlog

from classifier.artifact import Artifact, find_artifact
from classifier.runtime import Runtime
from classifier.runtimes import open_runtime
from core.settings import Settings
from core.types import ModelRef
from worker.batcher import Batcher

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """One model version, warm, on this process's device."""

    artifact: Artifact
    runtime: Runtime
    batcher: Batcher


class Models:
    """Loads each model version once, when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loaded: dict[ModelRef, LoadedModel] = {}
        self._lock = threading.Lock()

    def get(self, ref: ModelRef) -> LoadedModel:
        """The model version, loaded.

        Raises:
            ModelUnknown: there is no such artifact here.
            ArtifactInvalid: its files are not what its manifest says.
        """
        with self._lock:
            if ref not in self._loaded:
                artifact = find_artifact(self._settings.models, ref)
                runtime = open_runtime(artifact, self._settings.runtime, self._settings.precision)
                self._loaded[ref] = LoadedModel(artifact, runtime, Batcher(runtime))
                log.info(
                    "model_loaded",
                    model=str(ref),
                    runtime=runtime.name,
                    device=runtime.device,
                    precision=runtime.precision,
                )
            return self._loaded[ref]

    def loaded(self) -> list[LoadedModel]:
        with self._lock:
            return list(self._loaded.values())

    def close(self) -> None:
        for model in self.loaded():
            model.batcher.close()
            model.runtime.close()
