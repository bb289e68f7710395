"""Check how a precision changes the scores of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.artifact import OPENVINO_INT8, Artifact
from classifier.learning.data.pictures import Pictures
from classifier.learning.judging.predicting import answer_pictures
from classifier.precision import CHECKED, EXACT, METRIC, Check, Precision
from classifier.precision_vectors import write_precision_vectors
from classifier.runtime import Answers
from classifier.runtime_openvino import OpenVinoRuntime, supported_precisions


def check_precisions(artifact: Artifact, pictures: Pictures) -> dict[str, Any]:
    """Return an addition to the metrics: a `Check` for each precision of the artifact that this processor supports.

    The folder of the artifact, which is not published yet, gets the vectors of the pictures in each of them. Another
    head for the same backbone is later checked on these.
    """
    exact = _answers(artifact, EXACT, pictures)
    exported = {"int8"} if (artifact.folder / OPENVINO_INT8).is_file() else set()
    precisions = [name for name in CHECKED if name in supported_precisions() and name in exported | {"bf16"}]
    found: dict[str, Answers] = {name: _answers(artifact, name, pictures) for name in precisions}
    answered = {EXACT: exact, **found}
    vectors = {name: one.embeddings for name, one in answered.items() if one.embeddings is not None}
    if EXACT in vectors:
        write_precision_vectors(artifact.folder, vectors)
    return {METRIC: {name: compare(answers.scores, exact.scores, pictures.labels) for name, answers in found.items()}}


def compare(scores: NDArray[np.float32], exact: NDArray[np.float32], labels: NDArray[np.int64]) -> Check:
    """Compare scores, float32 [N, labels], with those in f32 and with the true labels, int64 [N]."""
    predicted = scores.argmax(axis=1)
    return Check(
        pictures=len(scores),
        flips=int((predicted != exact.argmax(axis=1)).sum()),
        accuracy=float((predicted == labels).mean()),
        largest_difference=float(np.abs(scores - exact).max()),
    )


def _answers(artifact: Artifact, precision: Precision, pictures: Pictures) -> Answers:
    runtime = OpenVinoRuntime(artifact, precision)
    try:
        return answer_pictures(runtime, pictures)
    finally:
        runtime.close()
