"""The batch step: one batcher per device gathers decoded pictures across chunks and requests.

What goes to the device next, and when, is decided in worker/batching.py and worker/fair_queue.py; here are the threads.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from classifier.runtime import OutOfDeviceMemory, Runtime, padded
from core.errors import ModelFailed
from worker.batching import Arrivals, CostModel, Wait, decide
from worker.fair_queue import FairQueue

log = structlog.get_logger(__name__)

BATCHES_WAITING = 4
"""Bound of the queue, in full batches per slot of the device: beyond it, `submit` waits (back-pressure)."""

Pixels = NDArray[np.uint8]
Scores = NDArray[np.float32]
Clock = Callable[[], float]


@dataclass(slots=True)
class _Waiting:
    pixels: Pixels
    result: Future[Scores] = field(default_factory=Future)


class Batcher:
    """Feeds one runtime. Pictures of any thread go in, each with a future of its scores."""

    def __init__(self, runtime: Runtime, clock: Clock = time.monotonic) -> None:
        self._runtime = runtime
        self._clock = clock
        self._sizes = runtime.batch_sizes
        self._bound = BATCHES_WAITING * runtime.slots * self._sizes[-1]
        self._queue: FairQueue[_Waiting] = FairQueue()
        self._costs = CostModel()
        self._arrivals = Arrivals()
        self._running: dict[int, float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._measure()
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"batcher-{slot}", daemon=True)
            for slot in range(runtime.slots + runtime.express)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, pixels: Pixels, job: str, *, interactive: bool) -> Future[Scores]:
        """Queue one picture, uint8 [size, size, 3]; waits while the queue is full.

        The future ends with float32 [labels], or with `ModelFailed` if the model fails on this very picture. If it is
        canceled before its turn, the device never sees the picture.
        """
        waiting = _Waiting(pixels)
        with self._changed:
            # Interactive pictures are few and someone waits for them: they do not queue for the queue.
            self._changed.wait_for(lambda: interactive or self._closed or len(self._queue) < self._bound)
            if self._closed:
                raise RuntimeError("the batcher is closed")
            now = self._clock()
            self._arrivals.observe(now)
            self._queue.push(waiting, job, now, interactive=interactive)
            self._changed.notify_all()
        return waiting.result

    def stuck(self) -> float:
        """Seconds that the device has been silent on the batch that it has longest; 0 if it has none."""
        with self._changed:
            started = min(self._running.values(), default=None)
            return 0.0 if started is None else self._clock() - started

    def close(self) -> None:
        """Finish what is queued, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _measure(self) -> None:
        """One batch of each size, so that the first decisions rest on something."""
        side = self._runtime.side
        for size in self._sizes:
            started = self._clock()
            self._runtime.infer(np.zeros((size, side, side, 3), np.uint8))
            self._costs.observe(size, self._clock() - started)

    def _serve(self, slot: int) -> None:
        while (gathered := self._gather(slot)) is not None:
            size, batch, lone = gathered
            if batch:
                self._predict(slot, batch, size, lone=lone)
            with self._changed:
                self._running.pop(slot, None)

    def _gather(self, slot: int) -> tuple[int, list[_Waiting], bool] | None:
        """The next batch and its size, and whether the device has nothing else to do; None when closed and empty."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or self._wanted(slot))
                if not self._queue:
                    return None
                now = self._clock()
                if slot >= self._runtime.slots:
                    self._running[slot] = now
                    return self._sizes[0], self._take(1, now), True
                opened = self._queue.oldest()
                assert opened is not None
                # Nobody comes any more once it is closed.
                interval = math.inf if self._closed else self._arrivals.interval(now)
                hurried = self._queue.interactive
                step = decide(len(self._queue), self._sizes, self._costs, interval, opened, now, hurried=hurried)
                if isinstance(step, Wait):
                    self._changed.wait(step.seconds)
                    continue
                batch = self._take(step.pictures, now)
                lone = not self._running and not self._queue and len(batch) == 1
                self._running[slot] = now
                # There is room in the queue again, and perhaps work for another slot.
                self._changed.notify_all()
                return step.size, batch, lone

    def _wanted(self, slot: int) -> bool:
        """Whether there is something to do for a slot; the express slot is for those who would wait for the others."""
        if slot < self._runtime.slots:
            return len(self._queue) > 0
        return self._queue.interactive > 0 and len(self._running) >= self._runtime.slots

    def _take(self, pictures: int, now: float) -> list[_Waiting]:
        """Up to `pictures` in turn, without those that nobody wants any more."""
        batch: list[_Waiting] = []
        while len(batch) < pictures and (waiting := self._queue.pop(now)) is not None:
            if waiting.result.set_running_or_notify_cancel():
                batch.append(waiting)
        return batch

    def _predict(self, slot: int, batch: Sequence[_Waiting], size: int, *, lone: bool = False) -> None:
        """Predict a batch; one that fails is bisected until the picture that it fails on is alone."""
        started = self._clock()
        with self._changed:
            self._running[slot] = started
        try:
            scores = self._runtime.infer(padded([waiting.pixels for waiting in batch], size), lone=lone)
        except OutOfDeviceMemory as error:
            self._shrink(size, error)
            if size == self._sizes[0]:
                self._fail(batch, error)
            else:
                self._predict_apart(slot, batch)
            return
        except Exception as error:  # noqa: BLE001 (runtimes raise all kinds; each ends at one picture below)
            if len(batch) == 1:
                self._fail(batch, error)
            else:
                self._predict_apart(slot, batch)
            return
        if not lone:
            with self._changed:
                self._costs.observe(size, self._clock() - started)
        for waiting, row in zip(batch, scores, strict=False):
            waiting.result.set_result(row)

    def _predict_apart(self, slot: int, batch: Sequence[_Waiting]) -> None:
        middle, sizes = max(1, len(batch) // 2), self._sizes
        for half in (batch[:middle], batch[middle:]):
            for start in range(0, len(half), sizes[-1]):
                part = half[start : start + sizes[-1]]
                self._predict(slot, part, next(size for size in sizes if size >= len(part)))

    def _shrink(self, size: int, error: Exception) -> None:
        """The device has no memory for batches of `size`: none as large will be tried again."""
        with self._changed:
            smaller = tuple(known for known in self._sizes if known < size)
            if smaller:
                self._sizes = smaller
                log.error("batch_size_reduced", failed=size, largest=smaller[-1], error=str(error))

    def _fail(self, batch: Sequence[_Waiting], error: Exception) -> None:
        log.error("model_failed", runtime=self._runtime.name, error=repr(error))
        for waiting in batch:
            waiting.result.set_exception(ModelFailed(f"the model failed on this picture: {error}"))
