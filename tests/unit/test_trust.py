"""The arithmetic of trust: intervals, strata, thresholds, and which reviews narrow an estimate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from core import trust
from core.trust import BINS, Counts, Judged


def judged(*rows: tuple[float, int, int]) -> Judged:
    """Return judged pictures, given by confidence, pictures and right ones."""
    return Judged.of([(trust.bin_of(confidence), pictures, right) for confidence, pictures, right in rows])


def counts(*rows: tuple[float, int]) -> Counts:
    return judged(*((confidence, pictures, 0) for confidence, pictures in rows)).pictures


@pytest.mark.parametrize(
    ("share", "count", "expected"),
    # The first two are in table I of R. G. Newcombe, "Two-Sided Confidence Intervals for the Single Proportion", 1998.
    [(81 / 263, 263, (0.2553, 0.3662)), (0 / 20, 20, (0.0, 0.1611)), (1.0, 50, (0.9287, 1.0))],
)
def test_intervals_agree_with_published_ones(share: float, count: float, expected: tuple[float, float]) -> None:
    assert trust.wilson(share, count) == pytest.approx(expected, abs=5e-5)


def test_a_threshold_and_the_bin_of_a_confidence_never_disagree() -> None:
    for confidence in [*np.random.default_rng(0).random(2000).tolist(), 0.0, 1.0]:
        for threshold in (trust.bin_of(confidence) / BINS, min(1.0, (trust.bin_of(confidence) + 1) / BINS)):
            assert (confidence >= threshold) == (trust.bin_of(confidence) >= threshold * BINS) or confidence == 1.0


def test_a_sample_like_the_job_is_estimated_by_its_share() -> None:
    sample = judged((0.999, 80, 80), (0.9, 20, 15))
    found = trust.estimate(sample, sample.pictures * 7, trust.bin_of(0.9))
    assert found is not None
    assert found.precision == pytest.approx(0.95)
    assert (found.judged, found.accepted) == (100, 700)
    assert (found.low, found.high) == pytest.approx(trust.wilson(0.95, 100))


def test_doubtful_pictures_that_were_reviewed_first_do_not_lower_the_estimate() -> None:
    job = counts((0.999, 900), (0.8, 100))
    drawn = trust.estimate(judged((0.999, 90, 90), (0.8, 10, 6)), job, 0)
    doubtful_first = trust.estimate(judged((0.999, 20, 20), (0.8, 80, 48)), job, 0)
    assert drawn is not None
    assert doubtful_first is not None
    assert drawn.precision == doubtful_first.precision == pytest.approx(0.96)
    # The few certain pictures stand for 900, so the interval is that of a small sample.
    assert doubtful_first.low < drawn.low


def test_a_stratum_without_judged_pictures_belongs_to_its_neighbour() -> None:
    sample = judged((0.999, 40, 40), (0.6, 10, 5))
    found = trust.estimate(sample, counts((0.999, 50), (0.97, 25), (0.6, 25)), 0)
    assert found is not None
    assert found.precision == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    assert trust.estimate(sample, counts((0.999, 50), (0.3, 50)), 0) == trust.estimate(
        judged((0.999, 40, 40), (0.3, 10, 5)), counts((0.999, 50), (0.3, 50)), 0
    )
    assert trust.estimate(Judged.none(), counts((0.9, 5)), 0) is None


def test_the_lowest_threshold_that_reaches_the_target_is_found() -> None:
    sample = judged((0.999, 100, 100), (0.95, 50, 48), (0.7, 50, 20))
    job = counts((0.999, 1000), (0.95, 500), (0.7, 500))
    found = trust.find_threshold(sample, job, 0.98)
    assert found is not None
    assert (found.threshold, found.accepted) == (trust.bin_of(0.95) / BINS, 1500)
    assert found.low < found.precision < found.high
    exact = trust.find_threshold(sample, job, 0.99)
    assert exact is not None
    assert exact.threshold == trust.bin_of(0.999) / BINS
    assert trust.find_threshold(judged((0.9, 100, 50)), job, 0.98) is None
    assert trust.find_threshold(judged((0.9, trust.MIN_JUDGED - 1, trust.MIN_JUDGED - 1)), job, 0.98) is None


@pytest.mark.parametrize(("reviews", "by_reviews"), [(49, False), (50, True)])
def test_reviews_count_once_there_are_fifty(reviews: int, by_reviews: bool) -> None:
    validation, reviewed = judged((0.999, 100, 100), (0.3, 10, 9)), judged((0.999, reviews, 10))
    total = trust.combined(validation, reviewed)
    assert total.pictures[511] == (reviews if by_reviews else 100)
    # Nobody has reviewed the other stratum, so the validation pictures stand in.
    assert total.pictures[trust.bin_of(0.3)] == 10


@pytest.mark.parametrize("first_bin", [0, trust.bin_of(0.9)])
def test_the_next_reviews_go_where_they_narrow_the_estimate_most(first_bin: int) -> None:
    sample = judged((0.999, 200, 200), (0.9, 40, 30), (0.3, 20, 10))
    waiting = counts((0.999, 900), (0.9, 80), (0.3, 20))
    parts = trust.allocate(sample, judged((0.9, 5, 5)), waiting, first_bin, 50)
    assert sum(number for _, _, number in parts) == 50
    assert all(low >= first_bin for low, _, _ in parts)

    def variance(given: Sequence[int]) -> float:
        sizes, shares = (900, 80), (200.5 / 201, 30.5 / 41)
        done = zip(sizes, shares, given, (0, 5), strict=True)
        return sum(size**2 * share * (1 - share) / (1 + more + had) for size, share, more, had in done)

    if first_bin:
        by_low = {low: number for low, _, number in parts}
        chosen = (by_low.get(508, 0), by_low.get(first_bin, 0))
        assert variance(chosen) == min(variance((50 - n, n)) for n in range(51))


def test_no_more_reviews_are_proposed_than_items_wait() -> None:
    parts = trust.allocate(Judged.none(), Judged.none(), counts((0.9, 3), (0.2, 4)), 0, 100)
    assert sorted(number for _, _, number in parts) == [3, 4]


def test_validation_scores_are_counted_by_predicted_label() -> None:
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]], np.float16)
    found = trust.count_validation(scores, np.array([0, 1, 1]), ["shirt", "dress"])
    assert found == {"shirt": [[trust.bin_of(0.9), 2, 1]], "dress": [[trust.bin_of(0.8), 1, 1]]}
