"""An opened dataset with its sides, from which training, evaluation and calibration get their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.learning.data.cache import DataCache, Dataset
from classifier.learning.data.folder import SIDES
from classifier.learning.data.index import PictureIndex
from classifier.learning.data.pictures import VALIDATION, Part, Pictures
from classifier.learning.data.sides import BEST_SPLIT, SplitChoice, choose_sides
from classifier.learning.data.styles import StyleNames
from classifier.prepare import InputSpec
from classifier.taxonomy import Taxonomy
from core.errors import DatasetInvalid

ALL = "all"
"""The part of a dataset that has all its labelled pictures, whatever their side."""
_SHOWN = 30
"""Number of labels or folders that an error names."""


@dataclass(frozen=True, slots=True)
class OpenedDataset:
    """A dataset whose pictures have sides."""

    path: Path
    dataset: Dataset
    split: str
    """A sentence that says where the sides come from."""
    cache: DataCache

    @classmethod
    def open(cls, path: Path, taxonomy: Taxonomy, split: SplitChoice, cache: DataCache) -> OpenedDataset:
        """Open whatever `DataCache.open` accepts.

        Raises:
            DatasetInvalid: there is no dataset, a folder is not named by a label, or the split does not fit.
        """
        return cls.of(path, _open(path, taxonomy, cache), split, cache)

    @classmethod
    def of(cls, path: Path, dataset: Dataset, split: SplitChoice, cache: DataCache) -> OpenedDataset:
        """Give the pictures of a dataset sides. `path` is its name in errors."""
        index = dataset.index
        # Comparing pictures takes long, and without a label it would be in vain.
        if not len(index.usable()):
            raise DatasetInvalid(
                f"{path}: expected readable pictures with a label among {_shown(index.note.taxonomy.label_ids)}; got "
                f"{len(index):,} pictures, none of them with such a label"
            )
        if split.needs_comparison(index):
            index = cache.with_fingerprints(index)
        chosen = choose_sides(index, split)
        return cls(path, Dataset(chosen.index, dataset.prepared), chosen.sentence, cache)

    @property
    def index(self) -> PictureIndex:
        """The rows of all pictures. The column `split` has the sides."""
        return self.dataset.index

    def positions(self, *parts: str) -> NDArray[np.int64]:
        """Return the positions of the readable pictures of some parts with a label: int64 [N]."""
        usable = self.index.usable()
        return usable if ALL in parts else usable[np.isin(self._sides()[usable], parts)]

    def part(self, part: str, spec: InputSpec) -> tuple[Part, list[str]]:
        """Return the prepared pictures of a part, and the paths of its labelled pictures that cannot be read.

        Raises:
            DatasetInvalid: there are none.
        """
        positions = self._required(part)
        found, unreadable = self.cache.part(self.dataset, positions, spec, part)
        return found, [*self._unreadable(part), *unreadable]

    def pictures(self, part: str, spec: InputSpec) -> Pictures:
        """Return the prepared pictures of a part.

        Raises:
            DatasetInvalid: there are none.
        """
        found, unreadable = self.part(part, spec)
        return Pictures([found], unreadable)

    def as_served(self, part: str, spec: InputSpec) -> Pictures | None:
        """Return the pictures of a part as a worker prepares them: without the garments that the dataset knows.

        Return None if they are the same as with the garments.
        """
        index = self.index.take(self._required(part))
        if spec.view == "whole" or not any(map(len, (*index.column("boxes"), *index.column("polygons")))):
            return None
        nothing: list[list[Any]] = [[] for _ in range(len(index))]
        bare = index.with_column("boxes", nothing).with_column("polygons", nothing)
        found, _ = self.cache.part(Dataset(bare), np.arange(len(bare)), spec, f"{part} without garments")
        return Pictures([found])

    def drawn(self, part: str, spec: InputSpec, count: int, seed: int) -> Pictures:
        """Return the prepared pictures of a part, but at most `count` of them, drawn at random.

        Raises:
            DatasetInvalid: there are none.
        """
        positions = np.random.default_rng(seed).permutation(self._required(part))[:count]
        found, unreadable = self.cache.part(self.dataset, positions, spec, f"some of {part}")
        return Pictures([found], unreadable)

    def _sides(self) -> NDArray[Any]:
        return np.array(self.index.column("split"), np.str_)

    def _required(self, part: str) -> NDArray[np.int64]:
        if len(positions := self.positions(part)):
            return positions
        counts = ", ".join(f"{side} {len(self.positions(side)):,}" for side in SIDES)
        raise DatasetInvalid(
            f"{self.path}: expected pictures in {part}; got {len(self.positions(ALL)):,} readable pictures with a "
            f"label of the model ({counts})"
        )

    def _unreadable(self, part: str) -> list[str]:
        found = (self.index.label_numbers() >= 0) & ~self.index.numbers("readable")
        if part != ALL:
            found &= self._sides() == part
        return [self.index.row(position).path for position in np.flatnonzero(found).tolist()]


def _open(path: Path, taxonomy: Taxonomy, cache: DataCache) -> Dataset:
    dataset = cache.open(path, taxonomy, whole=None)
    if dataset.index.note.split_from == "folders":
        _refuse_unknown_folders(dataset.index, taxonomy)
    return dataset


def _refuse_unknown_folders(index: PictureIndex, taxonomy: Taxonomy) -> None:
    names = StyleNames(taxonomy)
    folders = zip(index.column("folder"), index.label_numbers().tolist(), strict=True)
    unknown = sorted({folder for folder, number in folders if number < 0 and not names.is_no_label(folder)})
    if unknown:
        shown = _shown([folder or "pictures outside of any folder" for folder in unknown])
        raise DatasetInvalid(f"{index.note.root}: expected folders among {_shown(taxonomy.label_ids)}; got {shown}")


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" and others" if len(names) > _SHOWN else "")


def open_pictures(
    path: Path,
    taxonomy: Taxonomy,
    spec: InputSpec,
    cache: DataCache,
    split: SplitChoice = BEST_SPLIT,
    part: str | None = None,
) -> Pictures:
    """Open and prepare the pictures by which a model is evaluated, from whatever `lookbook train --data` accepts.

    `Pictures.blocks` yields the pixels in order, `labels` has the true labels, and `index` has every other column, such
    as `folder`, `product`, `boxes` and `attributes`.

    Args:
        part: a side of the split, or ALL. None means the validation side, or all pictures if there is none.

    Raises:
        DatasetInvalid: the dataset cannot be read, or the part has no pictures with a label of the taxonomy.
    """
    dataset = _open(path, taxonomy, cache)
    if part is None and split.file is None and not any(dataset.index.table.column("split").unique().to_pylist()):
        part = ALL
    # The sides of all pictures do not matter, so that the dataset need not be split.
    split = SplitChoice(shipped=True) if part == ALL else split
    opened = OpenedDataset.of(path, dataset, split, cache)
    if part is None:
        part = VALIDATION if len(opened.positions(VALIDATION)) else ALL
    cache.say(
        f"{opened.split} These are the pictures of {part}." if part != ALL else "These are all labelled pictures."
    )
    return opened.pictures(part, spec)
