"""The batch step: one batcher per device gathers decoded pictures across chunks and requests.

While the device works, pictures gather; when it is free, the next batch is whatever waits, interactive first, up to
the largest bucket. So a lone picture never waits for company, and under load batches fill by themselves.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from classifier.runtime import Runtime
from core.errors import ModelFailed

log = structlog.get_logger(__name__)

BATCHES_WAITING = 4
"""Bound of the queue, in full batches per slot of the device: beyond it, `submit` waits (back-pressure)."""

Pixels = NDArray[np.uint8]
Scores = NDArray[np.float32]


@dataclass(slots=True)
class _Waiting:
    pixels: Pixels
    result: Future[Scores] = field(default_factory=Future)


class Lanes:
    """Who waits, in two lanes; which pictures make up the next batch is decided here, without threads or time."""

    def __init__(self) -> None:
        self.interactive: deque[_Waiting] = deque()
        self.bulk: deque[_Waiting] = deque()

    def __len__(self) -> int:
        return len(self.interactive) + len(self.bulk)

    def add(self, waiting: _Waiting, *, interactive: bool) -> None:
        (self.interactive if interactive else self.bulk).append(waiting)

    def take(self, limit: int) -> list[_Waiting]:
        """The next batch: interactive strictly first, bulk fills the room that is left, earliest first."""
        batch: list[_Waiting] = []
        for lane in (self.interactive, self.bulk):
            while lane and len(batch) < limit:
                batch.append(lane.popleft())
        return batch


class Batcher:
    """Feeds one runtime. Pictures of any thread go in, each with a future of its scores."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._largest = runtime.batch_sizes[-1]
        self._bound = BATCHES_WAITING * runtime.slots * self._largest
        self._lanes = Lanes()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"batcher-{n}", daemon=True) for n in range(runtime.slots)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, pixels: Pixels, *, interactive: bool) -> Future[Scores]:
        """Queue one picture, uint8 [size, size, 3]; waits while the queue is full.

        The future ends with float32 [labels], or with `ModelFailed` if the model fails on this very picture.
        """
        waiting = _Waiting(pixels)
        with self._changed:
            # Interactive pictures are few and someone waits for them: they do not queue for the queue.
            self._changed.wait_for(lambda: interactive or self._closed or len(self._lanes) < self._bound)
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._lanes.add(waiting, interactive=interactive)
            self._changed.notify_all()
        return waiting.result

    def close(self) -> None:
        """Finish what is queued, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._lanes) > 0)
                batch = self._lanes.take(self._largest)
                self._changed.notify_all()
            if not batch:
                return
            self._predict(batch)

    def _predict(self, batch: list[_Waiting]) -> None:
        """Predict a batch; one that fails is bisected until the picture that it fails on is alone."""
        try:
            scores = self._runtime.predict(np.stack([waiting.pixels for waiting in batch]))
        except Exception as error:  # noqa: BLE001 (runtimes raise all kinds; each ends at one picture below)
            if len(batch) == 1:
                log.error("model_failed", runtime=self._runtime.name, error=repr(error))
                batch[0].result.set_exception(ModelFailed(f"the model failed on this picture: {error}"))
                return
            middle = len(batch) // 2
            self._predict(batch[:middle])
            self._predict(batch[middle:])
            return
        for waiting, row in zip(batch, scores, strict=True):
            waiting.result.set_result(row)
