"""Check how a precision changes the scores of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.artifact import OPENVINO_INT8, Artifact
from classifier.learning.data.pictures import Pictures
from classifier.learning.judging.evaluation import predict_pictures
from classifier.precision import CHECKED, EXACT, METRIC, Check, Precision
from classifier.runtime_openvino import OpenVinoRuntime, supported_precisions


def check_precisions(artifact: Artifact, pictures: Pictures) -> dict[str, Any]:
    """Return an addition to the metrics: a `Check` for each precision of the artifact that this processor supports."""
    exact = _scores(artifact, EXACT, pictures)
    exported = {"int8"} if (artifact.folder / OPENVINO_INT8).is_file() else set()
    precisions = [name for name in CHECKED if name in supported_precisions() and name in exported | {"bf16"}]
    return {METRIC: {name: compare(_scores(artifact, name, pictures), exact, pictures.labels) for name in precisions}}


def compare(scores: NDArray[np.float32], exact: NDArray[np.float32], labels: NDArray[np.int64]) -> Check:
    """Compare scores, float32 [N, labels], with those in f32 and with the true labels, int64 [N]."""
    predicted = scores.argmax(axis=1)
    return Check(
        pictures=len(scores),
        flips=int((predicted != exact.argmax(axis=1)).sum()),
        accuracy=float((predicted == labels).mean()),
        largest_difference=float(np.abs(scores - exact).max()),
    )


def _scores(artifact: Artifact, precision: Precision, pictures: Pictures) -> NDArray[np.float32]:
    runtime = OpenVinoRuntime(artifact, precision)
    try:
        return predict_pictures(runtime, pictures)
    finally:
        runtime.close()
