"""Read training pictures from a folder with train/<label>/ and validation/<label>/ (folder.py builds such folders)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from classifier.prepare import InputSpec, prepare
from core.errors import DatasetInvalid, ItemError

TRAIN, VALIDATION = "train", "validation"
DESCRIPTION = "dataset.json"
"""The file that describes a dataset. Only folders that `lookbook dataset build` made have it."""
_THREADS = 4

T = TypeVar("T")


class Track(Protocol):
    """Shows progress over an iterable of known length."""

    def __call__(self, iterable: Iterable[T], length: int, /) -> Iterable[T]: ...


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled file; `label` is a position in the taxonomy."""

    path: Path
    label: int


@dataclass(slots=True)
class Pictures:
    """Prepared pictures, uint8 [N, size, size, 3], their labels, int64 [N], and the files that could not be read."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    examples: list[Example]
    unreadable: dict[Path, ItemError] = field(default_factory=dict)


def find_examples(folder: Path, labels: Sequence[str]) -> list[Example]:
    """Return the files of a folder of label folders, sorted by label and name.

    Raises:
        DatasetInvalid: the folder is missing, has a folder that is not in `labels`, or has no files.
    """
    if not folder.is_dir():
        raise DatasetInvalid(f"expected a folder {folder} with one folder of pictures per label, got none")
    present = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    unknown = [name for name in present if name not in labels]
    if unknown:
        raise DatasetInvalid(f"{folder}: expected folders among {', '.join(labels)}; got {', '.join(unknown)}")
    examples = [
        Example(path, index)
        for index, label in enumerate(labels)
        for path in sorted((folder / label).glob("*"))
        if path.is_file() and not path.name.startswith(".")
    ]
    if not examples:
        raise DatasetInvalid(f"{folder}: expected pictures in {', '.join(labels)}; got none")
    return examples


def read_pictures(examples: Sequence[Example], spec: InputSpec, track: Track) -> Pictures:
    """Prepare all examples. Files that cannot be read are left out and listed in `unreadable`.

    Raises:
        DatasetInvalid: no file could be read.
    """
    pixels = np.empty((len(examples), spec.size, spec.size, 3), np.uint8)
    kept: list[Example] = []
    unreadable: dict[Path, ItemError] = {}
    for example, outcome in track(_prepared(examples, spec), len(examples)):
        if isinstance(outcome, ItemError):
            unreadable[example.path] = outcome
        else:
            pixels[len(kept)] = outcome
            kept.append(example)
    if not kept:
        raise DatasetInvalid(
            f"none of {len(examples)} files is a picture; the first: {next(iter(unreadable.values()))}"
        )
    labels = np.array([example.label for example in kept], np.int64)
    return Pictures(pixels[: len(kept)], labels, kept, unreadable)


def _prepared(examples: Sequence[Example], spec: InputSpec) -> Iterator[tuple[Example, NDArray[np.uint8] | ItemError]]:
    def prepared(example: Example) -> NDArray[np.uint8] | ItemError:
        try:
            return prepare(example.path.read_bytes(), spec).pixels
        except ItemError as error:
            return error

    with ThreadPoolExecutor(_THREADS) as pool:
        yield from zip(examples, pool.map(prepared, examples), strict=True)
