"""Read training pictures from a folder with train/<label>/ and validation/<label>/ (folder.py builds such folders)."""

from __future__ import annotations

import json
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
MANIFEST = "manifest.jsonl"
"""The file with a line for each picture of such a dataset."""
_THREADS = 4

T = TypeVar("T")


class Track(Protocol):
    """Shows progress over an iterable of known length."""

    def __call__(self, iterable: Iterable[T], length: int, /) -> Iterable[T]: ...


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled file.

    `label` and `sub_labels` are positions in the taxonomy.
    """

    path: Path
    label: int
    sub_labels: tuple[int, ...] = ()


@dataclass(slots=True)
class Pictures:
    """Prepared pictures, uint8 [N, size, size, 3], their labels, int64 [N], and the files that could not be read."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    examples: list[Example]
    unreadable: dict[Path, ItemError] = field(default_factory=dict)


def find_examples(folder: Path, labels: Sequence[str]) -> list[Example]:
    """Return the files of a folder of label folders, sorted by label and name.

    A dataset's manifest beside the folder may give sub-labels.

    Raises:
        DatasetInvalid: the folder is missing, has a folder that is not in `labels`, or has no files; or the manifest
            has a sub-label that is not in `labels`.
    """
    if not folder.is_dir():
        raise DatasetInvalid(f"expected a folder {folder} with one folder of pictures per label, got none")
    present = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    unknown = [name for name in present if name not in labels]
    if unknown:
        raise DatasetInvalid(f"{folder}: expected folders among {', '.join(labels)}; got {', '.join(unknown)}")
    sub_labels = _read_sub_labels(folder.parent / MANIFEST, labels)
    examples = [
        Example(path, index, sub_labels.get(path.relative_to(folder.parent).as_posix(), ()))
        for index, label in enumerate(labels)
        for path in sorted((folder / label).glob("*"))
        if path.is_file() and not path.name.startswith(".")
    ]
    if not examples:
        raise DatasetInvalid(f"{folder}: expected pictures in {', '.join(labels)}; got none")
    return examples


def _read_sub_labels(manifest: Path, labels: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the sub-labels that a dataset's manifest gives, by the path of the picture in the dataset."""
    if not manifest.is_file():
        return {}
    with manifest.open(encoding="utf-8") as lines:
        try:
            rows = [json.loads(line) for line in lines]
            given = {str(row["file"]): list(row["sub_labels"]) for row in rows if row.get("sub_labels")}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetInvalid(f"{manifest}: expected a line of JSON for each picture: {error}") from error
    unknown = sorted({str(label) for found in given.values() for label in found if label not in labels})
    if unknown:
        raise DatasetInvalid(f"{manifest}: expected sub_labels among {', '.join(labels)}; got {', '.join(unknown)}")
    return {file: tuple(labels.index(label) for label in found) for file, found in given.items()}


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
