from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.runtime import Answers, OutOfDeviceMemory, RuntimeName
from core.item_errors import ModelFailed
from worker.predicting.batcher import Batcher

SIDE = 2


class Echo:
    """A runtime whose score is the picture's first byte.

    It fails on 13, runs out of memory on batches of more than `memory` pictures, and waits for `may_continue` in each
    batch. Padding gives zeros.
    """

    name: RuntimeName = "openvino"
    device = "CPU"
    precision = "f32"
    batch_sizes = (1, 4)
    shape = (SIDE, SIDE, 3)
    slots = 1
    has_express_slot = False
    memory = 1000

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started = threading.Semaphore(0)
        self.may_continue = threading.Event()
        self.may_continue.set()

    def infer(self, batch: NDArray[np.uint8], *, lone: bool = False) -> Answers:
        values = batch[:, 0, 0, 0].astype(np.float32)
        if not values.any():
            return Answers(values[:, None])
        self.batches.append([int(value) for value in values])
        self.started.release()
        self.may_continue.wait()
        if len(batch) > self.memory:
            raise OutOfDeviceMemory("no room")
        if 13 in values:
            raise RuntimeError("unlucky")
        return Answers(values[:, None], values[:, None] * 2)

    def activation_maps(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise NotImplementedError

    def close(self) -> None:
        return


class Ticks:
    """A clock on which batches of one and of four pictures take the same time, so that batches of four are made."""

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
    """Return the scores of the pictures of one call."""
    return [int(answer.scores[0]) for answer in future.result()]


@pytest.fixture
def held() -> Iterator[tuple[Echo, Batcher]]:
    """A batcher whose device is busy with picture 1 until the test lets it continue."""
    runtime = Echo()
    runtime.may_continue.clear()
    batcher = Batcher(runtime, Ticks())
    submit(batcher, 1)
    runtime.started.acquire()
    yield runtime, batcher
    runtime.may_continue.set()
    batcher.close()


def test_every_picture_gets_its_own_scores() -> None:
    batcher = Batcher(Echo())
    futures = [submit(batcher, n, interactive=n % 3 == 0) for n in range(1, 13)]
    together = submit(batcher, *range(20, 31))
    assert [scores(future) for future in futures] == [[n] for n in range(1, 13)]
    assert scores(together) == list(range(20, 31))
    batcher.close()


def test_submissions_that_wait_for_room_in_the_queue_are_all_predicted(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    with ThreadPoolExecutor(4) as threads:
        # 80 pictures are more than the queue holds.
        submitted = [threads.submit(submit, batcher, *[value] * 8) for value in range(20, 30)]
        runtime.may_continue.set()
        assert [scores(call.result()) for call in submitted] == [[value] * 8 for value in range(20, 30)]


def test_pictures_that_arrive_while_the_device_works_share_a_batch(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    futures = [submit(batcher, 2), submit(batcher, 3, 4)]
    runtime.may_continue.set()
    for future in futures:
        future.result()
    assert runtime.batches == [[1], [2, 3, 4, 0]]


def test_interactive_pictures_go_first_and_bulk_fills_the_batch(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    futures = [submit(batcher, n) for n in (2, 3, 4, 5)]
    futures.append(submit(batcher, 9, job="other", interactive=True))
    runtime.may_continue.set()
    for future in futures:
        future.result()
    assert runtime.batches == [[1], [9, 2, 3, 4], [5]]


def test_a_failed_batch_fails_only_the_picture_that_caused_it(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    together, apart = submit(batcher, 11, 12, 13), submit(batcher, 14)
    runtime.may_continue.set()
    found = together.result()
    assert isinstance(found[2], ModelFailed)
    assert "unlucky" in found[2].detail
    assert [int(answer.scores[0]) for answer in found[:2]] == [11, 12]
    assert [int(answer.embedding[0]) for answer in found[:2]] == [22, 24]
    assert scores(apart) == [14]


def test_batches_too_large_for_the_device_are_halved_from_then_on(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    runtime.memory = 2
    futures = [submit(batcher, n) for n in (2, 3, 4, 5)]
    runtime.may_continue.set()
    assert [scores(future) for future in futures] == [[2], [3], [4], [5]]
    assert runtime.batches == [[1], [2, 3, 4, 5], [2], [3], [4], [5]]
    runtime.batches.clear()
    for future in [submit(batcher, n) for n in (6, 7, 8, 9)]:
        future.result()
    assert sorted(runtime.batches) == [[6], [7], [8], [9]]


def test_a_canceled_picture_never_reaches_the_device(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    canceled, other = submit(batcher, 2), submit(batcher, 3)
    assert canceled.cancel()
    runtime.may_continue.set()
    other.result()
    assert 2 not in [value for batch in runtime.batches for value in batch]


def test_the_age_of_the_oldest_batch_grows_while_the_device_hangs(held: tuple[Echo, Batcher]) -> None:
    runtime, batcher = held
    assert batcher.seconds_on_oldest_batch() < batcher.seconds_on_oldest_batch()
    runtime.may_continue.set()
    submit(batcher, 2).result()
    batcher.close()
    assert batcher.seconds_on_oldest_batch() == 0


def test_closing_finishes_the_queued_pictures() -> None:
    runtime = Echo()
    runtime.may_continue.clear()
    batcher = Batcher(runtime)
    futures = [submit(batcher, n) for n in range(1, 7)]
    runtime.may_continue.set()
    batcher.close()
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="closed"):
        submit(batcher, 1)


class WithExpress(Echo):
    has_express_slot = True


def test_an_interactive_picture_uses_the_express_slot_while_a_bulk_batch_runs() -> None:
    runtime = WithExpress()
    batcher = Batcher(runtime, Ticks())
    runtime.may_continue.clear()
    bulk = [submit(batcher, n) for n in (1, 2, 3, 4)]
    runtime.started.acquire()
    interactive = submit(batcher, 9, job="other", interactive=True)
    # The device still works on the bulk batch when the interactive picture reaches it.
    runtime.started.acquire()
    assert [9] in runtime.batches
    assert not any(future.done() for future in bulk)
    runtime.may_continue.set()
    assert scores(interactive) == [9]
    assert [scores(future) for future in bulk] == [[1], [2], [3], [4]]
    batcher.close()
