"""Drift: how far the predictions of a job or a week are from those on the validation pictures of the model.

The measure is the population stability index (N. Siddiqi, "Credit Risk Scorecards", 2006, chapter 8): the sum over all
bins of (q - p) ln(q / p), for the shares p of the expected and q of the observed counts. It is 0 for equal shares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

MODERATE_INDEX, STRONG_INDEX = 0.1, 0.25
"""Below the first, a shift counts as small, and above the second as large (Siddiqi 2006)."""
MIN_PICTURES = 50
"""With fewer pictures, an index says little about the pictures to come."""
_PRIOR = 0.5
"""Is added to each count, so that an empty bin has a finite index (Jeffreys' prior)."""
_Z_95 = 1.645
"""The 95 % quantile of the standard normal distribution."""


class Drift(StrEnum):
    """How far counts have drifted."""

    NONE = "none"
    MODERATE = "moderate"
    STRONG = "strong"


def stability_index(expected: Sequence[int], observed: Sequence[int]) -> float:
    """Return the population stability index of two counts of the same bins. Bins that both lack do not count."""
    pairs = [(e + _PRIOR, o + _PRIOR) for e, o in zip(expected, observed, strict=True) if e or o]
    all_expected, all_observed = (sum(column) for column in zip(*pairs, strict=True)) if pairs else (1.0, 1.0)
    return math.fsum(
        (o / all_observed - e / all_expected) * math.log((o / all_observed) / (e / all_expected)) for e, o in pairs
    )


def judge(expected: Sequence[int], observed: Sequence[int]) -> Drift | None:
    """Return how far the observed counts have drifted. None: there are too few pictures to tell.

    An index that chance explains is no drift. Without any, it is distributed like (1/N + 1/M) times a chi-square with
    one degree of freedom less than there are bins (B. Yurdakul, "Statistical Properties of Population Stability Index",
    2018). The 95 % quantile of the chi-square is approximated by Wilson and Hilferty (1931).
    """
    if min(sum(expected), sum(observed)) < MIN_PICTURES:
        return None
    index = stability_index(expected, observed)
    freedom = max(1, sum(1 for e, o in zip(expected, observed, strict=True) if e or o) - 1)
    quantile = freedom * (1 - 2 / (9 * freedom) + _Z_95 * math.sqrt(2 / (9 * freedom))) ** 3
    by_chance = quantile * (1 / sum(expected) + 1 / sum(observed))
    if index <= max(MODERATE_INDEX, by_chance):
        return Drift.NONE
    return Drift.STRONG if index > max(STRONG_INDEX, by_chance) else Drift.MODERATE
