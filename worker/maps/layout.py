"""Lay out vectors in a square: principal components, then t-SNE. Also the program of the process that does it.

The process reads the vectors from its standard input and writes lines with its progress, a line `done`, and the places
to its standard output. It ends when its standard input is closed, which the kernel does if the worker ends.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.maps import SIDE

DONE = b"done\n"
COMPONENTS = 50
"""Principal components on which t-SNE works, as van der Maaten and Hinton (2008) recommend for data of many dimensions
(Visualizing Data using t-SNE, section 4.2: 30). More keep more of small differences and take longer."""
PERPLEXITY = 30.0
"""About how many neighbours of each picture count. The usual choice, and the default of openTSNE. Of fewer than 91
pictures a third counts, which is the most that openTSNE takes."""
_EXAGGERATED, _NORMAL = 250, 500
"""Iterations with and without early exaggeration: the defaults of openTSNE."""
_REPORTED_EVERY = 10
_BLOCK = 4096
_NICENESS = 10
"""The nice value of the process, because every other part of the service is more urgent than a map."""
_SAME = 1e-4
"""Vectors whose components differ by less are those of the same picture: float16 rounds more coarsely."""
_BEFORE = 0.1
"""The part of the time that passes before the first iteration, for the progress that is shown."""

Progress = Callable[[float], None]


def lay_out(vectors: NDArray[np.float16], seed: int, threads: int, progress: Progress) -> NDArray[np.uint16]:
    """Return a place in the square of a map for each vector: uint16 [N, 2] for float16 [N, length].

    The same vectors and seed have the same places on the same machine. `progress` is called with values from 0 to 1.
    """
    components = principal_components(vectors)
    progress(_BEFORE / 2)
    if np.ptp(components, axis=0).max() < _SAME:
        # t-SNE would divide by zero.
        return np.full((len(vectors), 2), SIDE // 2, np.uint16)
    # Importing it takes seconds.
    import openTSNE

    done = 0

    def count(iteration: int, error: float, embedding: object) -> None:
        nonlocal done
        done += _REPORTED_EVERY
        progress(min(1.0, _BEFORE + (1 - _BEFORE) * done / (_EXAGGERATED + _NORMAL)))

    tsne = openTSNE.TSNE(
        perplexity=min(PERPLEXITY, (len(components) - 1) / 3),
        early_exaggeration_iter=_EXAGGERATED,
        n_iter=_NORMAL,
        n_jobs=threads,
        random_state=seed,
        callbacks=count,
        callbacks_every_iters=_REPORTED_EVERY,
    )
    return to_square(np.asarray(tsne.fit(components), np.float64))


def principal_components(vectors: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return the first principal components of the directions of vectors: float32 [N, up to 50].

    Each vector is divided by its length first, so that the distances follow the cosine similarity, as the search for
    similar pictures does. The vectors are read in blocks, because float32 takes twice their memory.
    """
    length = vectors.shape[1]
    total, products = np.zeros(length), np.zeros((length, length))
    for block in _directions(vectors):
        total += block.sum(axis=0, dtype=np.float64)
        products += block.T @ block
    mean = total / len(vectors)
    covariance = products / len(vectors) - np.outer(mean, mean)
    # Eigenvalues are ascending. The sign of an eigenvector is arbitrary, so its largest value is made positive.
    _, axes = np.linalg.eigh(covariance)
    axes = axes[:, ::-1][:, :COMPONENTS]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    projected = [(block - mean.astype(np.float32)) @ axes.astype(np.float32) for block in _directions(vectors)]
    return np.ascontiguousarray(np.concatenate(projected), np.float32)


def _directions(vectors: NDArray[np.float16]) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors in blocks, each vector divided by its length. A vector of zeros stays one."""
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK].astype(np.float32)
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        yield block / lengths


def to_square(places: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Return places in the square of a map, in its middle and as large as possible. Both axes have the same scale."""
    low, high = places.min(axis=0), places.max(axis=0)
    scale = (SIDE - 1) / max(float((high - low).max()), 1e-9)
    centred = (places - (low + high) / 2) * scale + (SIDE - 1) / 2
    rounded: NDArray[np.uint16] = np.clip(np.round(centred), 0, SIDE - 1).astype(np.uint16)
    return rounded


def main(source: BinaryIO, target: BinaryIO, rows: int, length: int, seed: int, threads: int) -> None:
    """Read `rows` vectors of `length` values, lay them out, and write the progress and the places."""
    os.nice(_NICENESS)
    data = bytearray(rows * length * 2)
    view, filled = memoryview(data), 0
    while filled < len(view):
        count = source.readinto(view[filled:])  # type: ignore[attr-defined]
        if not count:
            return
        filled += count
    threading.Thread(target=_end_with, args=(source.fileno(),), daemon=True).start()

    def write_progress(part: float) -> None:
        target.write(b"%.3f\n" % part)
        target.flush()

    vectors = np.frombuffer(data, "<f2").reshape(rows, length)
    places = lay_out(vectors, seed, threads, write_progress)
    target.write(DONE)
    target.write(places.astype("<u2").tobytes())
    target.flush()


def _end_with(file: int) -> None:
    """End this process when the worker closes the other end of a pipe."""
    # A read of the file object would hold its lock, which Python needs at the end of the program.
    while os.read(file, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer, *(int(argument) for argument in sys.argv[1:]))
