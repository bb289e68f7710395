"""The cache of training: indexes of datasets and prepared pictures, in `prepared/` of LOOKBOOK_HOME.

    <hash>/            prepared pictures, named by a hash of all that their pixels depend on
    <hash>-<hash>.arrow
                       the index of a folder, named by the folder and by the names, sizes and times of its files

The folder may be deleted while no training runs.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from classifier.learning.data.garment_rows import one_row_per_garment
from classifier.learning.data.index import PictureIndex
from classifier.learning.data.parallel import in_order
from classifier.learning.data.pictures import NamedTrack, Part
from classifier.learning.data.prepared import DESCRIPTION, PreparedPictures, pixels_hash, prepare_pictures
from classifier.learning.data.reading import FINGERPRINT_SIDE, ReadingOptions, make_index
from classifier.prepare import InputSpec, prepare
from classifier.taxonomy import Taxonomy
from core.item_errors import ItemError
from core.perceptual import fingerprint

PREPARED = "prepared"
"""The folder of the cache in LOOKBOOK_HOME."""
_DIGITS = 16
"""Number of hexadecimal digits in the names of folders and files."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dataset:
    """An opened dataset. `prepared` are its pixels if it was given as a folder of prepared pictures."""

    index: PictureIndex
    prepared: PreparedPictures | None = None


class DataCache:
    """Opens datasets and prepares their pictures, and keeps both for the next time.

    `say` receives a sentence about each use of the cache.
    """

    def __init__(self, home: Path, track: NamedTrack, say: Callable[[str], None]) -> None:
        self.folder = home / PREPARED
        self.say = say
        self._track = track

    def open(self, path: Path, taxonomy: Taxonomy, *, whole: bool | None) -> Dataset:
        """Open a dataset: a folder that `lookbook dataset check` reads, an index file, or prepared pictures.

        Args:
            taxonomy: the labels. Pictures with other labels have none.
            whole: as in `ReadingOptions`. It applies to folders that are read now.

        Raises:
            DatasetInvalid: there is no dataset, or the index does not fit its pictures.
        """
        if path.is_file():
            return Dataset(PictureIndex.open(path).with_note(taxonomy=taxonomy))
        if (path / DESCRIPTION).is_file():
            prepared = PreparedPictures.open(path)
            return Dataset(prepared.index.with_note(taxonomy=taxonomy), prepared)
        return Dataset(self._read(path, ReadingOptions(taxonomy, whole=whole)))

    def _read(self, root: Path, options: ReadingOptions) -> PictureIndex:
        named = _digest([os.fspath(root.resolve()), json.dumps(options.taxonomy and options.taxonomy.to_json())])
        path = self.folder / f"{named}-{_digest(_files(root))}.arrow"
        if path.exists() and ((index := PictureIndex.open(path)).note.whole or not options.whole):
            self.say(f"{root} has not changed since its index was made")
            return index
        index = make_index(root, path, options, partial(self._track, "pictures"))
        for outdated in self.folder.glob(f"{named}-*.arrow"):
            if outdated != path:
                outdated.unlink()
        return index

    def with_fingerprints(self, index: PictureIndex) -> PictureIndex:
        """Return the index with the fingerprints of all pictures. Those that cannot be decoded become unreadable."""
        if index.note.whole:
            return index

        def one(position: int) -> tuple[bool, bytes | None]:
            try:
                return True, fingerprint(prepare(index.read(position), InputSpec(FINGERPRINT_SIDE)).picture)
            except ItemError:
                return False, None

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(self._track("comparing", in_order(pool, one, range(len(index))), len(index)))
        compared = index.with_column("fingerprint", [value for _, value in found])
        return compared.with_column("readable", [readable for readable, _ in found]).with_note(whole=True)

    def part(
        self, dataset: Dataset, positions: NDArray[np.int64], spec: InputSpec, what: str
    ) -> tuple[Part, list[str]]:
        """Return some pictures of a dataset with their pixels, and the paths of those that cannot be read.

        `what` names the pictures to the user. Pixels that the cache has are not computed again. With the view
        `garment`, each garment box counts as a picture.
        """
        index, rows = dataset.index.take(positions), positions
        if spec.view == "garment":
            index = one_row_per_garment(index)
        if not len(positions):
            pixels, readable = np.empty((0, *spec.shape), np.uint8), np.empty(0, np.bool_)
        elif dataset.prepared is not None and dataset.prepared.spec == spec and spec.view != "garment":
            pixels, readable = dataset.prepared.pixels, index.numbers("readable")
        else:
            folder = self._prepare(index, spec, what)
            prepared = PreparedPictures.open(folder)
            pixels, readable = prepared.pixels, prepared.index.numbers("readable")
            rows = np.arange(len(index))
        kept = np.flatnonzero(readable)
        unreadable = [index.row(position).path for position in np.flatnonzero(~readable).tolist()]
        return Part(pixels, rows[kept], index.take(kept)), unreadable

    def _prepare(self, index: PictureIndex, spec: InputSpec, what: str) -> Path:
        folder = self.folder / pixels_hash(index, spec)[:_DIGITS]
        number = prepare_pictures(index, folder, spec, partial(self._track, f"preparing {what}"))
        reused = f"{number:,} of them now" if number else "all of them earlier"
        self.say(f"{what}: {len(index):,} pictures of {spec.size} pixels prepared in {folder}, {reused}")
        return folder


def dataset_root(path: Path) -> Path:
    """Return the folder of the pictures of a dataset that may be given as an index or as prepared pictures."""
    if path.is_file():
        return PictureIndex.open(path).note.root
    return PreparedPictures.open(path).index.note.root if (path / DESCRIPTION).is_file() else path


def _files(root: Path) -> Iterator[str]:
    """Yield the name, size and time of change of each file of a folder, in a fixed order."""
    visited = {os.path.realpath(root)}
    for folder, folders, names in os.walk(root, followlinks=True):
        # A link to a folder may lead back to a folder above it.
        real = {name: os.path.realpath(os.path.join(folder, name)) for name in sorted(folders)}  # noqa: PTH118
        folders[:] = [name for name, target in real.items() if target not in visited]
        visited.update(real.values())
        for name in sorted(names):
            path = os.path.join(folder, name)  # noqa: PTH118
            try:
                state = os.stat(path)  # noqa: PTH116
            except OSError:
                continue
            yield f"{os.path.relpath(path, root)}\0{state.st_size}\0{state.st_mtime_ns}"


def _digest(parts: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(str(part).encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()[:_DIGITS]
