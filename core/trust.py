"""Trust: from which confidence on the predictions of a job are right with a wanted precision.

The estimate rests on judged pictures: the validation pictures of the model, and the reviews of the job. Neither is a
random sample of the job. A person who reviews the doubtful pictures first, for example, sees many wrong predictions.
The judged pictures are therefore divided into strata of confidence, and each stratum counts with its share of the job
(post-stratification: W. G. Cochran, "Sampling Techniques", 1977, section 5A.9). This is fair as long as the pictures
that were judged within a stratum are like the others in it.

Confidences are counted in `BINS` bins of equal width. The width is a power of two, so that the bin of a confidence and
the comparison with a threshold never disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 512
"""The number of bins of confidence. A threshold is the lower edge of one."""
STRATA = (0, 256, 384, 448, 480, 496, 504, 508, 512)
"""The edges of the strata, in bins. Each stratum halves the distance to 1, because most confidences are close to 1."""
MIN_REVIEWS = 50
"""With fewer reviews in a job, only the validation pictures count."""
MIN_REVIEWS_OF_STRATUM = 5
"""With fewer reviews in a stratum, the validation pictures of the stratum stand in for it."""
MIN_JUDGED = 50
"""With fewer judged pictures above a threshold, its precision is unknown."""
MIN_JUDGED_OF_LABEL = 20
"""The same for the threshold of one label."""
_Z_95 = 1.959964
"""The 97.5 % quantile of the standard normal distribution, for intervals of 95 %."""

Counts = NDArray[np.int64]
"""Numbers of pictures by bin of confidence, [BINS]."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Pictures of which it is known whether their prediction is right, by bin of confidence."""

    pictures: Counts
    right: Counts

    @classmethod
    def none(cls) -> Judged:
        return cls(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64))

    @classmethod
    def of(cls, rows: Iterable[Sequence[int]]) -> Judged:
        """Return the pictures of rows of bin, pictures and right ones, as `count_validation` makes them."""
        judged = cls.none()
        for number, pictures, right in rows:
            judged.pictures[number] += pictures
            judged.right[number] += right
        return judged

    @property
    def total(self) -> int:
        return int(self.pictures.sum())


@dataclass(frozen=True, slots=True)
class Estimate:
    """The precision of the predictions above a threshold."""

    threshold: float
    precision: float
    low: float
    """The lower end of the 95 % interval, as `high` is the upper one."""
    high: float
    judged: int
    """The judged pictures above the threshold."""
    accepted: int
    """The pictures of the job above the threshold."""


def bin_of(confidence: float) -> int:
    """Return the bin of a confidence. Exactly 1 belongs to the last bin."""
    return min(int(confidence * BINS), BINS - 1)


def wilson(share: float, count: float) -> tuple[float, float]:
    """Return the 95 % score interval of a share that was observed in `count` > 0 trials.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927. `count` may be the
    effective size of a weighted sample, which is no whole number.
    """
    z2 = _Z_95**2
    centre = share + z2 / (2 * count)
    spread = _Z_95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, (centre - spread) / (1 + z2 / count)), min(1.0, (centre + spread) / (1 + z2 / count))


def count_validation(
    scores: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], ids: Sequence[str]
) -> dict[str, list[list[int]]]:
    """Return the validation pictures of each predicted label as rows of bin, pictures and right ones.

    `scores` float [N, labels] are softmax scores, `labels` int [N] the true labels, and `ids` the labels in the order
    of the scores.
    """
    counts: dict[str, dict[int, list[int]]] = {}
    for row, label in zip(scores, labels, strict=True):
        predicted = int(row.argmax())
        number = bin_of(float(row[predicted]))
        count = counts.setdefault(ids[predicted], {}).setdefault(number, [number, 0, 0])
        count[1] += 1
        count[2] += int(predicted == label)
    return {label: [bins[number] for number in sorted(bins)] for label, bins in counts.items()}


def reviews_count(validation: Judged, reviews: Judged, of: slice, least: int = MIN_REVIEWS) -> bool:
    """Return whether the reviews count in the bins of a stratum. Otherwise the validation pictures do.

    `least`: how many reviews there must be in all strata together.
    """
    enough = reviews.pictures[of].sum() >= MIN_REVIEWS_OF_STRATUM or not validation.pictures[of].any()
    return reviews.total >= least and bool(enough)


def combined(validation: Judged, reviews: Judged, least: int = MIN_REVIEWS) -> Judged:
    """Return the judged pictures that count: by stratum the reviews, or the validation pictures if reviews are few."""
    pictures, right = validation.pictures.copy(), validation.right.copy()
    for low, high in strata():
        of = slice(low, high)
        if reviews_count(validation, reviews, of, least):
            pictures[of], right[of] = reviews.pictures[of], reviews.right[of]
    return Judged(pictures, right)


def estimate(judged: Judged, job: Counts, first_bin: int) -> Estimate | None:
    """Return the precision of the predictions of a job from a bin on. None: no picture above it was judged.

    `job` counts the pictures of the job to which the estimate applies. A stratum without a judged picture is put
    together with the one below it, or with the one above it if it is the lowest. The interval is that of Wilson for the
    effective size of the weighted sample, which is 1 / Σ w² / n for strata with the weights w and n judged pictures
    each (L. Kish, "Survey Sampling", 1965).
    """
    parts: list[tuple[int, int, int]] = []
    waiting = 0
    for low, high in reversed(strata()):
        if high <= first_bin:
            break
        chosen = slice(max(low, first_bin), high)
        count, right = int(judged.pictures[chosen].sum()), int(judged.right[chosen].sum())
        waiting += int(job[chosen].sum())
        if count:
            parts.append((waiting, count, right))
            waiting = 0
    if not parts:
        return None
    parts[-1] = (parts[-1][0] + waiting, *parts[-1][1:])
    total = sum(weight for weight, _, _ in parts)
    judged_count = sum(count for _, count, _ in parts)
    # Without a picture of the job, the judged pictures count as they are.
    weights = [(weight / total if total else count / judged_count) for weight, count, _ in parts]
    precision = math.fsum(w * right / count for w, (_, count, right) in zip(weights, parts, strict=True))
    effective = 1 / math.fsum(w * w / count for w, (_, count, _) in zip(weights, parts, strict=True))
    low_end, high_end = wilson(min(precision, 1.0), effective)
    return Estimate(first_bin / BINS, min(precision, 1.0), low_end, high_end, judged_count, total)


def find_threshold(judged: Judged, job: Counts, target: float, min_judged: int = MIN_JUDGED) -> Estimate | None:
    """Return the lowest threshold from which on the estimated precision reaches `target`.

    Only bins with a judged picture are tried. None: no threshold reaches it, or too few judged pictures are above.
    """
    for first_bin in np.flatnonzero(judged.pictures).tolist():
        found = estimate(judged, job, first_bin)
        if found is None or found.judged < min_judged:
            return None
        if found.precision >= target:
            return found
    return None


def allocate(
    judged: Judged, reviews: Judged, waiting: Counts, first_bin: int, count: int
) -> list[tuple[int, int, int]]:
    """Return how many reviews each stratum should get so that `count` reviews narrow the interval most.

    `waiting` counts the pictures of the job without a review. A part is the first bin, the bin after the last one, and
    the number of reviews. Each review goes where it lowers the variance of the estimate most, which approaches the
    allocation of J. Neyman ("On the Two Different Aspects of the Representative Method", 1934).
    """
    parts = [(max(low, first_bin), high) for low, high in strata() if high > first_bin]
    sizes = [int(waiting[low:high].sum()) for low, high in parts]
    variances, reviewed = [], []
    for (low, high), size in zip(parts, sizes, strict=True):
        # Jeffreys' prior, so that a stratum whose few pictures are all right is not taken as certain.
        share = (judged.right[low:high].sum() + 0.5) / (judged.pictures[low:high].sum() + 1)
        variances.append(size**2 * share * (1 - share))
        reviewed.append(int(reviews.pictures[low:high].sum()))
    chosen = [0] * len(parts)
    for _ in range(min(count, sum(sizes))):
        gains = [
            variance / ((n := 1 + done + extra) * (n + 1)) if extra < size else -1.0
            for variance, done, extra, size in zip(variances, reviewed, chosen, sizes, strict=True)
        ]
        chosen[int(np.argmax(gains))] += 1
    return [(low, high, number) for (low, high), number in zip(parts, chosen, strict=True) if number]


def strata() -> list[tuple[int, int]]:
    """Return the first bin of each stratum, and the bin after its last one."""
    return list(pairwise(STRATA))
