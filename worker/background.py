"""Threads that do the work that waits in the database. A Celery task only wakes them, and returns at once."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import structlog

from db.database import TRANSIENT_ERRORS

log = structlog.get_logger(__name__)

Work = TypeVar("Work")


class BackgroundThreads(ABC, Generic[Work]):
    """Up to `max_threads` threads that take one piece of work after another until none waits, and then end."""

    def __init__(self, name: str, max_threads: int) -> None:
        self.stopping = threading.Event()
        self._name = name
        self._max_threads = max_threads
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._look_again = False
        """Set by a wake-up while all threads are busy. A thread may have found nothing just before the wake-up, so it
        must look once more before it ends."""

    @abstractmethod
    def _take(self) -> Work | None:
        """Return the next piece of work, or None if nothing waits."""

    @abstractmethod
    def _do(self, work: Work) -> None:
        """Do a piece of work that `_take` returned."""

    def wake(self) -> None:
        """Have the waiting work done in the background: start a thread, or have a running one look again."""
        with self._lock:
            self._look_again = True
            self._start_thread()

    def stop(self) -> None:
        """Begin no more work."""
        self.stopping.set()

    def close(self) -> None:
        """Begin no more work, and return when the running work is done."""
        self.stop()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def run_pending(self) -> int:
        """Do the waiting work in the calling thread until none is left. Return the number of pieces done."""
        done = 0
        while (work := self._take()) is not None:
            self._do(work)
            done += 1
        return done

    def _start_thread(self) -> None:
        """Start another thread unless the limit is reached or a stop was asked for. The caller holds the lock."""
        if not self.stopping.is_set() and len(self._threads) < self._max_threads:
            self._look_again = False
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._threads.add(thread)
            thread.start()

    def _run(self) -> None:
        try:
            while not self.stopping.is_set():
                work = self._take()
                if work is not None:
                    with self._lock:
                        # More work may wait, so another thread looks while this one is busy.
                        self._start_thread()
                    self._do(work)
                elif self._may_end():
                    return
        except TRANSIENT_ERRORS as error:
            log.warning(
                "background_work_interrupted", work=self._name, reason=str(error.orig), until="the next wake-up"
            )
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _may_end(self) -> bool:
        """Return whether the calling thread may end, and if so take it off the list of running threads."""
        with self._lock:
            if self._look_again:
                self._look_again = False
                return False
            self._threads.discard(threading.current_thread())
            return True
