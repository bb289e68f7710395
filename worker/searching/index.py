"""An index of vectors: finds the nearest ones without comparing all of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

CONNECTIVITY = 16
"""Links of a vector in the graph. docs/benchmarks.md has the recall with this value and those below."""
EXPANSION_ADD = 64
"""Candidates that are compared when a vector is added."""
EXPANSION_SEARCH = 128
"""Fewest candidates that are compared in a search."""
KEPT = 192
"""Directions of a shortened vector. With 200 candidates that are compared again, the recall@10 is above 0.95."""
_OVERSAMPLED = 16
THREADS = 2
"""Threads that add vectors. More would take the processor from the workers that classify."""


class VectorIndex(Protocol):
    """Vectors of one length, each under a number of its own, compared by the cosine of their angle.

    One thread may change an index while others search in it.
    """

    def add(self, numbers: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """Add vectors, float16 [N, length], under numbers that the index does not have."""

    def remove(self, numbers: NDArray[np.int64]) -> None:
        """Remove vectors that the index has."""

    def numbers(self) -> NDArray[np.int64]:
        """Return the numbers of all vectors, ascending."""

    def nearest(self, vector: NDArray[np.float16], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the numbers of up to `count` vectors, the most similar first, and their approximate similarities."""

    def __len__(self) -> int:
        """Return how many vectors the index has."""

    def save(self, path: Path) -> None:
        """Write the index to a file, which keeps its earlier content until the new one is complete."""


class HnswIndex:
    """A navigable small-world graph (Malkov and Yashunin 2018, HNSW) of shortened vectors, by usearch.

    Each vector is projected onto the directions of a basis, and stored with one byte for each. The similarities are
    therefore close to the true ones, but not equal: compare the candidates again with their stored vectors.
    """

    def __init__(self, basis: NDArray[np.float32], path: Path | None = None) -> None:
        """Create an empty index, or read one from a file. `basis` is float32 [length, kept], as from `leading_basis`.

        Raises:
            ImportError: the package usearch is not installed.
            OSError, RuntimeError, ValueError: the file cannot be read, or is no index of such vectors.
        """
        # Only a worker that searches imports the package.
        from usearch.index import Index

        self._basis = basis
        kept = basis.shape[1]
        self._index: Any = Index(
            ndim=kept,
            metric="cos",
            dtype="i8",
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
            expansion_search=EXPANSION_SEARCH,
        )
        if path is not None:
            self._index.load(os.fspath(path))
            if self._index.ndim != kept:
                raise ValueError(f"expected an index of vectors of {kept} values, got {self._index.ndim}")

    def add(self, numbers: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        self._index.add(numbers.astype(np.uint64), self._shortened(vectors), threads=THREADS)

    def remove(self, numbers: NDArray[np.int64]) -> None:
        self._index.remove(numbers.astype(np.uint64))

    def numbers(self) -> NDArray[np.int64]:
        if not len(self):
            return np.zeros(0, np.int64)
        return np.sort(np.asarray(self._index.keys, np.uint64).astype(np.int64))

    def nearest(self, vector: NDArray[np.float16], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        if not len(self):
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        found = self._index.search(self._shortened(vector[None])[0], min(count, len(self)))
        return found.keys.astype(np.int64), 1 - found.distances.astype(np.float32)

    def __len__(self) -> int:
        return len(self._index)

    def save(self, path: Path) -> None:
        unfinished = path.with_suffix(".new")
        self._index.save(os.fspath(unfinished))
        unfinished.replace(path)

    def _shortened(self, vectors: NDArray[np.float16]) -> NDArray[np.float32]:
        """Return vectors of length 1 in the coordinates of the basis, float32 [N, kept]."""
        projected: NDArray[np.float32] = unit(vectors) @ self._basis
        return unit(projected)


def unit(vectors: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return vectors, [N, length], scaled to the length 1, as float32. Vectors of zeros stay as they are."""
    rows = vectors.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


def leading_basis(sample: NDArray[np.float16], kept: int = KEPT) -> NDArray[np.float32]:
    """Return the `kept` directions in which the vectors of a sample differ most from zero, float32 [length, kept].

    These are the first singular vectors of the sample, by the randomized method of Halko, Martinsson and Tropp (2011)
    with two power iterations. The mean is not subtracted, because a cosine counts from zero. Vectors that are as short
    keep all of their directions.
    """
    rows = unit(sample)
    if rows.shape[1] <= kept:
        return np.eye(rows.shape[1], dtype=np.float32)
    start = np.random.default_rng(0).standard_normal((rows.shape[1], kept + _OVERSAMPLED), np.float32)
    found: NDArray[Any] = rows.T @ (rows @ start)
    for _ in range(2):
        found = rows.T @ (rows @ np.linalg.qr(found).Q)
    found = np.linalg.qr(found).Q
    directions = np.linalg.svd(rows @ found, full_matrices=False).Vh[:kept]
    return np.ascontiguousarray(found @ directions.T, np.float32)
