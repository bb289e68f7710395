"""The batch step: one batcher per device gathers decoded pictures across chunks and requests.

What goes to the device next, and when, is decided in decisions.py and worker/fair_queue.py; here are the threads.
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

from classifier.runtime import OutOfDeviceMemory, Runtime, padded
from core.errors import ModelFailed
from worker.fair_queue import FairQueue
from worker.predicting.decisions import ArrivalEstimate, CostModel, LaunchBatch, WaitForMore, decide_batch_size

log = structlog.get_logger(__name__)

BATCHES_WAITING = 4
"""Bound of the queue, in full batches per slot of the device: beyond it, `submit` waits (back-pressure)."""

TRIALS = 3
"""Batches of each size that are predicted before the first picture."""

Pixels = NDArray[np.uint8]
Scores = NDArray[np.float32]
Clock = Callable[[], float]


@dataclass(slots=True)
class _Order:
    """Pictures that were submitted together, and what has become of them so far."""

    found: list[Scores | ModelFailed | None]
    missing: int
    result: Future[list[Scores | ModelFailed]] = field(default_factory=Future)

    def wanted(self) -> bool:
        """Whether somebody still waits for them; who is told so counts on them to wait on."""
        return self.result.running() or (not self.result.cancelled() and self.result.set_running_or_notify_cancel())


@dataclass(slots=True)
class _Waiting:
    pixels: Pixels
    order: _Order
    place: int


class Batcher:
    """Feeds one runtime. Pictures of any thread go in, with a future of their scores."""

    def __init__(self, runtime: Runtime, clock: Clock = time.monotonic) -> None:
        self._runtime = runtime
        self._clock = clock
        self._sizes = runtime.batch_sizes
        self._bound = BATCHES_WAITING * runtime.slots * self._sizes[-1]
        self._queue: FairQueue[_Waiting] = FairQueue()
        self._costs = CostModel()
        self._arrivals = ArrivalEstimate()
        self._running: dict[int, float] = {}
        self._closed = False
        # Three to wait for, so that nobody is woken who has nothing to do: waking costs more than most of what is here.
        self._lock = threading.Lock()
        self._room, self._work, self._hurry = (threading.Condition(self._lock) for _ in range(3))
        self._measure()
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"batcher-{slot}", daemon=True)
            for slot in range(runtime.slots + runtime.has_express_slot)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, pictures: Sequence[Pixels], job: str, *, interactive: bool) -> Future[list[Scores | ModelFailed]]:
        """Queue pictures, at least one, uint8 [size, size, 3] each; waits while the queue is full.

        The future ends with each one's float32 [labels], or `ModelFailed` if the model fails on this very picture. If
        it is canceled before the first one's turn, the device never sees them.
        """
        order = _Order([None] * len(pictures), len(pictures))
        with self._lock:
            # Interactive pictures are few and someone waits for them: they do not queue for the queue.
            self._room.wait_for(lambda: interactive or self._closed or len(self._queue) < self._bound)
            if self._closed:
                raise RuntimeError("the batcher is closed")
            now = self._clock()
            self._arrivals.observe(now)
            for place, pixels in enumerate(pictures):
                self._queue.push(_Waiting(pixels, order, place), job, now, interactive=interactive)
            self._wake(len(pictures))
            self._say_that_there_is_room()
        return order.result

    def stuck(self) -> float:
        """Seconds that the device has been silent on the batch that it has longest; 0 if it has none."""
        with self._lock:
            started = min(self._running.values(), default=None)
            return 0.0 if started is None else self._clock() - started

    def close(self) -> None:
        """Finish what is queued, then stop."""
        with self._lock:
            self._closed = True
            for waited_for in (self._room, self._work, self._hurry):
                waited_for.notify_all()
        for thread in self._threads:
            thread.join()

    def _measure(self) -> None:
        """Let the first decisions rest on something: on the fastest of a few batches of each size, for others may
        make any of them slow, and a size that seems dear is not tried again."""
        side = self._runtime.side
        for size in self._sizes:
            batch, taken = np.zeros((size, side, side, 3), np.uint8), []
            for _ in range(TRIALS):
                started = self._clock()
                self._runtime.infer(batch)
                taken.append(self._clock() - started)
            self._costs.observe(size, min(taken))

    def _serve(self, slot: int) -> None:
        gather = self._gather if slot < self._runtime.slots else self._gather_one
        while (gathered := gather(slot)) is not None:
            size, batch, lone = gathered
            self._predict(slot, batch, size, lone=lone)

    def _gather(self, slot: int) -> tuple[int, list[_Waiting], bool] | None:
        """The next batch and its size, and whether the device has nothing else to do; None when closed and empty."""
        with self._lock:
            self._running.pop(slot, None)
            while True:
                self._work.wait_for(lambda: self._closed or self._queue)
                if not self._queue:
                    return None
                now = self._clock()
                step = self._decide(now)
                if isinstance(step, WaitForMore):
                    self._work.wait(step.seconds)
                elif batch := self._take(step.pictures, now):
                    lone = not self._running and not self._queue and len(batch) == 1
                    self._running[slot] = now
                    self._wake(len(self._queue))
                    return step.size, batch, lone

    def _gather_one(self, slot: int) -> tuple[int, list[_Waiting], bool] | None:
        """The same for the express slot: it is for those who would wait for the others."""
        with self._lock:
            self._running.pop(slot, None)
            while True:
                self._hurry.wait_for(lambda: self._closed or self._express_has_work())
                if not self._express_has_work():
                    return None
                now = self._clock()
                if batch := self._take(1, now):
                    self._running[slot] = now
                    return self._sizes[0], batch, True

    def _express_has_work(self) -> bool:
        return self._queue.interactive > 0 and len(self._running) >= self._runtime.slots

    def _decide(self, now: float) -> LaunchBatch | WaitForMore:
        window_opened = self._queue.oldest()
        assert window_opened is not None
        # Nobody comes any more once it is closed.
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

    def _take(self, pictures: int, now: float) -> list[_Waiting]:
        """Up to `pictures` in turn, without those that nobody wants any more."""
        batch: list[_Waiting] = []
        while len(batch) < pictures and (waiting := self._queue.pop(now)) is not None:
            if waiting.order.wanted():
                batch.append(waiting)
        self._say_that_there_is_room()
        return batch

    def _wake(self, pictures: int) -> None:
        """Wake whom so many pictures of the queue give something to do."""
        self._work.notify(pictures)
        if self._express_has_work():
            self._hurry.notify()

    def _say_that_there_is_room(self) -> None:
        """To one who waits for it, who says so to the next if some is left."""
        if len(self._queue) < self._bound:
            self._room.notify()

    def _predict(self, slot: int, batch: Sequence[_Waiting], size: int, *, lone: bool = False) -> None:
        """Predict a batch; one that fails is bisected until the picture that it fails on is alone."""
        started = self._clock()
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
            with self._lock:
                self._costs.observe(size, self._clock() - started)
        self._found(batch, scores)

    def _predict_apart(self, slot: int, batch: Sequence[_Waiting]) -> None:
        middle, sizes = max(1, len(batch) // 2), self._sizes
        for half in (batch[:middle], batch[middle:]):
            for start in range(0, len(half), sizes[-1]):
                part = half[start : start + sizes[-1]]
                with self._lock:
                    self._running[slot] = self._clock()
                self._predict(slot, part, next(size for size in sizes if size >= len(part)))

    def _shrink(self, size: int, error: Exception) -> None:
        """The device has no memory for batches of `size`: none as large will be tried again."""
        with self._lock:
            smaller = tuple(known for known in self._sizes if known < size)
            if smaller:
                self._sizes = smaller
                log.error("batch_size_reduced", failed=size, largest=smaller[-1], error=str(error))

    def _fail(self, batch: Sequence[_Waiting], error: Exception) -> None:
        log.error("model_failed", runtime=self._runtime.name, error=repr(error))
        self._found(batch, [ModelFailed(f"the model failed on this picture: {error}") for _ in batch])

    def _found(self, batch: Sequence[_Waiting], results: Iterable[Scores | ModelFailed]) -> None:
        """Keep each one's result; orders of which none is missing any more are done."""
        done = []
        with self._lock:
            for waiting, result in zip(batch, results, strict=False):
                order = waiting.order
                order.found[waiting.place] = result
                order.missing -= 1
                if not order.missing:
                    done.append(order)
        for order in done:
            order.result.set_result([result for result in order.found if result is not None])
