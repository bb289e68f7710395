"""Prepared pictures: decoded once to the size of a recipe, in a file that training maps into memory.

    pixels.npy       uint8 [N, *InputSpec.shape], a row for each row of the index
    index.arrow      the index of these pictures
    outcomes.bin     a byte for each finished picture: 1 if it could be read
    prepared.json    the input of the model, a hash of what the pixels depend on, and whether all pictures are finished
    lock             the process that prepares pictures holds a lock on this file

The rows are written in order, and `outcomes.bin` after the pixels. After a kill, preparing therefore continues behind
the last byte of `outcomes.bin`. The pixels depend on the bytes of the pictures and on their garments, and not on labels
and sides. Preparing the same pictures with other labels therefore only replaces the index.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from classifier.garments import Garments
from classifier.learning.data.hashing import content_hash
from classifier.learning.data.index import PictureIndex, PictureRow
from classifier.learning.data.parallel import in_order
from classifier.learning.data.pictures import Track
from classifier.prepare import PADDING, InputSpec, prepare
from core.errors import ArtifactInvalid, DatasetInvalid, StorageFull
from core.item_errors import ItemError

PIXELS, INDEX, OUTCOMES, DESCRIPTION = "pixels.npy", "index.arrow", "outcomes.bin", "prepared.json"
LOCK = "lock"
_CONTENT = ("sha256", "boxes", "polygons")
"""The columns of the index that the pixels depend on. Whole pictures depend only on the first."""
_BLOCK = 64
"""Number of pictures that are written together."""


@dataclass(frozen=True, slots=True)
class PreparedPictures:
    """An opened folder of prepared pictures."""

    pixels: NDArray[np.uint8]
    """uint8 [N, *spec.shape], mapped from the file."""
    index: PictureIndex
    """The rows of the pictures. `readable` is false for a picture whose pixels are only grey."""
    spec: InputSpec

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a folder.

        Raises:
            DatasetInvalid: the folder has no prepared pictures, or not all are finished.
        """
        spec, _, complete = _read_description(folder)
        if not complete:
            raise DatasetInvalid(f"{folder}: expected finished pictures; `lookbook dataset prepare` finishes them")
        try:
            # An array of objects would be a pickle, which can run code. NumPy refuses it.
            pixels = np.load(folder / PIXELS, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError) as error:
            raise DatasetInvalid(f"{folder / PIXELS}: expected an array of bytes (.npy): {error}") from error
        return cls(pixels, PictureIndex.open(folder / INDEX), spec)


def prepare_row(index: PictureIndex, position: int, spec: InputSpec) -> NDArray[np.uint8]:
    """Return the pixels of one row of an index: uint8 [*spec.shape].

    Training, evaluation and calibration get all pixels from here. With the view `garment`, the row is one of
    `one_row_per_garment`.

    Raises:
        ItemError: the picture cannot be read.
    """
    data = index.read(position)
    if spec.view == "whole":
        return prepare(data, spec).pixels
    return prepare_bytes(data, index.row(position), spec)


def prepare_bytes(data: bytes, row: PictureRow, spec: InputSpec) -> NDArray[np.uint8]:
    """Return the pixels of the bytes of a row's picture, or of a changed copy of the same size: uint8 [*spec.shape].

    Raises:
        ItemError: the picture cannot be decoded.
    """
    if spec.view == "garment" and row.boxes:
        return prepare(data, spec, row.boxes[0].crop(row.width, row.height)).pixels
    return prepare(data, spec, garments=Garments(row.boxes, row.polygons)).pixels


def pixels_hash(index: PictureIndex, spec: InputSpec) -> str:
    """Return a hash of all that the pixels of an index depend on, in hexadecimal digits."""
    columns = _CONTENT[:1] if spec.view == "whole" else _CONTENT
    content = [json.dumps(spec.to_json(), sort_keys=True), content_hash(index.table, columns)]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def prepare_pictures(index: PictureIndex, folder: Path, spec: InputSpec, track: Track) -> int:
    """Prepare all pictures of an index, or the rest of them, and return how many this call prepared.

    If another process prepares the same folder, this call waits for its end.

    Raises:
        DatasetInvalid: the folder has other files, or the prepared pictures of another index or size.
        StorageFull: the disk has not enough space.
    """
    _refuse_other_files(folder)
    with _locked(folder):
        content = pixels_hash(index, spec)
        _begin(index, folder, spec, content)
        finished = _finished(folder, len(index), spec)
        needed = (len(index) - finished) * spec.byte_count
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise StorageFull(f"{folder}: expected {needed / 1e9:.1f} GB of free space, got {free / 1e9:.1f} GB")
        if finished < len(index):
            _write_rest(index, folder, finished, spec, track)
        readable = np.fromfile(folder / OUTCOMES, np.uint8).astype(bool)
        index.with_column("readable", readable).save(folder / INDEX)
        _write_description(folder, spec, content, complete=True)
    return len(index) - finished


def _write_rest(index: PictureIndex, folder: Path, finished: int, spec: InputSpec, track: Track) -> None:
    with (folder / PIXELS).open("r+b") as pixels, (folder / OUTCOMES).open("r+b") as outcomes:
        _go_to(pixels, outcomes, finished, len(index), spec)
        prepared = iter(track(_prepared(index, finished, spec), len(index) - finished))
        while block := list(islice(prepared, _BLOCK)):
            pixels.write(b"".join(_grey(spec) if picture is None else picture.tobytes() for picture in block))
            pixels.flush()
            outcomes.write(bytes(picture is not None for picture in block))
            outcomes.flush()


def _prepared(index: PictureIndex, start: int, spec: InputSpec) -> Iterator[NDArray[np.uint8] | None]:
    def one(position: int) -> NDArray[np.uint8] | None:
        try:
            return prepare_row(index, position, spec)
        except ItemError:
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from in_order(pool, one, range(start, len(index)))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _grey(spec: InputSpec) -> bytes:
    return bytes([PADDING]) * spec.byte_count


def _refuse_other_files(folder: Path) -> None:
    # An interrupted call leaves some of its own files behind.
    own = {PIXELS, INDEX, OUTCOMES, LOCK}
    if not folder.exists() or (folder / DESCRIPTION).exists():
        return
    if any(path.name not in own for path in folder.iterdir() if not path.name.startswith(".")):
        raise DatasetInvalid(f"{folder}: expected an empty folder or prepared pictures, got other files")


def _begin(index: PictureIndex, folder: Path, spec: InputSpec, content: str) -> None:
    """Make the files of a new folder, or check that those of an interrupted or finished one are of the same pixels."""
    if not (folder / DESCRIPTION).exists():
        index.save(folder / INDEX)
        (folder / PIXELS).write_bytes(b"")
        (folder / OUTCOMES).write_bytes(b"")
        _write_description(folder, spec, content, complete=False)
        return
    earlier, earlier_content, _ = _read_description(folder)
    if earlier_content != content:
        raise DatasetInvalid(
            f"{folder} has pictures of another dataset, split or size ({earlier.size}): choose another folder"
        )


def _finished(folder: Path, count: int, spec: InputSpec) -> int:
    header = len(_header(count, spec))
    rows = max(0, (folder / PIXELS).stat().st_size - header) // spec.byte_count
    return min(rows, (folder / OUTCOMES).stat().st_size)


def _go_to(pixels: IO[bytes], outcomes: IO[bytes], finished: int, count: int, spec: InputSpec) -> None:
    """Set both files to the end of the finished pictures, and remove what an interrupted block left behind."""
    header = _header(count, spec)
    pixels.write(header)
    pixels.truncate(len(header) + finished * spec.byte_count)
    outcomes.truncate(finished)
    pixels.seek(0, os.SEEK_END)
    outcomes.seek(0, os.SEEK_END)


def _header(count: int, spec: InputSpec) -> bytes:
    """Return the bytes of the .npy file before the first pixel."""
    file = io.BytesIO()
    shape = (count, *spec.shape)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _read_description(folder: Path) -> tuple[InputSpec, str, bool]:
    try:
        content: Any = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        return InputSpec.from_json(content["input"], folder), str(content["content"]), content["complete"] is True
    except (OSError, ValueError, KeyError, TypeError, ArtifactInvalid) as error:
        raise DatasetInvalid(f"{folder}: expected a folder of prepared pictures: {error}") from error


def _write_description(folder: Path, spec: InputSpec, content: str, *, complete: bool) -> None:
    description = {"input": spec.to_json(), "content": content, "complete": complete}
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", "utf-8")
