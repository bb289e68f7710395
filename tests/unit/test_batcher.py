from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.runtime import OutOfDeviceMemory, RuntimeName
from core.errors import ModelFailed
from worker.predicting.batcher import Batcher

SIDE = 2


class Echo:
    """A runtime whose score is the picture's first byte; it fails on 13, and holds back until allowed to go on.

    Batches of more than `memory` pictures do not fit it. Padding shows as zeros.
    """

    name: RuntimeName = "openvino"
    device = "CPU"
    precision = "f32"
    batch_sizes = (1, 4)
    side = SIDE
    slots = 1
    has_express_slot = False
    memory = 1000

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.go_on.set()

    def infer(self, batch: NDArray[np.uint8], *, lone: bool = False) -> NDArray[np.float32]:
        values = batch[:, 0, 0, 0].astype(np.float32)
        if not values.any():
            return values[:, None]
        self.batches.append([int(value) for value in values])
        self.started.release()
        self.go_on.wait()
        if len(batch) > self.memory:
            raise OutOfDeviceMemory("no room")
        if 13 in values:
            raise RuntimeError("unlucky")
        return values[:, None]

    def activation_maps(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise NotImplementedError

    def close(self) -> None:
        return


class Ticks:
    """A clock on which batches of one picture take as long as batches of four: so batches of four are made."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def picture(value: int) -> NDArray[np.uint8]:
    return np.full((SIDE, SIDE, 3), value, np.uint8)


def submit(batcher: Batcher, *values: int, job: str = "job", interactive: bool = False) -> Future[list[Any]]:
    return batcher.submit([picture(value) for value in values], job, interactive=interactive)


def scores(future: Future[list[Any]]) -> list[int]:
    """What came back for the pictures of one call: their own values."""
    return [int(found[0]) for found in future.result()]


@pytest.fixture
def held() -> Iterator[tuple[Echo, Batcher]]:
    """A batcher whose device is held on the picture 1."""
    runtime = Echo()
    runtime.go_on.clear()
    batcher = Batcher(runtime, Ticks())
    submit(batcher, 1)
    runtime.started.acquire()
    yield runtime, batcher
    runtime.go_on.set()
    batcher.close()


def test_every_picture_gets_its_own_scores() -> None:
    batcher = Batcher(Echo())
    futures = [submit(batcher, n, interactive=n % 3 == 0) for n in range(1, 13)]
    together = submit(batcher, *range(20, 31))
    assert [scores(future) for future in futures] == [[n] for n in range(1, 13)]
    assert scores(together) == list(range(20, 31))
    batcher.close()


def test_whoever_waits_for_room_in_the_queue_comes_in_as_others_go(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    with ThreadPoolExecutor(4) as threads:
        # 80 pictures, more than fit into the queue at once.
        submitted = [threads.submit(submit, batcher, *[value] * 8) for value in range(20, 30)]
        runtime.go_on.set()
        assert [scores(one.result()) for one in submitted] == [[value] * 8 for value in range(20, 30)]


def test_pictures_that_gather_while_the_device_works_go_together(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    futures = [submit(batcher, 2), submit(batcher, 3, 4)]
    runtime.go_on.set()
    for future in futures:
        future.result()
    assert runtime.batches == [[1], [2, 3, 4, 0]]


def test_interactive_pictures_go_first_and_bulk_fills_the_batch(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    futures = [submit(batcher, n) for n in (2, 3, 4, 5)]
    futures.append(submit(batcher, 9, job="other", interactive=True))
    runtime.go_on.set()
    for future in futures:
        future.result()
    assert runtime.batches == [[1], [9, 2, 3, 4], [5]]


def test_a_batch_that_fails_costs_only_the_picture_that_it_fails_on(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    together, apart = submit(batcher, 11, 12, 13), submit(batcher, 14)
    runtime.go_on.set()
    found = together.result()
    assert isinstance(found[2], ModelFailed)
    assert "unlucky" in found[2].detail
    assert [int(one[0]) for one in found[:2]] == [11, 12]
    assert scores(apart) == [14]


def test_a_batch_too_large_for_the_device_is_halved_for_good(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    runtime.memory = 2
    futures = [submit(batcher, n) for n in (2, 3, 4, 5)]
    runtime.go_on.set()
    assert [scores(future) for future in futures] == [[2], [3], [4], [5]]
    assert runtime.batches == [[1], [2, 3, 4, 5], [2], [3], [4], [5]]
    runtime.batches.clear()
    for future in [submit(batcher, n) for n in (6, 7, 8, 9)]:
        future.result()
    assert sorted(runtime.batches) == [[6], [7], [8], [9]]


def test_a_picture_that_nobody_wants_any_more_never_reaches_the_device(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    unwanted, wanted = submit(batcher, 2), submit(batcher, 3)
    assert unwanted.cancel()
    runtime.go_on.set()
    wanted.result()
    assert 2 not in [value for batch in runtime.batches for value in batch]


def test_a_device_that_does_not_answer_is_seen_as_stuck(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    assert batcher.seconds_on_oldest_batch() < batcher.seconds_on_oldest_batch()
    runtime.go_on.set()
    submit(batcher, 2).result()
    batcher.close()
    assert batcher.seconds_on_oldest_batch() == 0


def test_closing_finishes_what_is_queued() -> None:
    runtime = Echo()
    runtime.go_on.clear()
    batcher = Batcher(runtime)
    futures = [submit(batcher, n) for n in range(1, 7)]
    runtime.go_on.set()
    batcher.close()
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="closed"):
        submit(batcher, 1)


class WithExpress(Echo):
    has_express_slot = True


def test_an_interactive_picture_does_not_wait_for_a_device_that_takes_one_beside_its_batches() -> None:
    runtime = WithExpress()
    batcher = Batcher(runtime, Ticks())
    runtime.go_on.clear()
    bulk = [submit(batcher, n) for n in (1, 2, 3, 4)]
    runtime.started.acquire()
    hurried = submit(batcher, 9, job="other", interactive=True)
    # The device still works on the bulk batch when the other one reaches it.
    runtime.started.acquire()
    assert [9] in runtime.batches
    assert not any(future.done() for future in bulk)
    runtime.go_on.set()
    assert scores(hurried) == [9]
    assert [scores(future) for future in bulk] == [[1], [2], [3], [4]]
    batcher.close()
