"""Vectors of pictures: the pooled features of a model (its embedding), as the database stores them.

Only vectors of the same model version can be compared. Their values are float16 in little-endian order: half the bytes
of float32, with a rounding error of at most 2^-11 of each value (IEEE 754, binary16).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float16]
"""float16 [length]."""

_TYPE = np.dtype("<f2")
_LARGEST = float(np.finfo(np.float16).max)


def encode(embedding: NDArray[np.floating[Any]]) -> bytes:
    """Return an embedding, float [length], as the bytes of a vector. Values beyond float16 become its largest one."""
    data: bytes = np.clip(embedding, -_LARGEST, _LARGEST).astype(_TYPE).tobytes()
    return data


def decode(data: bytes) -> Vector:
    """Return the vector, float16 [length], of its bytes."""
    return np.frombuffer(data, _TYPE)


def decode_all(rows: Sequence[bytes]) -> NDArray[np.float16]:
    """Return at least one vector, all of the same length, as rows: float16 [N, length]."""
    return np.frombuffer(b"".join(rows), _TYPE).reshape(len(rows), -1)
