"""Predict the pictures of a dataset."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from classifier.learning.data.pictures import Pictures
from classifier.runtime import Answers, Runtime, answer, joined


def predict_pictures(runtime: Runtime, pictures: Pictures) -> NDArray[np.float32]:
    """Return softmax scores, float32 [N, labels], of all pictures. Only a few are in memory at the same time."""
    return answer_pictures(runtime, pictures).scores


def answer_pictures(runtime: Runtime, pictures: Pictures) -> Answers:
    """Return the answers to all pictures. Only a few pictures are in memory at the same time."""
    return joined([answer(runtime, pixels) for pixels in pictures.blocks()])
