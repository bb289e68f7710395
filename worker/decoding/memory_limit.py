"""The limit on the address space of a decoder process. Linux enforces it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path

ROOM = 2 * 2**30
"""Bytes by which the limit may grow. OpenVINO with a small network takes 0.5 GB, most of it without using it."""


class MemoryLimit:
    """A limit in bytes. It can be raised for what a decoder loads once, so that as much is left for pictures."""

    def __init__(self, address_space: int) -> None:
        self._bytes = address_space

    def apply(self) -> None:
        """Apply the limit to this process."""
        self._set(self._bytes)

    def load(self, loading: Callable[[], None]) -> None:
        """Call `loading` with more room, then raise the limit by the address space that it took."""
        before = _address_space()
        self._set(self._bytes + ROOM)
        try:
            loading()
        finally:
            self._bytes += max(0, _address_space() - before)
            self.apply()

    def _set(self, soft: int) -> None:
        if sys.platform == "linux":
            hard = resource.getrlimit(resource.RLIMIT_AS)[1]
            resource.setrlimit(resource.RLIMIT_AS, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _address_space() -> int:
    status = Path("/proc/self/statm")
    if not status.exists():
        return 0
    return int(status.read_text("ascii").split()[0]) * resource.getpagesize()
