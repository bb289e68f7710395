"""Prepared pictures: decoded once to the size of a recipe, in a file that training maps into memory.

    pixels.npy       uint8 [N, size, size, 3], a row for each row of the index
    index.arrow      the index of these pictures
    outcomes.bin     a byte for each finished picture: 1 if it could be read
    prepared.json    the size, and whether all pictures are finished

The rows are written in order, and `outcomes.bin` after the pixels. After a kill, preparing therefore continues behind
the last byte of `outcomes.bin`.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from classifier.learning.data.index import PictureIndex
from classifier.learning.data.parallel import in_order
from classifier.learning.data.pictures import Track
from classifier.prepare import PADDING, InputSpec, prepare
from core.errors import ArtifactInvalid, DatasetInvalid, ItemError, StorageFull

PIXELS, INDEX, OUTCOMES, DESCRIPTION = "pixels.npy", "index.arrow", "outcomes.bin", "prepared.json"
_BLOCK = 64
"""Number of pictures that are written together."""


@dataclass(frozen=True, slots=True)
class PreparedPictures:
    """An opened folder of prepared pictures."""

    pixels: NDArray[np.uint8]
    """uint8 [N, size, size, 3], mapped from the file."""
    index: PictureIndex
    """The rows of the pictures. `readable` is false for a picture whose pixels are only grey."""
    spec: InputSpec

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a folder.

        Raises:
            DatasetInvalid: the folder has no prepared pictures, or not all are finished.
        """
        spec, complete = _read_description(folder)
        if not complete:
            raise DatasetInvalid(f"{folder}: expected finished pictures; `lookbook dataset prepare` finishes them")
        pixels = np.load(folder / PIXELS, mmap_mode="r")
        return cls(pixels, PictureIndex.open(folder / INDEX), spec)


def prepare_pictures(index: PictureIndex, folder: Path, spec: InputSpec, track: Track) -> int:
    """Prepare all pictures of an index, or the rest of them, and return how many this call prepared.

    Raises:
        DatasetInvalid: the folder has other files, or the prepared pictures of another index or size.
        StorageFull: the disk has not enough space.
    """
    _begin(index, folder, spec)
    finished = _finished(folder, len(index), spec)
    needed = (len(index) - finished) * spec.size**2 * 3
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageFull(f"{folder}: expected {needed / 1e9:.1f} GB of free space, got {free / 1e9:.1f} GB")
    with (folder / PIXELS).open("r+b") as pixels, (folder / OUTCOMES).open("r+b") as outcomes:
        _go_to(pixels, outcomes, finished, len(index), spec)
        prepared = iter(track(_prepared(index, finished, spec), len(index) - finished))
        while block := list(islice(prepared, _BLOCK)):
            pixels.write(b"".join(_grey(spec) if picture is None else picture.tobytes() for picture in block))
            pixels.flush()
            outcomes.write(bytes(picture is not None for picture in block))
            outcomes.flush()
    readable = np.fromfile(folder / OUTCOMES, np.uint8).astype(bool)
    index.with_column("readable", readable).save(folder / INDEX)
    _write_description(folder, spec, complete=True)
    return len(index) - finished


def _prepared(index: PictureIndex, start: int, spec: InputSpec) -> Iterator[NDArray[np.uint8] | None]:
    def one(position: int) -> NDArray[np.uint8] | None:
        try:
            return prepare(index.read(position), spec).pixels
        except ItemError:
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from in_order(pool, one, range(start, len(index)))


def _grey(spec: InputSpec) -> bytes:
    return bytes([PADDING]) * (spec.size**2 * 3)


def _begin(index: PictureIndex, folder: Path, spec: InputSpec) -> None:
    """Make the files of a new folder, or check that those of an interrupted or finished one are for the same index."""
    if not (folder / DESCRIPTION).exists():
        if folder.exists() and any(folder.iterdir()):
            raise DatasetInvalid(f"{folder}: expected an empty folder or prepared pictures, got other files")
        folder.mkdir(parents=True, exist_ok=True)
        index.save(folder / INDEX)
        (folder / PIXELS).write_bytes(b"")
        (folder / OUTCOMES).write_bytes(b"")
        _write_description(folder, spec, complete=False)
        return
    earlier, _ = _read_description(folder)
    # Preparing changes only `readable`.
    columns = [name for name in index.table.column_names if name != "readable"]
    same = PictureIndex.open(folder / INDEX).table.select(columns).equals(index.table.select(columns))
    if earlier != spec or not same:
        raise DatasetInvalid(
            f"{folder} has pictures of another dataset, split or size ({earlier.size}): choose another folder"
        )


def _finished(folder: Path, count: int, spec: InputSpec) -> int:
    header = len(_header(count, spec))
    rows = max(0, (folder / PIXELS).stat().st_size - header) // (spec.size**2 * 3)
    return min(rows, (folder / OUTCOMES).stat().st_size)


def _go_to(pixels: IO[bytes], outcomes: IO[bytes], finished: int, count: int, spec: InputSpec) -> None:
    """Set both files to the end of the finished pictures, and remove what an interrupted block left behind."""
    header = _header(count, spec)
    pixels.write(header)
    pixels.truncate(len(header) + finished * spec.size**2 * 3)
    outcomes.truncate(finished)
    pixels.seek(0, os.SEEK_END)
    outcomes.seek(0, os.SEEK_END)


def _header(count: int, spec: InputSpec) -> bytes:
    """Return the bytes of the .npy file before the first pixel."""
    file = io.BytesIO()
    shape = (count, spec.size, spec.size, 3)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _read_description(folder: Path) -> tuple[InputSpec, bool]:
    try:
        content: Any = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        return InputSpec.from_json(content["input"], folder), content["complete"] is True
    except (OSError, ValueError, KeyError, TypeError, ArtifactInvalid) as error:
        raise DatasetInvalid(f"{folder}: expected a folder of prepared pictures: {error}") from error


def _write_description(folder: Path, spec: InputSpec, *, complete: bool) -> None:
    content = {"input": spec.to_json(), "complete": complete}
    (folder / DESCRIPTION).write_text(json.dumps(content, indent=1) + "\n", "utf-8")
