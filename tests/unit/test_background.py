from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from worker.background import BackgroundThreads

SECONDS = 10.0


class Letters(BackgroundThreads[str]):
    """A consumer that takes letters from a queue and treats each as the test says."""

    def __init__(self, do: Callable[[str], None], max_threads: int = 1) -> None:
        super().__init__("letters", max_threads)
        self.waiting: SimpleQueue[str] = SimpleQueue()
        self.done: list[str] = []
        self.looked = threading.Semaphore(0)
        """Released each time the queue is found empty."""
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


def test_one_wake_processes_all_waiting_work() -> None:
    letters = Letters(lambda _: None)
    letters.put("abc")
    letters.wake()
    assert letters.looked.acquire(timeout=SECONDS)
    letters.close()
    assert letters.done == ["a", "b", "c"]


def test_work_runs_in_at_most_max_threads_threads() -> None:
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


def test_a_wake_during_the_last_look_is_not_lost() -> None:
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


def test_stopping_finishes_the_current_work_and_starts_no_more() -> None:
    started, continue_ = threading.Event(), threading.Event()

    def wait_for_the_test(_: str) -> None:
        started.set()
        assert continue_.wait(SECONDS)

    letters = Letters(wait_for_the_test)
    letters.put("ab")
    letters.wake()
    assert started.wait(SECONDS)
    letters.stop()
    letters.wake()
    continue_.set()
    letters.close()
    assert letters.done == ["a"]
    assert letters.waiting.qsize() == 1
