"""The answers of a model to labelled pictures, which its artifact keeps as `reference.npz`.

They answer questions about later pictures without the dataset: how often the model is right at some confidence, and
whether a picture is like those from which the model has learned.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import ArtifactInvalid

REFERENCE = "reference.npz"
TRAIN_COUNT, VALIDATION_COUNT, SCORED_COUNT = 1024, 1000, 5000
"""How many pictures to learn from have embeddings, how many to judge by, and how many of these have scores, at most."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Answers to T pictures to learn from and to V pictures to judge by, which are drawn at random from all."""

    train_embeddings: NDArray[np.float16]
    """float16 [T, length]. T is 0 if the model was published without pictures to learn from."""
    train_labels: NDArray[np.int16]
    """The positions of the true labels in the taxonomy: int16 [T]."""
    validation_embeddings: NDArray[np.float16]
    """float16 [at most V, length]: those of the first pictures to judge by."""
    validation_scores: NDArray[np.float16]
    """Calibrated softmax scores: float16 [V, labels]."""
    validation_labels: NDArray[np.int16]
    """The positions of the true labels in the taxonomy: int16 [V]."""

    def write(self, folder: Path) -> None:
        """Write `reference.npz` into the folder of an artifact."""
        # Most features of a picture are 0, so compression takes two thirds.
        np.savez_compressed(folder / REFERENCE, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def read(cls, path: Path, label_count: int) -> Self:
        """Read the file of an artifact with so many labels. It has arrays only, and no code.

        Raises:
            ArtifactInvalid: it has other arrays, or they do not fit each other.
        """
        names = [field.name for field in fields(cls)]
        try:
            with np.load(path, allow_pickle=False) as arrays:
                found: dict[str, NDArray[Any]] = {name: arrays[name] for name in names}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ArtifactInvalid(
                f"{path}: expected the arrays {', '.join(names)}, got another file: {error}"
            ) from error
        reference = cls(**found)
        if not reference._fits(label_count):
            shapes = {name: array.shape for name, array in found.items()}
            raise ArtifactInvalid(f"{path}: expected arrays for {label_count} labels that fit each other, got {shapes}")
        return reference

    def _fits(self, label_count: int) -> bool:
        matrices = self.train_embeddings, self.validation_embeddings, self.validation_scores
        labels = self.train_labels, self.validation_labels
        return (
            all(array.ndim == 2 and array.dtype == np.float16 for array in matrices)
            and all(array.ndim == 1 and array.dtype == np.int16 for array in labels)
            and all(((array >= 0) & (array < label_count)).all() for array in labels)
            and self.train_embeddings.shape[1] == self.validation_embeddings.shape[1]
            and len(self.train_embeddings) == len(self.train_labels)
            and self.validation_scores.shape == (len(self.validation_labels), label_count)
            and len(self.validation_embeddings) <= len(self.validation_scores)
        )
