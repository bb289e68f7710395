"""The limit on the memory of a decoder process. Linux enforces it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path

ROOM = 2 * 2**30
"""Bytes by which the limit grows while something is loaded. OpenVINO with a small network takes 0.5 GB of it."""
_SHARED_BYTES = 32 * 2**20
"""Memory that the limit does not count but that a decoder may still touch: code of libraries, and pixel slots."""


class MemoryLimit:
    """A limit in bytes of resident memory. It can be raised for what a decoder loads once.

    Linux limits private memory (RLIMIT_DATA), which it counts when it is allocated. What a process has allocated but
    not used when the limit applies is therefore left out of the account.
    """

    def __init__(self, resident: int) -> None:
        self.resident = resident
        self._private = 0

    def apply(self) -> None:
        """Apply the limit to this process, which has loaded all that it needs for pictures."""
        resident, private = _memory()
        self._private = private + max(0, self.resident - resident - _SHARED_BYTES)
        _limit(self._private)

    def load(self, loading: Callable[[], None]) -> None:
        """Call `loading` with more room, then raise the limit by the memory that it took."""
        _, before = _memory()
        _limit(self._private + ROOM)
        try:
            loading()
        finally:
            self._private += max(0, _memory()[1] - before)
            _limit(self._private)


def _limit(soft: int) -> None:
    if sys.platform == "linux":
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _memory() -> tuple[int, int]:
    """Return the resident and the private memory of this process in bytes (proc(5), statm)."""
    status = Path("/proc/self/statm")
    if not status.exists():
        return 0, 0
    _, resident, _, _, _, private, _ = (int(pages) * resource.getpagesize() for pages in status.read_text().split())
    return resident, private
