"""Decide the size of the next batch: see `decide_batch_size`. Pure code, without threads and without a clock.

The decision rests on what each batch size has cost so far (`CostModel`), and on when the next picture is expected
(`ArrivalEstimate`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NEWEST_WEIGHT = 0.1
"""Weight of the newest measurement in the running means. The last twenty or so measurements then matter."""

BATCH_WINDOW_SECONDS = 0.02
"""Longest time that a batch waits for more pictures, however much it could gain."""

MAX_SLOWDOWN = 1.25
"""Factor by which an interactive batch may take longer so that bulk pictures fill it up."""

MIN_SAVING_FACTOR = 1.05
"""Factor by which a larger batch must be cheaper per picture to be preferred to a smaller one."""


class CostModel:
    """Estimates how many seconds a batch takes, from the batches that have run. The estimate is a·size + b."""

    def __init__(self) -> None:
        self._means: dict[int, float] = {}
        self._line = (0.0, 0.0)

    def observe(self, size: int, seconds: float) -> None:
        """Take into account that a batch of `size`, padding included, took `seconds`."""
        mean = self._means.get(size)
        self._means[size] = seconds if mean is None else mean + NEWEST_WEIGHT * (seconds - mean)
        self._line = self._fitted()

    def line(self) -> tuple[float, float]:
        """Return (a, b), the seconds per picture and per batch: the least-squares line through each size's mean."""
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
        """Return the seconds that a batch of `size` is expected to take."""
        slope, fixed = self._line
        return max(slope * size + fixed, 0.0)


class ArrivalEstimate:
    """Estimates when the next pictures arrive, from the recent gaps between arrivals.

    Pictures that arrive together count as one arrival.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._mean_gap = math.inf

    def observe(self, now: float) -> None:
        """Take into account that pictures arrive now."""
        if self._last is not None:
            gap = now - self._last
            self._mean_gap = (
                gap if math.isinf(self._mean_gap) else self._mean_gap + NEWEST_WEIGHT * (gap - self._mean_gap)
            )
        self._last = now

    def seconds_to_next(self, now: float) -> float:
        """Return the seconds until the next arrival is expected.

        This is the mean gap, or the time since the last arrival if that is longer.
        """
        if self._last is None:
            return math.inf
        return max(self._mean_gap, now - self._last)


@dataclass(frozen=True, slots=True)
class LaunchBatch:
    """Decision: predict the first `pictures` of the queue now, in a batch of `size`. Padding fills the rest of it."""

    size: int
    pictures: int


@dataclass(frozen=True, slots=True)
class WaitForMore:
    """Decision: decide again after `seconds`, or as soon as another picture has arrived."""

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
    """Decide for a device that is free now: return the batch to launch, or how long to wait for more pictures.

    Args:
        waiting: number of pictures that wait, at least 1.
        sizes: the batch sizes that the device has prepared, ascending.
        costs: what a batch of each size is expected to take.
        seconds_to_next: seconds until another picture is expected.
        window_opened: when the picture arrived that has waited longest. The batch window begins there.
        interactive: how many of the waiting pictures are interactive. They go first.

    Without interactive pictures, the batch has the size that costs least per picture. It is full if no larger size
    would cost less. A batch that is not full waits while its window is open and another picture is expected before the
    window closes. Bulk pictures lose nothing by that wait: if the device is faster than the pictures arrive, it would
    be idle anyway, and if it is slower, the pictures would queue anyway.

    With interactive pictures, the batch is as large as these need, or larger if that takes hardly longer; bulk pictures
    fill it up. It waits only if one more picture in the batch saves the device more time than waiting for it takes.
    """
    if interactive:
        launch = _interactive_batch(interactive, waiting, sizes, costs)
    else:
        launch = _cheapest_batch(waiting, sizes, costs)
    window_closes = window_opened + BATCH_WINDOW_SECONDS
    if now + seconds_to_next >= window_closes or waiting >= _cheapest_batch(sizes[-1], sizes, costs).size:
        return launch
    if not interactive:
        return WaitForMore(window_closes - now)
    seconds_apart = device_seconds(waiting, sizes, costs) + costs.seconds(sizes[0])
    seconds_together = device_seconds(waiting + 1, sizes, costs)
    return WaitForMore(seconds_to_next) if seconds_to_next < seconds_apart - seconds_together else launch


def _interactive_batch(interactive: int, waiting: int, sizes: Sequence[int], costs: CostModel) -> LaunchBatch:
    """Return the batch for the interactive pictures, made larger for bulk pictures if it stays nearly as fast."""
    needed = _cheapest_batch(interactive, sizes, costs).size
    max_seconds = MAX_SLOWDOWN * costs.seconds(needed)
    # A larger size is of use only if there are enough pictures for more than half of it.
    larger = [size for size in sizes if size > needed and costs.seconds(size) <= max_seconds and size // 2 < waiting]
    size = max(larger, default=needed)
    return LaunchBatch(size, min(size, waiting))


def device_seconds(waiting: int, sizes: Sequence[int], costs: CostModel) -> float:
    """Return the seconds that the device needs for `waiting` pictures, in batches of the cheapest size."""
    total = 0.0
    while waiting > 0:
        batch = _cheapest_batch(waiting, sizes, costs)
        total += costs.seconds(batch.size)
        waiting -= batch.pictures
    return total


def _cheapest_batch(waiting: int, sizes: Sequence[int], costs: CostModel) -> LaunchBatch:
    """Return the batch that costs least per picture. If several cost nearly the same, return the smallest."""
    prices = {size: costs.seconds(size) / min(size, waiting) for size in sizes}
    # A smaller batch frees the device sooner for interactive pictures, so a larger one must be clearly cheaper.
    size = next(size for size in sizes if prices[size] <= min(prices.values()) * MIN_SAVING_FACTOR)
    return LaunchBatch(size, min(size, waiting))
