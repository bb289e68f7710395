"""Extra sources: weakly labelled crawls and reviewed pictures that a model learns from, and is never judged by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from classifier.learning.data.index import PictureIndex
from classifier.learning.data.splitting import find_families


@dataclass(frozen=True, slots=True)
class ExtraSource:
    """A dataset whose pictures only go to the side to learn from, each with this weight."""

    path: Path
    weight: float


def leaked(extra: PictureIndex, held_out: PictureIndex) -> NDArray[np.bool_]:
    """Return which pictures of an extra source are in a family with pictures to judge by: bool [N].

    Both indexes have fingerprints. Products are compared only if the datasets name them, because identifiers and file
    names of two sources are equal by chance.
    """
    both = PictureIndex(pa.concat_tables([_named(held_out, "judged"), _named(extra, "extra")]), extra.note)
    families = find_families(both).families
    found: NDArray[np.bool_] = np.isin(families[len(held_out) :], families[: len(held_out)])
    return found


def _named(index: PictureIndex, source: str) -> Any:
    """Return the table in which only products that the dataset names can be equal to those of another source."""
    columns = (index.column(name) for name in ("product", "identifier", "name"))
    products = [
        f"{source} {product}" if product in (identifier, PurePosixPath(name).stem) else product
        for product, identifier, name in zip(*columns, strict=True)
    ]
    return index.with_column("product", products).table


@dataclass(frozen=True, slots=True)
class ExtraReport:
    """The numbers of pictures that were taken from an extra source, and of those left out."""

    name: str
    weight: float
    kinds: dict[str, int]
    """The number of pictures that are used, by kind: `given`, `verified` or `weak`."""
    leaked: int
    """Pictures that were left out because they share a product or a photo with pictures to judge by."""
    unlabelled: int
    unreadable: int

    @property
    def sentence(self) -> str:
        """A sentence for people about the pictures taken and left out."""
        kinds = " and ".join(f"{count:,} {kind}" for kind, count in self.kinds.items()) or "no"
        return (
            f"The extra source {self.name} gives {kinds} pictures with the weight {self.weight:g}. Left out: "
            f"{self.leaked:,} that share a product or photo with pictures to judge by, {self.unlabelled:,} without a "
            f"label of the model, {self.unreadable:,} unreadable."
        )


def report(source: ExtraSource, whole: PictureIndex, used: PictureIndex, leaks: int) -> ExtraReport:
    """Return the report on a source. `whole` are all its pictures, and `used` those that the model learns from."""
    labelled = whole.label_numbers() >= 0
    return ExtraReport(
        source.path.resolve().name,
        source.weight,
        dict(sorted(Counter(used.column("kind")).items())),
        leaks,
        int((~labelled).sum()),
        int(labelled.sum()) - leaks - len(used),
    )
