from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from worker.background import BackgroundThreads

SECONDS = 10.0


class Letters(BackgroundThreads[str]):
    """Works off a queue; what is done with each is up to the test."""

    def __init__(self, do: Callable[[str], None], max_threads: int = 1) -> None:
        super().__init__("letters", max_threads)
        self.waiting: SimpleQueue[str] = SimpleQueue()
        self.done: list[str] = []
        self.looked = threading.Semaphore(0)
        """Released whenever nothing was found."""
        self._handle = do

    def put(self, letters: str) -> None:
        for letter in letters:
            self.waiting.put(letter)

    def _take(self) -> str | None:
        try:
            return self.waiting.get_nowait()
        except Empty:
            self.looked.release()
            return None

    def _do(self, work: str) -> None:
        self._handle(work)
        self.done.append(work)


def test_one_wake_works_off_all_that_waits() -> None:
    letters = Letters(lambda _: None)
    letters.put("abc")
    letters.wake()
    assert letters.looked.acquire(timeout=SECONDS)
    letters.close()
    assert letters.done == ["a", "b", "c"]


def test_as_many_work_max_threads_as_may_and_no_more() -> None:
    together = threading.Barrier(3, timeout=SECONDS)

    def wait_for_two_others(_: str) -> None:
        together.wait()

    letters = Letters(wait_for_two_others, max_threads=3)
    letters.put("abcdef")
    letters.wake()
    for _ in range(3):
        assert letters.looked.acquire(timeout=SECONDS)
    letters.close()
    assert sorted(letters.done) == list("abcdef")


def test_who_is_woken_after_it_has_looked_for_the_last_time_looks_once_more() -> None:
    class WokenTooLate(Letters):
        def _take(self) -> str | None:
            found = super()._take()
            if found is None and not self.done:
                self.put("a")
                self.wake()
            return found

    letters = WokenTooLate(lambda _: None)
    letters.wake()
    for _ in range(2):
        assert letters.looked.acquire(timeout=SECONDS)
    letters.close()
    assert letters.done == ["a"]


def test_what_is_stopped_finishes_what_it_has_in_hand_and_begins_nothing_more() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(_: str) -> None:
        begun.set()
        assert go_on.wait(SECONDS)

    letters = Letters(slowly)
    letters.put("ab")
    letters.wake()
    assert begun.wait(SECONDS)
    letters.stop()
    letters.wake()
    go_on.set()
    letters.close()
    assert letters.done == ["a"]
    assert letters.waiting.qsize() == 1
