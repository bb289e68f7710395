"""Decide which precision a model may be computed in.

A precision is permitted only if a check on labelled pictures has shown that it changes almost no labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NewType, TypedDict

Precision = Literal["f32", "bf16", "int8"]
PrecisionSetting = Literal["auto", "f32", "bf16", "int8"]

EXACT: Precision = "f32"
CHECKED: tuple[Precision, ...] = ("bf16", "int8")
"""The precisions that are checked against `EXACT`."""

MAX_FLIP_SHARE = 0.005
"""A precision that changes more than this share of the labels is never used, even if the settings ask for it."""

METRIC = "precisions"
"""The key of the checks in `metrics.json`."""

Refusal = NewType("Refusal", str)
"""The reason why a precision is not used."""


class Check(TypedDict):
    """How the scores in a precision differ from those in f32, on labelled pictures."""

    pictures: int
    flips: int
    """Number of pictures that got another label."""
    accuracy: float
    largest_difference: float
    """The largest difference between two scores."""


def refusal(precision: Precision, metrics: Mapping[str, Any], supported: Iterable[Precision]) -> Refusal | None:
    """Return why a model with these `metrics` may not be computed in `precision`, or None if it may.

    `supported` are the precisions of the processor.
    """
    if precision == EXACT:
        return None
    if precision not in supported:
        return Refusal(f"this processor does not support {precision}")
    check: Check | None = metrics.get(METRIC, {}).get(precision)
    if check is None:
        return Refusal(f"this model was never checked in {precision}: see lookbook models export --help")
    share = check["flips"] / check["pictures"]
    if share > MAX_FLIP_SHARE:
        return Refusal(f"{precision} changes {share:.1%} of this model's labels, more than {MAX_FLIP_SHARE:.1%}")
    return None
