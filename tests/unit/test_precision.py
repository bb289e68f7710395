from __future__ import annotations

import pytest

from classifier.precision import CHECKED, Check, Precision, refusal

ALL: tuple[Precision, ...] = ("f32", "bf16", "int8")


def checked(flips: int) -> dict[str, object]:
    check = Check(pictures=1000, flips=flips, accuracy=0.9, largest_difference=0.1)
    return {"precisions": dict.fromkeys(CHECKED, check)}


def test_f32_needs_no_check() -> None:
    assert refusal("f32", {}, ()) is None


@pytest.mark.parametrize("precision", CHECKED)
def test_a_precision_that_keeps_the_labels_is_used(precision: Precision) -> None:
    assert refusal(precision, checked(5), ALL) is None


@pytest.mark.parametrize("precision", CHECKED)
def test_a_precision_that_changes_more_than_half_a_percent_of_labels_is_refused(precision: Precision) -> None:
    assert "0.6%" in str(refusal(precision, checked(6), ALL))


def test_an_unchecked_precision_is_refused() -> None:
    assert "never checked in bf16" in str(refusal("bf16", {}, ALL))


def test_a_precision_that_the_processor_lacks_is_refused() -> None:
    assert "does not support bf16" in str(refusal("bf16", checked(0), ("f32",)))
