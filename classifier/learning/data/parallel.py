"""Calls a function for many values in threads, and returns the results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_WAITING = 256
"""Number of calls that wait or run at the same time. `Executor.map` would start all of them, a million for an index."""

A = TypeVar("A")
B = TypeVar("B")


def in_order(pool: ThreadPoolExecutor, function: Callable[[A], B], values: Iterable[A]) -> Iterator[B]:
    """Yield the results in the order of the values. A call starts only if few calls are unfinished."""
    waiting: deque[Future[B]] = deque()
    try:
        for value in values:
            waiting.append(pool.submit(function, value))
            if len(waiting) >= _WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
