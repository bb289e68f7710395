"""The population stability index, and what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.drift import MIN_PICTURES, Drift, judge, stability_index


def test_the_index_is_that_of_the_formula() -> None:
    expected, observed = [400, 300, 300], [200, 300, 500]
    shares = [((e + 0.5) / 1001.5, (o + 0.5) / 1001.5) for e, o in zip(expected, observed, strict=True)]
    assert stability_index(expected, observed) == pytest.approx(sum((q - p) * math.log(q / p) for p, q in shares))
    assert stability_index(expected, observed) == pytest.approx(stability_index(observed, expected))


@pytest.mark.parametrize(("expected", "observed"), [([30, 70], [300, 700]), ([5, 0, 5], [50, 0, 50]), ([], [])])
def test_equal_shares_have_nearly_no_index_and_empty_bins_do_not_count(
    expected: list[int], observed: list[int]
) -> None:
    assert stability_index(expected, observed) < 0.02
    assert stability_index([*expected, 0], [*observed, 0]) == stability_index(expected, observed)


def test_a_label_that_was_never_expected_has_a_finite_index() -> None:
    assert 1 < stability_index([1000, 0], [500, 500]) < 10


@pytest.mark.parametrize(
    ("observed", "drift"),
    [([510, 490], Drift.NONE), ([700, 300], Drift.MODERATE), ([900, 100], Drift.STRONG), ([49, 0], None)],
)
def test_the_index_is_judged_by_its_size(observed: list[int], drift: Drift | None) -> None:
    assert judge([500, 500], observed) == drift


def test_chance_is_no_drift() -> None:
    """Of samples that are drawn from the expected shares, at most one in twenty may count as drifted."""
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.full(23, 2.0))
    judged = [
        judge(random.multinomial(300, shares).tolist(), random.multinomial(MIN_PICTURES, shares).tolist())
        for _ in range(400)
    ]
    drifted = sum(one is not Drift.NONE for one in judged)
    assert drifted / len(judged) <= 0.07
