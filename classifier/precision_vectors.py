"""The vectors of the same validation pictures in each precision, by which a new head is checked without pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.precision import CHECKED, EXACT
from core.errors import ArtifactInvalid

PRECISION_VECTORS = "precisions.npz"
"""An array float16 [pictures, length] for f32 and for each precision that was checked."""
MAX_PICTURES = 500


def write_precision_vectors(folder: Path, vectors: Mapping[str, NDArray[Any]]) -> None:
    """Write the vectors, float [pictures, length] by precision, into the folder of an artifact."""
    arrays: dict[str, Any] = {name: found[:MAX_PICTURES].astype(np.float16) for name, found in vectors.items()}
    np.savez_compressed(folder / PRECISION_VECTORS, **arrays)


def read_precision_vectors(folder: Path) -> dict[str, NDArray[np.float16]] | None:
    """Return the vectors of an artifact by precision, with f32 among them. None: it has none.

    Raises:
        ArtifactInvalid: the file is damaged.
    """
    path = folder / PRECISION_VECTORS
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found: dict[str, NDArray[np.float16]] = {name: arrays[name] for name in (EXACT, *CHECKED) if name in arrays}
    except (OSError, ValueError) as error:
        raise ArtifactInvalid(f"{path}: expected arrays of vectors, got another file: {error}") from error
    if EXACT not in found or len({array.shape for array in found.values()}) != 1:
        raise ArtifactInvalid(f"{path}: expected arrays of one shape, with {EXACT} among them")
    return found
