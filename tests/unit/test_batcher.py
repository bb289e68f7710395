from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import ModelFailed
from worker.batcher import Batcher, Lanes, _Waiting

SIDE = 2


class Echo:
    """A runtime whose score is the picture's first byte; it fails on 13, and holds back until allowed to go on."""

    name = "openvino"
    device = "CPU"
    precision = "f32"
    batch_sizes = (1, 4)
    slots = 1

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.go_on.set()

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        values = pixels[:, 0, 0, 0].astype(np.float32)
        self.batches.append([int(value) for value in values])
        self.started.release()
        self.go_on.wait()
        if 13 in values:
            raise RuntimeError("unlucky")
        return values[:, None]

    def close(self) -> None:
        return


def picture(value: int) -> NDArray[np.uint8]:
    return np.full((SIDE, SIDE, 3), value, np.uint8)


def waiting(value: int) -> _Waiting:
    return _Waiting(picture(value))


def test_interactive_comes_first_and_bulk_fills_the_rest_earliest_first() -> None:
    lanes = Lanes()
    bulk, urgent = [waiting(n) for n in range(4)], [waiting(n) for n in range(2)]
    for one in bulk:
        lanes.add(one, interactive=False)
    for one in urgent:
        lanes.add(one, interactive=True)
    assert lanes.take(4) == [*urgent, *bulk[:2]]
    assert lanes.take(4) == bulk[2:]
    assert lanes.take(4) == []


def test_every_picture_gets_its_own_scores() -> None:
    batcher = Batcher(Echo())
    futures = [batcher.submit(picture(n), interactive=n % 3 == 0) for n in range(12)]
    assert [int(future.result()[0]) for future in futures] == list(range(12))
    batcher.close()


def test_pictures_that_gather_while_the_device_works_go_together() -> None:
    runtime = Echo()
    runtime.go_on.clear()
    batcher = Batcher(runtime)
    first = batcher.submit(picture(1), interactive=False)
    runtime.started.acquire()
    others = [batcher.submit(picture(n), interactive=False) for n in (2, 3, 4)]
    runtime.go_on.set()
    for future in (first, *others):
        future.result()
    assert runtime.batches == [[1], [2, 3, 4]]
    batcher.close()


def test_a_batch_that_fails_costs_only_the_picture_that_it_fails_on() -> None:
    runtime = Echo()
    runtime.go_on.clear()
    batcher = Batcher(runtime)
    batcher.submit(picture(0), interactive=False)
    runtime.started.acquire()
    futures = {n: batcher.submit(picture(n), interactive=False) for n in (11, 12, 13, 14)}
    runtime.go_on.set()
    with pytest.raises(ModelFailed, match="unlucky"):
        futures.pop(13).result()
    assert {n: int(future.result()[0]) for n, future in futures.items()} == {11: 11, 12: 12, 14: 14}
    batcher.close()


def test_closing_finishes_what_is_queued() -> None:
    runtime = Echo()
    runtime.go_on.clear()
    batcher = Batcher(runtime)
    futures = [batcher.submit(picture(n), interactive=False) for n in range(6)]
    runtime.go_on.set()
    batcher.close()
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit(picture(1), interactive=False)
