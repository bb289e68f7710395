"""Working off what waits in the database, in threads of its own: tasks only wake them, and go on."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import structlog

from db.database import TRANSIENT_ERRORS

log = structlog.get_logger(__name__)

Work = TypeVar("Work")


class BackgroundThreads(ABC, Generic[Work]):
    """Takes one thing after the other until none waits, in up to `at_once` threads of a worker process."""

    def __init__(self, name: str, at_once: int) -> None:
        self.stopping = threading.Event()
        self._name = name
        self._at_once = at_once
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._asked = False
        """Whether it was woken while as many threads as may be were at work: perhaps they had looked just before."""

    @abstractmethod
    def _take(self) -> Work | None:
        """What is to be done next, if anything waits."""

    @abstractmethod
    def _do(self, work: Work) -> None: ...

    def wake(self) -> None:
        """Have what waits worked off in the background; whoever is at it already looks again before it ends."""
        with self._lock:
            self._asked = True
            self._join_in()

    def stop(self) -> None:
        """Begin nothing more."""
        self.stopping.set()

    def close(self) -> None:
        """Stop, and wait until what is under way is done."""
        self.stop()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def run_pending(self) -> int:
        """Do what waits, one after the other, until nothing does; how many that were."""
        done = 0
        while (work := self._take()) is not None:
            self._do(work)
            done += 1
        return done

    def _join_in(self) -> None:
        """Start another thread, if there may be one. The caller has the lock."""
        if not self.stopping.is_set() and len(self._threads) < self._at_once:
            self._asked = False
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._threads.add(thread)
            thread.start()

    def _run(self) -> None:
        try:
            while not self.stopping.is_set():
                work = self._take()
                if work is not None:
                    with self._lock:
                        # There may be more: another thread looks while this one is busy.
                        self._join_in()
                    self._do(work)
                elif self._is_over():
                    return
        except TRANSIENT_ERRORS as error:
            log.warning("interrupted", work=self._name, reason=str(error.orig), until="it is asked for again")
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _is_over(self) -> bool:
        with self._lock:
            if self._asked:
                self._asked = False
                return False
            self._threads.discard(threading.current_thread())
            return True
