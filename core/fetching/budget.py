"""What one transfer may still use: time, and bytes on the wire."""

from __future__ import annotations

import time
from dataclasses import dataclass

from core.errors import FetchTooSlow, TooLarge


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How long and how large one transfer may be."""

    seconds: float = 30.0
    """The whole transfer, from resolving the name to the last byte, every redirect included."""
    max_bytes: int = 20 * 2**20
    """Of the body, both as sent and after decompression."""
    max_redirects: int = 10
    """Most redirects that are followed."""
    connect_seconds: float = 5.0
    """Longest wait for one of a host's addresses before the next is tried."""


class Budget:
    """The deadline and the bytes of one transfer, drawn on by everything that waits or receives."""

    def __init__(self, limits: FetchLimits) -> None:
        self.limits = limits
        self.wire_bytes = 0
        """Received so far, headers and framing included."""
        self._ends = time.monotonic() + limits.seconds
        self._hop_may_reach = 0
        self.next_hop()

    def next_hop(self) -> None:
        """Another server answers now: it may send a body, an eighth more for framing, and 128 KiB of headers."""
        largest = self.limits.max_bytes
        self._hop_may_reach = self.wire_bytes + largest + largest // 8 + 128 * 2**10

    def seconds_left(self, at_most: float | None = None) -> float:
        """For a socket's timeout.

        Raises:
            FetchTooSlow: nothing is left.
        """
        left = self._ends - time.monotonic()
        if left <= 0:
            raise self.too_slow()
        return left if at_most is None else min(left, at_most)

    def received(self, count: int) -> None:
        """So many bytes came.

        Raises:
            TooLarge: more than a body within the limits can need.
        """
        self.wire_bytes += count
        if self.wire_bytes > self._hop_may_reach:
            raise self.too_large()

    def too_slow(self) -> FetchTooSlow:
        return FetchTooSlow(f"expected the whole transfer within {self.limits.seconds:g} s, it had not ended by then")

    def too_large(self, came: str = "the server sends more") -> TooLarge:
        return TooLarge(f"expected at most {self.limits.max_bytes} bytes, {came}")
