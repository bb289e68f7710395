"""The time and the bytes that one transfer may still use."""

from __future__ import annotations

import time
from dataclasses import dataclass

from core.item_errors import FetchTooSlow, TooLarge


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """The longest duration and the max_body size of one transfer."""

    seconds: float = 30.0
    """Seconds for the whole transfer, from the look-up of the name to the last byte, with all redirects."""
    max_bytes: int = 20 * 2**20
    """Maximum size of the body in bytes, both before and after decompression."""
    max_redirects: int = 10
    """Maximum number of redirects that are followed."""
    connect_seconds: float = 5.0
    """Seconds to wait for one IP address of a host before the next one is tried."""
    cut: bool = False
    """Whether a body of more than `max_bytes` is cut off there. Otherwise it is an error."""


class Budget:
    """The deadline and the byte limit of one transfer. Every wait and every read uses the same budget."""

    def __init__(self, limits: FetchLimits) -> None:
        self.limits = limits
        self.wire_bytes = 0
        """Bytes received so far, including headers and framing."""
        self._ends = time.monotonic() + limits.seconds
        self._max_wire_bytes = 0
        self.next_hop()

    def next_hop(self) -> None:
        """Allow the next server to send a whole body, an eighth of that for framing, and 128 KiB of headers."""
        max_body = self.limits.max_bytes
        self._max_wire_bytes = self.wire_bytes + max_body + max_body // 8 + 128 * 2**10

    def seconds_left(self, at_most: float | None = None) -> float:
        """Return the remaining seconds, and not more than `at_most`, as a timeout for a socket.

        Raises:
            FetchTooSlow: the time is used up.
        """
        left = self._ends - time.monotonic()
        if left <= 0:
            raise self.too_slow()
        return left if at_most is None else min(left, at_most)

    def received(self, count: int) -> None:
        """Count bytes that were received.

        Raises:
            TooLarge: a body within the limits never needs that many.
        """
        self.wire_bytes += count
        if self.wire_bytes > self._max_wire_bytes:
            raise self.too_large()

    def too_slow(self) -> FetchTooSlow:
        return FetchTooSlow(f"expected the whole transfer within {self.limits.seconds:g} s, but it took longer")

    def too_large(self, actual: str = "the server sends more") -> TooLarge:
        return TooLarge(f"expected at most {self.limits.max_bytes} bytes, {actual}")
