"""Samplers: which pictures an epoch has, and in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from classifier.learning.training.recipe_parts import Sampler

_EXPONENTS: dict[Sampler, float] = {"natural": 1.0, "square_root": 0.5, "balanced": 0.0}
"""A label with n pictures is drawn in proportion to n to this power."""


def drawn_counts(counts: NDArray[np.int64], sampler: Sampler) -> NDArray[np.int64]:
    """Return how many pictures of each label an epoch draws: int64 [labels], with the same sum as `counts`."""
    if sampler == "natural":
        return counts
    shares = np.where(counts > 0, np.maximum(counts, 1) ** _EXPONENTS[sampler], 0.0)
    exact = counts.sum() * shares / shares.sum()
    drawn: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    # The largest remainders are rounded up, so that the sum stays.
    drawn[np.argsort(drawn - exact, kind="stable")[: counts.sum() - drawn.sum()]] += 1
    return drawn


def epoch_order(labels: NDArray[np.int64], sampler: Sampler, random: np.random.Generator) -> NDArray[np.int64]:
    """Return the positions of the pictures in a random order of an epoch: int64 [N] for labels int64 [N].

    With `natural`, each picture comes once. The other samplers draw as many pictures, and none a second time before
    all others of its label have come.
    """
    if sampler == "natural":
        return random.permutation(len(labels))
    drawn = drawn_counts(np.bincount(labels), sampler)
    chosen = [_draw(np.flatnonzero(labels == label), count, random) for label, count in enumerate(drawn) if count]
    return random.permutation(np.concatenate(chosen))


def _draw(positions: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    rounds = -(-count // len(positions))
    return np.concatenate([random.permutation(positions) for _ in range(rounds)])[:count]
