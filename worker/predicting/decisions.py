"""What the batcher decides: how many pictures go to the device now, or how long to wait for more. Pure code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FORGETTING = 0.1
"""Weight of the newest measurement in the running means: the last twenty or so count."""

WINDOW_SECONDS = 0.02
"""Longest time that a batch waits for company, whatever the gain."""

PATIENCE = 1.25
"""Somebody in a hurry waits at most this factor longer so that bulk work can come along."""

MIN_SAVING = 1.05
"""A larger batch has to save this factor per picture."""


class CostModel:
    """Seconds that a batch takes, fitted as a·n + b over the batch sizes as they run."""

    def __init__(self) -> None:
        self._means: dict[int, float] = {}
        self._line = (0.0, 0.0)

    def observe(self, size: int, seconds: float) -> None:
        """A batch of `size` (padding included) took `seconds`."""
        known = self._means.get(size)
        self._means[size] = seconds if known is None else known + FORGETTING * (seconds - known)
        self._line = self._fitted()

    def line(self) -> tuple[float, float]:
        """(a, b): seconds per picture and per batch; the least-squares line through the means of the sizes."""
        return self._line

    def _fitted(self) -> tuple[float, float]:
        points = list(self._means.items())
        if len(points) == 1:
            return points[0][1] / points[0][0], 0.0
        mean_n = sum(n for n, _ in points) / len(points)
        mean_t = sum(t for _, t in points) / len(points)
        spread = sum((n - mean_n) ** 2 for n, _ in points)
        slope = sum((n - mean_n) * (t - mean_t) for n, t in points) / spread
        return slope, mean_t - slope * mean_n

    def seconds(self, size: int) -> float:
        """What a batch of `size` is expected to take."""
        slope, fixed = self._line
        return max(slope * size + fixed, 0.0)


class Arrivals:
    """How long it takes, on average of late, until others come; those that come together come once."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._mean = math.inf

    def observe(self, now: float) -> None:
        if self._last is not None:
            gap = now - self._last
            self._mean = gap if math.isinf(self._mean) else self._mean + FORGETTING * (gap - self._mean)
        self._last = now

    def interval(self, now: float) -> float:
        """Seconds until the next one; a silence longer than the mean is the better guess."""
        if self._last is None:
            return math.inf
        return max(self._mean, now - self._last)


@dataclass(frozen=True, slots=True)
class Launch:
    """Predict the first `pictures` in turn as a batch of `size`, the rest of it padding."""

    size: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again after `seconds`, or when another picture has come."""

    seconds: float


def decide(
    waiting: int,
    sizes: Sequence[int],
    costs: CostModel,
    interval: float,
    opened: float,
    now: float,
    *,
    hurried: int = 0,
) -> Launch | Wait:
    """What to do for a device that is free now.

    Args:
        waiting: pictures that wait, at least one.
        sizes: the batch sizes that the device has prepared, ascending.
        interval: seconds until another picture may be expected.
        opened: when the first of them came: it opened the window.
        hurried: how many of them somebody waits for; they go first.

    A batch is of the size that costs least per picture; it is full when no larger one would cost less. One that is not
    full waits while its window is open and another picture may come before it closes. Bulk work loses nothing by that:
    a device faster than its pictures come would only idle, and to a slower one they queue. If somebody is in a hurry,
    the batch is as large as those in a hurry need, or larger where that takes hardly longer; the others fill its room.
    It waits only while another picture would save the device more time than the wait for that picture takes.
    """
    launch = _cheapest(waiting, sizes, costs) if not hurried else _with_bulk(hurried, waiting, sizes, costs)
    closes = opened + WINDOW_SECONDS
    if now + interval >= closes or waiting >= _cheapest(sizes[-1], sizes, costs).size:
        return launch
    if not hurried:
        return Wait(closes - now)
    apart = launch_seconds(waiting, sizes, costs) + costs.seconds(sizes[0])
    together = launch_seconds(waiting + 1, sizes, costs)
    return Wait(interval) if interval < apart - together else launch


def _with_bulk(hurried: int, waiting: int, sizes: Sequence[int], costs: CostModel) -> Launch:
    alone = _cheapest(hurried, sizes, costs)
    bearable = PATIENCE * costs.seconds(alone.size)
    # A larger batch than there are pictures for has nothing to offer.
    room = [size for size in sizes if size > alone.size and costs.seconds(size) <= bearable and size // 2 < waiting]
    size = max(room, default=alone.size)
    return Launch(size, min(size, waiting))


def launch_seconds(waiting: int, sizes: Sequence[int], costs: CostModel) -> float:
    """What the device needs for `waiting` pictures, batch after batch of the cheapest size."""
    total = 0.0
    while waiting > 0:
        batch = _cheapest(waiting, sizes, costs)
        total += costs.seconds(batch.size)
        waiting -= batch.pictures
    return total


def _cheapest(waiting: int, sizes: Sequence[int], costs: CostModel) -> Launch:
    prices = {size: costs.seconds(size) / min(size, waiting) for size in sizes}
    # Small batches free the device sooner for whoever is in a hurry: a larger one has to be worth it.
    size = next(size for size in sizes if prices[size] <= min(prices.values()) * MIN_SAVING)
    return Launch(size, min(size, waiting))
