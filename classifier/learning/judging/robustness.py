"""Robustness: how the answers change if a picture is mirrored, compressed or cropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from classifier.evaluation import evaluate
from classifier.learning.data.index import PictureIndex
from classifier.learning.data.pictures import Track
from classifier.learning.judging.variants import Variant, as_it_is, cropped, mirrored, recompressed, score_variants
from classifier.prepare import InputSpec
from classifier.runtime import Runtime

UNCHANGED = "unchanged"
CHANGES: Mapping[str, Variant] = {
    UNCHANGED: as_it_is,
    "mirrored": mirrored,
    **{f"JPEG quality {quality}": recompressed(quality) for quality in (90, 50, 20)},
    **{f"middle {share:.0%}": cropped(share) for share in (0.9, 0.8)},
}
"""The changes. A crop keeps this share of the width and of the height."""
_FIGURES = ("pictures", "accuracy", "recall_at_3", "macro_f1", "balanced_accuracy", "calibration_error", "intervals")


def measure_robustness(
    runtime: Runtime, index: PictureIndex, spec: InputSpec, track: Track
) -> dict[str, dict[str, Any]]:
    """Return the figures of labelled pictures for each of CHANGES.

    `changed` is the share of the pictures that get another label than unchanged, whether it is right or wrong.
    """
    found = score_variants(runtime, index, spec, CHANGES, track)
    labels, before = index.label_numbers(), found[UNCHANGED].scores.argmax(axis=1)
    robustness: dict[str, dict[str, Any]] = {}
    for name, variant in found.items():
        figures = evaluate(variant.scores, labels[variant.positions], index.note.taxonomy)
        other = variant.scores.argmax(axis=1) != before
        robustness[name] = {key: figures[key] for key in _FIGURES} | {"changed": float(np.mean(other))}
    return robustness
