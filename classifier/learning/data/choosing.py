"""Chooses the pictures to learn from and to judge by, and adds extra sources."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classifier.learning.data.cache import DataCache, Dataset
from classifier.learning.data.extras import ExtraReport, ExtraSource, leaked, report
from classifier.learning.data.folder import TEST
from classifier.learning.data.hashing import content_hash
from classifier.learning.data.index import PictureIndex
from classifier.learning.data.opened import ALL, OpenedDataset
from classifier.learning.data.pictures import TRAIN, VALIDATION, Part, Pictures
from classifier.learning.data.sides import BEST_SPLIT, SplitChoice
from classifier.prepare import InputSpec
from classifier.reference import TRAIN_COUNT
from classifier.taxonomy import Taxonomy

REFERENCE_SEED = 0
"""The seed that draws pictures to learn from, to quantize a model and to publish its answers to them."""
_HASHED = ("sha256", "label", "sub_labels", "weight")
"""The columns that the hash of the data contains, beside the side."""


@dataclass(frozen=True, slots=True)
class DataChoice:
    """A dataset, its split, and the extra sources to learn from."""

    path: Path
    split: SplitChoice = BEST_SPLIT
    extras: tuple[ExtraSource, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The pictures of a training run."""

    training: Pictures
    validation: Pictures
    served: Pictures | None
    """`validation` as a worker prepares it: without the garments of the dataset. None if that is the same."""
    reference: Pictures
    """Some pictures to learn from, drawn at random and prepared as those to judge by. Their answers are published."""
    hash: str
    """A hash of all pictures that are used, with their labels, sides and weights, in hexadecimal digits."""
    split: str
    """A sentence that says where the split comes from."""
    unlabelled: int
    """Pictures of the dataset without a label of the model, which are left out."""
    on_other_sides: int
    """Labelled pictures that are on neither side, such as those for a final test."""
    extras: tuple[ExtraReport, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the members that `metrics.json` has about the data."""
        return {
            "train_pictures": len(self.training),
            "validation_pictures": len(self.validation),
            "unreadable_files": len(self.training.unreadable) + len(self.validation.unreadable),
            "unlabelled_pictures": self.unlabelled,
            "pictures_on_other_sides": self.on_other_sides,
            "data_hash": self.hash,
            "split": self.split,
            "extra_sources": [asdict(extra) for extra in self.extras],
        }


def open_training_data(
    choice: DataChoice, taxonomy: Taxonomy, learned: InputSpec, judged: InputSpec, cache: DataCache
) -> TrainingData:
    """Open and prepare the pictures to learn from, as `learned` says, and those to judge by, as `judged` says.

    The cache receives sentences about the split, the extra sources and the pictures that are left out.

    Raises:
        DatasetInvalid: a dataset cannot be read, or one side has no pictures with a label of the taxonomy.
    """
    opened = OpenedDataset.open(choice.path, taxonomy, choice.split, cache)
    cache.say(opened.split)
    training = [opened.part(TRAIN, learned)]
    validation, validation_paths = opened.part(VALIDATION, judged)
    reports = []
    if choice.extras:
        # No extra source may repeat these pictures.
        held_out = cache.with_fingerprints(opened.index.take(opened.positions(VALIDATION, TEST)))
        for source in choice.extras:
            part, found = _extra_part(source, held_out, taxonomy, learned, cache)
            training.append(part)
            reports.append(found)
            cache.say(found.sentence)
    labelled = int((opened.index.label_numbers() >= 0).sum())
    data = TrainingData(
        Pictures([part for part, _ in training], [path for _, paths in training for path in paths]),
        Pictures([validation], validation_paths),
        opened.as_served(VALIDATION, judged),
        opened.drawn(TRAIN, judged, TRAIN_COUNT, REFERENCE_SEED),
        _hash([*((TRAIN, part) for part, _ in training), (VALIDATION, validation)]),
        opened.split,
        len(opened.index) - labelled,
        len(opened.positions(ALL)) - len(opened.positions(TRAIN, VALIDATION)),
        tuple(reports),
    )
    cache.say(
        f"Left out: {data.unlabelled:,} without a label of the model, {len(data.training.unreadable):,} and "
        f"{len(validation_paths):,} unreadable in {TRAIN} and {VALIDATION}, {data.on_other_sides:,} on other sides."
    )
    return data


def _extra_part(
    source: ExtraSource, held_out: PictureIndex, taxonomy: Taxonomy, spec: InputSpec, cache: DataCache
) -> tuple[tuple[Part, list[str]], ExtraReport]:
    dataset = cache.open(source.path, taxonomy, whole=True)
    index = cache.with_fingerprints(dataset.index)
    leaks, positions = leaked(index, held_out), index.usable()
    weighted = index.with_column("weight", np.full(len(index), source.weight, np.float32))
    name = source.path.resolve().name
    part, unreadable = cache.part(Dataset(weighted, dataset.prepared), positions[~leaks[positions]], spec, name)
    return (part, unreadable), report(source, index, part.index, int(leaks[positions].sum()))


def _hash(parts: Sequence[tuple[str, Part]]) -> str:
    digest = hashlib.sha256()
    for side, part in parts:
        digest.update(f"{side} {content_hash(part.index.table, _HASHED)}\n".encode())
    return digest.hexdigest()
