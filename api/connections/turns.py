"""Turns: how many requests of a process run at the same time. A request that waits for somebody lends its turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import cast

from flask import request

TURNS = "lookbook.turns"
"""The member of a request's WSGI environment that holds the turns of its process."""


class Turns:
    """The turns of one process."""

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(count)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a turn, and have it during the block."""
        with self._free:
            yield

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let others have the turn during the block. The thread of the block must have one."""
        self._free.release()
        try:
            yield
        finally:
            self._free.acquire()


def lend_turn() -> AbstractContextManager[None]:
    """Let other requests run during the block, because the current request only waits in it."""
    turns = cast("Turns | None", request.environ.get(TURNS))
    # A request that did not come through our server, for example in a test, has no turn.
    return turns.lent() if turns is not None else nullcontext()
