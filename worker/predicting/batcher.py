"""The batch step: the batcher of a device gathers decoded pictures from all chunks and requests into batches.

This module has the threads. `decide_batch_size` in decisions.py decides how large the next batch is and when it starts,
and worker/fair_queue.py decides which pictures are in it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from classifier.runtime import Answer, OutOfDeviceMemory, Runtime, first, padded
from core import metrics
from core.item_errors import ModelFailed
from worker.fair_queue import FairQueue
from worker.predicting.decisions import ArrivalEstimate, CostModel, LaunchBatch, WaitForMore, decide_batch_size

log = structlog.get_logger(__name__)

QUEUED_BATCHES_PER_SLOT = 4
"""Batches of the largest size that fit into the queue for each slot of the device. `submit` waits while it is full."""

TRIAL_BATCHES = 3
"""Batches of each size that are predicted before the first picture, to measure what a batch costs."""

Pixels = NDArray[np.uint8]
Clock = Callable[[], float]


@dataclass(slots=True)
class _Submission:
    """Pictures that were submitted together, and their results so far."""

    results: list[Answer | ModelFailed | None]
    missing: int
    """Number of pictures without a result."""
    future: Future[list[Answer | ModelFailed]] = field(default_factory=Future)

    def start_unless_canceled(self) -> bool:
        """Mark the submission as started, so that it cannot be canceled. Return False if it was canceled already."""
        return self.future.running() or (not self.future.cancelled() and self.future.set_running_or_notify_cancel())


@dataclass(slots=True)
class _QueuedPicture:
    pixels: Pixels
    submission: _Submission
    index: int
    """Position in the submission."""
    queued_at: float


class Batcher:
    """Predicts pictures on one runtime. Any thread may submit pictures, and gets a future with their answers."""

    def __init__(self, runtime: Runtime, clock: Clock = time.monotonic) -> None:
        self._runtime = runtime
        self._clock = clock
        self._sizes = runtime.batch_sizes
        self._max_queued = QUEUED_BATCHES_PER_SLOT * runtime.slots * self._sizes[-1]
        self._queue: FairQueue[_QueuedPicture] = FairQueue()
        self._costs = CostModel()
        self._arrivals = ArrivalEstimate()
        self._running: dict[int, float] = {}
        """When the batch that runs in a slot began, by slot."""
        self._busy_since = 0.0
        """When the first of the batches that run now began."""
        self._closed = False
        # Three conditions, so that only threads with something to do are woken: waking a thread costs more than most of
        # what it then does here.
        self._lock = threading.Lock()
        self._has_room, self._has_work, self._has_express_work = (threading.Condition(self._lock) for _ in range(3))
        self._measure()
        self._threads = [
            threading.Thread(target=self._run, args=(slot,), name=f"batcher-{slot}", daemon=True)
            for slot in range(runtime.slots + runtime.has_express_slot)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, pictures: Sequence[Pixels], job: str, *, interactive: bool) -> Future[list[Answer | ModelFailed]]:
        """Queue one or more pictures, uint8 [*shape of the input] each. Wait while the queue is full.

        The future's result holds for each picture its answer, or `ModelFailed` if the model fails on that
        very picture. If the caller cancels the future before its first picture is in a batch, none of them
        reaches the device.
        """
        submission = _Submission([None] * len(pictures), len(pictures))
        with self._lock:
            # Interactive pictures are few, and a client waits for them, so they do not wait for room in the queue.
            self._has_room.wait_for(lambda: interactive or self._closed or len(self._queue) < self._max_queued)
            if self._closed:
                raise RuntimeError("the batcher is closed")
            now = self._clock()
            self._arrivals.observe(now)
            for index, pixels in enumerate(pictures):
                self._queue.push(_QueuedPicture(pixels, submission, index, now), job, now, interactive=interactive)
            self._wake_for_work(len(pictures))
            self._wake_for_room()
        return submission.future

    def seconds_on_oldest_batch(self) -> float:
        """Return for how many seconds the device has worked on its oldest batch, or 0 if it has none."""
        with self._lock:
            began = min(self._running.values(), default=None)
            return 0.0 if began is None else self._clock() - began

    def close(self) -> None:
        """Predict what is queued, then end the threads."""
        with self._lock:
            self._closed = True
            for condition in (self._has_room, self._has_work, self._has_express_work):
                condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _measure(self) -> None:
        """Measure what a batch of each size costs, so that the first decisions rest on something.

        The fastest of a few batches counts. Other programs may slow down any of them, and a size that once seems
        expensive is not tried again.
        """
        for size in self._sizes:
            batch, durations = np.zeros((size, *self._runtime.shape), np.uint8), []
            for _ in range(TRIAL_BATCHES):
                began = self._clock()
                self._runtime.infer(batch)
                durations.append(self._clock() - began)
            self._costs.observe(size, min(durations))

    def _run(self, slot: int) -> None:
        gather = self._gather if slot < self._runtime.slots else self._gather_express
        while (gathered := gather(slot)) is not None:
            size, batch, lone = gathered
            self._predict(slot, batch, size, lone=lone)

    def _gather(self, slot: int) -> tuple[int, list[_QueuedPicture], bool] | None:
        """Wait for the next batch of a slot. Return its size, its pictures, and whether it is `lone`.

        A lone batch is one picture for which the runtime may use the whole device (`Runtime.infer`). Return None once
        the batcher is closed and the queue is empty.
        """
        with self._lock:
            self._end_batch(slot)
            while True:
                self._has_work.wait_for(lambda: self._closed or self._queue)
                if not self._queue:
                    return None
                now = self._clock()
                decision = self._decide(now)
                if isinstance(decision, WaitForMore):
                    self._has_work.wait(decision.seconds)
                elif batch := self._pop(decision.pictures, now):
                    lone = not self._running and not self._queue and len(batch) == 1
                    self._begin_batch(slot, now)
                    self._wake_for_work(len(self._queue))
                    return decision.size, batch, lone

    def _gather_express(self, slot: int) -> tuple[int, list[_QueuedPicture], bool] | None:
        """Do the same for the express slot, which takes one interactive picture while all other slots are busy."""
        with self._lock:
            self._end_batch(slot)
            while True:
                self._has_express_work.wait_for(lambda: self._closed or self._is_express_needed())
                if not self._is_express_needed():
                    return None
                now = self._clock()
                if batch := self._pop(1, now):
                    self._begin_batch(slot, now)
                    return self._sizes[0], batch, True

    def _begin_batch(self, slot: int, now: float) -> None:
        if not self._running:
            self._busy_since = now
        self._running[slot] = now

    def _end_batch(self, slot: int) -> None:
        if self._running.pop(slot, None) is not None and not self._running:
            metrics.DEVICE_BUSY.inc(self._clock() - self._busy_since)

    def _is_express_needed(self) -> bool:
        return self._queue.interactive > 0 and len(self._running) >= self._runtime.slots

    def _decide(self, now: float) -> LaunchBatch | WaitForMore:
        window_opened = self._queue.oldest()
        assert window_opened is not None
        # A closed batcher gets no more pictures.
        seconds_to_next = math.inf if self._closed else self._arrivals.seconds_to_next(now)
        return decide_batch_size(
            len(self._queue),
            self._sizes,
            self._costs,
            seconds_to_next,
            window_opened,
            now,
            interactive=self._queue.interactive,
        )

    def _pop(self, count: int, now: float) -> list[_QueuedPicture]:
        """Remove the next `count` pictures from the queue and return them, without those whose caller has canceled."""
        batch: list[_QueuedPicture] = []
        while len(batch) < count and (picture := self._queue.pop(now)) is not None:
            if picture.submission.start_unless_canceled():
                batch.append(picture)
        self._wake_for_room()
        return batch

    def _wake_for_work(self, pictures: int) -> None:
        """Wake the threads for which `pictures` more pictures in the queue are something to do."""
        self._has_work.notify(pictures)
        if self._is_express_needed():
            self._has_express_work.notify()

    def _wake_for_room(self) -> None:
        """Wake one caller that waits for room, if there is some. That caller wakes the next one if room is left."""
        if len(self._queue) < self._max_queued:
            self._has_room.notify()

    def _predict(self, slot: int, batch: Sequence[_QueuedPicture], size: int, *, lone: bool = False) -> None:
        """Predict a batch. If it fails, bisect it until the picture that it fails on is alone."""
        began = self._clock()
        try:
            answers = self._runtime.infer(padded([picture.pixels for picture in batch], size), lone=lone)
        except OutOfDeviceMemory as error:
            self._reduce_sizes(size, error)
            if size == self._sizes[0]:
                self._fail(batch, error)
            else:
                self._predict_halves(slot, batch)
            return
        except Exception as error:  # noqa: BLE001 (runtimes raise all kinds; each ends at one picture below)
            if len(batch) == 1:
                self._fail(batch, error)
            else:
                self._predict_halves(slot, batch)
            return
        seconds = self._clock() - began
        metrics.INFERENCE_SECONDS.observe(seconds)
        metrics.BATCH_PICTURES.observe(len(batch))
        metrics.BATCH_WAIT_SECONDS.observe(began - min(picture.queued_at for picture in batch))
        if not lone:
            with self._lock:
                self._costs.observe(size, seconds)
        self._store(batch, first(answers, len(batch)).rows())

    def _predict_halves(self, slot: int, batch: Sequence[_QueuedPicture]) -> None:
        middle, sizes = max(1, len(batch) // 2), self._sizes
        for half in (batch[:middle], batch[middle:]):
            for start in range(0, len(half), sizes[-1]):
                part = half[start : start + sizes[-1]]
                with self._lock:
                    self._running[slot] = self._clock()
                self._predict(slot, part, next(size for size in sizes if size >= len(part)))

    def _reduce_sizes(self, size: int, error: Exception) -> None:
        """Keep only sizes below `size`, because the device has no memory for larger batches."""
        with self._lock:
            smaller = tuple(known for known in self._sizes if known < size)
            if smaller:
                self._sizes = smaller
                log.error("batch_size_reduced", failed=size, largest=smaller[-1], error=str(error))

    def _fail(self, batch: Sequence[_QueuedPicture], error: Exception) -> None:
        log.error("model_failed", runtime=self._runtime.name, error=repr(error))
        self._store(batch, [ModelFailed(f"the model failed on this picture: {error}") for _ in batch])

    def _store(self, batch: Sequence[_QueuedPicture], results: Iterable[Answer | ModelFailed]) -> None:
        """Store the result of each picture, and end the futures of submissions that are complete."""
        complete = []
        with self._lock:
            for picture, result in zip(batch, results, strict=True):
                submission = picture.submission
                submission.results[picture.index] = result
                submission.missing -= 1
                if not submission.missing:
                    complete.append(submission)
        for submission in complete:
            submission.future.set_result([result for result in submission.results if result is not None])
