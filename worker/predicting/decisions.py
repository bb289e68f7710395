"""What the batcher decides: how many pictures go to the device now, or how long to wait for more. Pure code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NEWEST_WEIGHT = 0.1
"""Weight of the newest measurement in the running means: the last twenty or so count."""

BATCH_WINDOW_SECONDS = 0.02
"""Longest time that a batch waits for company, whatever the gain."""

MAX_SLOWDOWN = 1.25
"""Somebody in a hurry waits at most this factor longer so that bulk work can come along."""

MIN_SAVING_FACTOR = 1.05
"""A larger batch has to save this factor per picture."""


class CostModel:
    """Seconds that a batch takes, fitted as a·n + b over the batch sizes as they run."""

    def __init__(self) -> None:
        self._means: dict[int, float] = {}
        self._line = (0.0, 0.0)

    def observe(self, size: int, seconds: float) -> None:
        """A batch of `size` (padding included) took `seconds`."""
        known = self._means.get(size)
        self._means[size] = seconds if known is None else known + NEWEST_WEIGHT * (seconds - known)
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


class ArrivalEstimate:
    """How long it takes, on average of late, until others come; those that come together come once."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._mean = math.inf

    def observe(self, now: float) -> None:
        if self._last is not None:
            gap = now - self._last
            self._mean = gap if math.isinf(self._mean) else self._mean + NEWEST_WEIGHT * (gap - self._mean)
        self._last = now

    def seconds_to_next(self, now: float) -> float:
        """Seconds until the next one; a silence longer than the mean is the better guess."""
        if self._last is None:
            return math.inf
        return max(self._mean, now - self._last)


@dataclass(frozen=True, slots=True)
class LaunchBatch:
    """Predict the first `pictures` in turn as a batch of `size`, the rest of it padding."""

    size: int
    pictures: int


@dataclass(frozen=True, slots=True)
class WaitForMore:
    """Look again after `seconds`, or when another picture has come."""

    seconds: float


def decide_batch_size(
    waiting: int,
    sizes: Sequence[int],
    costs: CostModel,
    seconds_to_next: float,
    window_opened: float,
    now: float,
    *,
    interactive: int = 0,
) -> LaunchBatch | WaitForMore:
    """What to do for a device that is free now.

    Args:
        waiting: pictures that wait, at least one.
        sizes: the batch sizes that the device has prepared, ascending.
        seconds_to_next: seconds until another picture may be expected.
        window_opened: when the first of them came: it window_opened the window.
        interactive: how many of them somebody waits for; they go first.

    A batch is of the size that costs least per picture; it is full when no larger one would cost less. One that is not
    full waits while its window is open and another picture may come before it closes. Bulk work loses nothing by that:
    a device faster than its pictures come would only idle, and to a slower one they queue. If somebody is in a hurry,
    the batch is as large as those in a hurry need, or larger where that takes hardly longer; the others fill its room.
    It waits only while another picture would save the device more time than the wait for that picture takes.
    """
    launch = (
        _cheapest_batch(waiting, sizes, costs)
        if not interactive
        else _interactive_batch(interactive, waiting, sizes, costs)
    )
    closes = window_opened + BATCH_WINDOW_SECONDS
    if now + seconds_to_next >= closes or waiting >= _cheapest_batch(sizes[-1], sizes, costs).size:
        return launch
    if not interactive:
        return WaitForMore(closes - now)
    apart = device_seconds(waiting, sizes, costs) + costs.seconds(sizes[0])
    together = device_seconds(waiting + 1, sizes, costs)
    return WaitForMore(seconds_to_next) if seconds_to_next < apart - together else launch


def _interactive_batch(interactive: int, waiting: int, sizes: Sequence[int], costs: CostModel) -> LaunchBatch:
    alone = _cheapest_batch(interactive, sizes, costs)
    bearable = MAX_SLOWDOWN * costs.seconds(alone.size)
    # A larger batch than there are pictures for has nothing to offer.
    room = [size for size in sizes if size > alone.size and costs.seconds(size) <= bearable and size // 2 < waiting]
    size = max(room, default=alone.size)
    return LaunchBatch(size, min(size, waiting))


def device_seconds(waiting: int, sizes: Sequence[int], costs: CostModel) -> float:
    """What the device needs for `waiting` pictures, batch after batch of the cheapest size."""
    total = 0.0
    while waiting > 0:
        batch = _cheapest_batch(waiting, sizes, costs)
        total += costs.seconds(batch.size)
        waiting -= batch.pictures
    return total


def _cheapest_batch(waiting: int, sizes: Sequence[int], costs: CostModel) -> LaunchBatch:
    prices = {size: costs.seconds(size) / min(size, waiting) for size in sizes}
    # Small batches free the device sooner for whoever is in a hurry: a larger one has to be worth it.
    size = next(size for size in sizes if prices[size] <= min(prices.values()) * MIN_SAVING_FACTOR)
    return LaunchBatch(size, min(size, waiting))
