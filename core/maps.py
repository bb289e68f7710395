"""The map of a job: its pictures as points in a square, so that similar pictures are near each other.

Coordinates are whole numbers from 0 to `SIDE - 1`. They grow to the right and downwards, as on a screen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

SIDE = 2**16
"""Number of places along each side of the square."""
MIN_POINTS = 20
"""A map of fewer pictures would show chance and no likeness."""
MAX_POINTS = 50_000
"""A map of a job with more pictures shows a random sample of this size. docs/benchmarks.md has its time."""
MAX_CORNERS = 200
"""The most corners of an area."""
SEED = 1
"""The seed of the sample and of the layout. The same vectors therefore always get the same map."""

_POINT = np.dtype([("position", "<i4"), ("x", "<u2"), ("y", "<u2")])


@dataclass(frozen=True, slots=True)
class Points:
    """The points of a map, in the order of the positions of their items."""

    positions: NDArray[np.int32]
    """The positions of the items in the job."""
    places: NDArray[np.uint16]
    """x and y of each point, of shape `[n, 2]`."""

    def encode(self) -> bytes:
        """Return the points in 8 bytes each: position, x and y, little endian."""
        packed = np.empty(len(self.positions), _POINT)
        packed["position"] = self.positions
        packed["x"], packed["y"] = self.places[:, 0], self.places[:, 1]
        return packed.tobytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the points that `encode` has packed."""
        packed = np.frombuffer(data, _POINT)
        return cls(packed["position"], np.stack([packed["x"], packed["y"]], axis=1))


def sample(count: int) -> NDArray[np.intp] | None:
    """Return which of `count` pictures a map shows, in ascending order. None means all of them."""
    if count <= MAX_POINTS:
        return None
    return np.sort(np.random.default_rng(SEED).choice(count, MAX_POINTS, replace=False))


@dataclass(frozen=True, slots=True)
class Area:
    """A polygon on a map."""

    revision: int
    """The revision of the map on which the polygon was drawn."""
    corners: tuple[tuple[int, int], ...]
    """x and y of each corner. The last one is connected to the first one."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an area such as `1_0-0_900-0_900-900`: the revision of the map, and x and y of 3 to 200 corners.

        Raises:
            ValueError: the text is not an area. The message says what is expected.
        """
        revision, _, rest = text.partition("_")
        corners = [re.fullmatch(r"(\d{1,5})-(\d{1,5})", corner) for corner in rest.split("_")]
        if not re.fullmatch(r"\d{1,9}", revision) or not all(corners) or not 3 <= len(corners) <= MAX_CORNERS:
            raise ValueError(
                f"expected the revision of a map and x-y of 3 to {MAX_CORNERS} corners, such as "
                f"`1_0-0_900-0_900-900`; got {text[:100]!r}"
            )
        numbers = tuple((int(corner[1]), int(corner[2])) for corner in corners if corner)
        return cls(int(revision), numbers)

    def positions(self, points: Points) -> list[int]:
        """Return the positions of the items whose points are inside of the polygon (even-odd rule)."""
        x, y = points.places[:, 0].astype(np.float64), points.places[:, 1].astype(np.float64)
        inside = np.zeros(len(x), bool)
        for (ax, ay), (bx, by) in zip(self.corners, (*self.corners[1:], self.corners[0]), strict=True):
            if ay != by:
                crosses = (ay > y) != (by > y)
                inside ^= crosses & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
        found: list[int] = points.positions[inside].tolist()
        return found
