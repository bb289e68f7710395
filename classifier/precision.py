"""Which arithmetic a model may be computed in: only one that was checked, on labelled pictures, to keep its labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NewType, TypedDict

Precision = Literal["f32", "bf16", "int8"]
PrecisionSetting = Literal["auto", "f32", "bf16", "int8"]

EXACT: Precision = "f32"
CHECKED: tuple[Precision, ...] = ("bf16", "int8")
"""The precisions that have to prove themselves against `EXACT`."""

MAX_FLIP_SHARE = 0.005
"""A precision that changes more than this share of the labels is not used, whoever asks for it."""

METRIC = "precisions"
"""Where `metrics.json` keeps the checks."""

Refusal = NewType("Refusal", str)
"""Why a precision is not used."""


class Check(TypedDict):
    """What a precision did to the pictures that it was checked on, against f32."""

    pictures: int
    flips: int
    """Pictures that got another label."""
    accuracy: float
    largest_difference: float
    """The largest difference between two scores."""


def refusal(precision: Precision, metrics: Mapping[str, Any], supported: Iterable[Precision]) -> Refusal | None:
    """Why a model with these `metrics` is not computed in `precision` by a processor that has `supported`; or None."""
    if precision == EXACT:
        return None
    if precision not in supported:
        return Refusal(f"this processor does not compute in {precision}")
    check: Check | None = metrics.get(METRIC, {}).get(precision)
    if check is None:
        return Refusal(f"this model was never checked in {precision}: see lookbook models export --help")
    share = check["flips"] / check["pictures"]
    if share > MAX_FLIP_SHARE:
        return Refusal(f"{precision} changes {share:.1%} of this model's labels, more than {MAX_FLIP_SHARE:.1%}")
    return None
