"""Write the answers of a model to labelled pictures into its artifact (classifier/reference.py)."""

from __future__ import annotations

import numpy as np

from classifier.artifact import Artifact
from classifier.learning.data.pictures import Pictures
from classifier.learning.judging.predicting import answer_pictures
from classifier.reference import SCORED_COUNT, VALIDATION_COUNT, Reference
from classifier.runtime import Answers, Runtime

_SEED = 0
"""Draws the pictures to judge by, so that the first ones are a random sample."""


def write_reference(
    written: Artifact, runtime: Runtime, judged: Answers, validation: Pictures, training: Pictures | None
) -> None:
    """Write the reference of an artifact whose other files are complete.

    Args:
        runtime: has opened the artifact.
        judged: its answers to `validation`.
        training: some pictures to learn from. None: their answers are those that the artifact had before
            (`Artifact.reference`), or none.
    """
    drawn = np.random.default_rng(_SEED).permutation(len(validation))[:SCORED_COUNT]
    judged_embeddings = _embeddings(judged)
    earlier = written.reference()
    if training is not None:
        train_embeddings = _embeddings(answer_pictures(runtime, training))
        train_labels = training.labels.astype(np.int16)
    elif earlier is not None:
        train_embeddings, train_labels = earlier.train_embeddings, earlier.train_labels
    else:
        train_embeddings = np.zeros((0, judged_embeddings.shape[1]), np.float16)
        train_labels = np.zeros(0, np.int16)
    Reference(
        train_embeddings,
        train_labels,
        judged_embeddings[drawn[:VALIDATION_COUNT]],
        judged.scores[drawn].astype(np.float16),
        validation.labels[drawn].astype(np.int16),
    ).write(written.folder)


def _embeddings(answers: Answers) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
    assert answers.embeddings is not None, "every export has an embedding"
    return answers.embeddings.astype(np.float16)
