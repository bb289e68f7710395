"""Chooses the side of each picture: to learn from, to judge by, or for a final test."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from classifier.learning.data.folder import TEST
from classifier.learning.data.index import PictureIndex
from classifier.learning.data.pictures import TRAIN, VALIDATION
from classifier.learning.data.reading import must_be_split
from classifier.learning.data.split_files import read_split
from classifier.learning.data.splitting import assign_sides, find_families, measure_leaks

SHARES = {TRAIN: 0.8, VALIDATION: 0.1, TEST: 0.1}
"""The shares of the sides where a dataset is split without other wishes."""
SEED = 0


@dataclass(frozen=True, slots=True)
class SplitChoice:
    """Which split is used: that of a file, the shipped one, or, by default, the best that is at hand."""

    file: Path | None = None
    shipped: bool = False

    def needs_comparison(self, index: PictureIndex) -> bool:
        """Return whether the pictures have to be compared, because the dataset is split now."""
        sides = set(index.table.column("split").unique().to_pylist())
        return self.file is None and not self.shipped and must_be_split(index.note.split_from, sides)


BEST_SPLIT = SplitChoice()


@dataclass(frozen=True, slots=True)
class Sides:
    """An index whose column `split` has the chosen sides, and a sentence that says where they come from."""

    index: PictureIndex
    sentence: str


def choose_sides(index: PictureIndex, choice: SplitChoice) -> Sides:
    """Return the index with its sides. If the pictures have to be compared, the index has their fingerprints.

    The shipped split of the AI Hub has the same products and photos on both sides. A split that leaks in this way is
    used only if asked for.

    Raises:
        DatasetInvalid: the file of the split does not fit.
    """
    if choice.file is not None:
        return Sides(read_split(choice.file, index), f"The split is that of the file {choice.file.name}.")
    if not choice.needs_comparison(index):
        return Sides(index, "The split is that of the dataset.")
    families = find_families(index)
    shipped = index.column("split")
    reason = "The dataset has no split of its own"
    if index.note.split_from == "aihub" and {TRAIN, VALIDATION} <= set(shipped):
        leaks = measure_leaks(index, families, shipped)
        if not leaks["leaked"]:
            return Sides(index, "The split is the shipped one: no name, product or photo is on both of its sides.")
        reason = (
            f"The shipped split leaks: {leaks['leaked']:,} of {leaks['held_out']:,} pictures to judge by share a name, "
            "product or photo with pictures to learn from"
        )
    sides = assign_sides(families.families, index.label_numbers(), SHARES, SEED)
    counts = Counter(sides)
    shares = ", ".join(f"{side} {counts[side]:,}" for side in SHARES)
    return Sides(
        index.with_column("split", sides).with_note(split_from="file"),
        f"{reason}. Therefore it was split by product and photo, as `lookbook dataset split` does: {shares}.",
    )
