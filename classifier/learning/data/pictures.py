"""Labelled pictures as training and evaluation use them, and the names that all datasets share.

The pixels stay in files that are mapped into memory. A million pictures therefore need little memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from classifier.learning.data.index import PictureIndex

TRAIN, VALIDATION = "train", "validation"
DESCRIPTION = "dataset.json"
"""The file that describes a dataset. Only folders that `lookbook dataset build` made have it."""
MANIFEST = "manifest.jsonl"
"""The file with a line for each picture of such a dataset."""
BLOCK = 256
"""Number of pictures that are read together where all are read in order."""

T = TypeVar("T")


class Track(Protocol):
    """Shows progress over an iterable of known length."""

    def __call__(self, iterable: Iterable[T], length: int, /) -> Iterable[T]: ...


class NamedTrack(Protocol):
    """Shows the progress of `what` over an iterable of known length."""

    def __call__(self, what: str, iterable: Iterable[T], length: int, /) -> Iterable[T]: ...


@dataclass(frozen=True, slots=True)
class Part:
    """Pictures of one dataset, all with a label and readable."""

    pixels: NDArray[np.uint8]
    """Mapped from a file of prepared pictures, which may have others, too."""
    rows: NDArray[np.int64]
    """The positions of the N pictures in `pixels`: int64 [N]."""
    index: PictureIndex
    """The rows of the N pictures."""


class Pictures:
    """Labelled pictures from one or several datasets, which `read` returns by their positions 0 to N - 1."""

    def __init__(self, parts: Sequence[Part], unreadable: Sequence[str] = ()) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part.rows) for part in parts])
        self.labels: NDArray[np.int64] = np.concatenate([part.index.label_numbers() for part in parts])
        """The positions of the labels in the taxonomy: int64 [N]."""
        self.weights: NDArray[np.float32] = np.concatenate([part.index.numbers("weight") for part in parts])
        """The weight of each picture in training: float32 [N]."""
        self.unreadable = tuple(unreadable)
        """The paths of files that were left out because they cannot be read."""
        self._sub_label_ends, self._sub_labels = _sub_labels(parts)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the pixels of one picture, such as (size, size, 3)."""
        return self._parts[0].pixels.shape[1:]

    @property
    def has_sub_labels(self) -> bool:
        """Whether any picture has a sub-label."""
        return len(self._sub_labels) > 0

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the pixels of some pictures: uint8 [n, *shape]."""
        pixels = np.empty((len(positions), *self.shape), np.uint8)
        owners = np.searchsorted(self._ends, positions, side="right")
        for number in np.unique(owners):
            part, own = self._parts[number], owners == number
            first = self._ends[number] - len(part.rows)
            pixels[own] = part.pixels[part.rows[positions[own] - first]]
        return pixels

    def blocks(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the pixels of all pictures in order, `BLOCK` pictures at a time."""
        for start in range(0, len(self), BLOCK):
            yield self.read(np.arange(start, min(start + BLOCK, len(self))))

    def sub_labels(self, positions: NDArray[np.int64], label_count: int) -> NDArray[np.float32]:
        """Return 1 for each sub-label of some pictures, and 0 for the other labels: float32 [n, label_count]."""
        found = np.zeros((len(positions), label_count), np.float32)
        for row, position in zip(found, positions.tolist(), strict=True):
            start = self._sub_label_ends[position - 1] if position else 0
            row[self._sub_labels[start : self._sub_label_ends[position]]] = 1.0
        return found

    @property
    def index(self) -> PictureIndex:
        """The rows of all pictures. Their bytes can only be read from it if they come from one dataset."""
        if len(self._parts) == 1:
            return self._parts[0].index
        return PictureIndex(pa.concat_tables([part.index.table for part in self._parts]), self._parts[0].index.note)

    def paths(self) -> list[str]:
        """Return the path of each picture. The path of one in a zip leads through the zip."""
        return [
            str(Path(root, container, member))
            for part in self._parts
            for root in [part.index.note.root]
            for container, member in zip(part.index.column("container"), part.index.column("member"), strict=True)
        ]


def _sub_labels(parts: Sequence[Part]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sub-labels of all pictures, one picture after the other, and where those of each picture end."""
    lengths, numbers = [], []
    for part in parts:
        column = part.index.table.column("sub_labels").combine_chunks()
        labels = pa.array(part.index.note.taxonomy.label_ids, pa.string())
        found = pc.index_in(pc.list_flatten(column), labels).fill_null(-1).to_numpy()
        owners = pc.list_parent_indices(column).to_numpy()[found >= 0]
        lengths.append(np.bincount(owners, minlength=len(part.rows)))
        numbers.append(found[found >= 0].astype(np.int64))
    return np.cumsum(np.concatenate(lengths)), np.concatenate(numbers)
