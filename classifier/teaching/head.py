"""A head: the dense layer with softmax that turns the vector of a picture into scores of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax


@dataclass(frozen=True, slots=True)
class Head:
    """Scores = softmax(vector · weights + bias)."""

    weights: NDArray[np.float32]
    """float32 [length of a vector, labels]."""
    bias: NDArray[np.float32]
    """float32 [labels]."""

    def logits(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """Return logits, float32 [N, labels], of vectors, float [N, length]."""
        found: NDArray[np.float32] = vectors.astype(np.float32, copy=False) @ self.weights + self.bias
        return found

    def scores(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """Return softmax scores, float32 [N, labels], of vectors, float [N, length]."""
        scores: NDArray[np.float32] = softmax(self.logits(vectors), axis=1)
        return scores

    def tempered(self, temperature: float) -> Head:
        """Return the head whose logits are divided by a temperature (Guo et al. 2017). No label changes."""
        return Head(
            (self.weights / temperature).astype(np.float32),
            (self.bias / temperature).astype(np.float32),
        )
