"""The bins into which confidences are counted, in the tallies of jobs and in the metrics of models."""

from __future__ import annotations

HISTOGRAM_BINS = 20
"""Number of bins in the confidence histogram. They divide 0 to 1 into equal parts."""


def bin_of(confidence: float) -> int:
    """Return the bin to which a confidence belongs. Exactly 1 belongs to the last bin."""
    return min(int(confidence * HISTOGRAM_BINS), HISTOGRAM_BINS - 1)
