"""Scores of changed pictures: each picture is read once, changed in several ways, and classified as a worker would."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier.garments import Garments
from classifier.learning.data.index import PictureIndex, PictureRow
from classifier.learning.data.parallel import in_order
from classifier.learning.data.pictures import Track
from classifier.learning.data.prepared import prepare_bytes
from classifier.prepare import InputSpec, prepare
from classifier.runtime import Runtime, predict
from core.item_errors import ItemError
from core.pictures import load
from core.types import Crop

_BLOCK = 64
"""Number of pictures that are in memory together, each in all its variants."""


@dataclass(frozen=True, slots=True)
class Original:
    """A picture as its dataset has it."""

    data: bytes
    row: PictureRow

    @property
    def garments(self) -> Garments:
        """The garments that the dataset knows."""
        return Garments.of(self.row.boxes, self.row.polygons)

    def seen(self, spec: InputSpec) -> Crop:
        """The part of the upright picture that a model is given: one garment for the view `garment`, else all of it."""
        garment = self.row.boxes[0].crop(self.row.width, self.row.height) if self.row.boxes else None
        if spec.view == "garment" and garment is not None:
            return garment
        width, height = self.image().size
        return Crop(0, 0, width, height)

    def image(self) -> Image.Image:
        """Return the upright picture at full size."""
        return load(self.data)[0]


Variant = Callable[[Original, InputSpec], NDArray[np.uint8] | None]
"""Returns the input of a model, uint8 [*InputSpec.shape], for a changed picture, or None if it cannot be changed so."""


@dataclass(frozen=True, slots=True)
class VariantScores:
    """The scores of M pictures that have this variant."""

    positions: NDArray[np.int64]
    """Their positions in the index: int64 [M]."""
    scores: NDArray[np.float32]
    """float32 [M, labels]."""


def score_variants(
    runtime: Runtime, index: PictureIndex, spec: InputSpec, variants: Mapping[str, Variant], track: Track
) -> dict[str, VariantScores]:
    """Return the scores of each variant. Pictures that cannot be read have none."""
    positions: dict[str, list[int]] = {name: [] for name in variants}
    scores: dict[str, list[NDArray[np.float32]]] = {name: [] for name in variants}
    changed = iter(track(_changed(index, spec, variants), len(index)))
    while block := list(islice(changed, _BLOCK)):
        for name in variants:
            present = [(position, found[name]) for position, found in block if found.get(name) is not None]
            if present:
                positions[name] += [position for position, _ in present]
                scores[name].append(predict(runtime, np.stack([pixels for _, pixels in present])))
    return {
        name: VariantScores(np.array(positions[name], np.int64), _joined(scores[name], len(index.note.taxonomy.labels)))
        for name in variants
    }


def as_it_is(original: Original, spec: InputSpec) -> NDArray[np.uint8]:
    """Return the unchanged picture."""
    return prepare_bytes(original.data, original.row, spec)


def mirrored(original: Original, spec: InputSpec) -> NDArray[np.uint8]:
    """Return the picture with left and right exchanged."""
    return np.ascontiguousarray(as_it_is(original, spec)[..., ::-1, :])


def recompressed(quality: int) -> Variant:
    """Return the variant that saves the picture at full size as a JPEG of this quality (0 to 100)."""

    def change(original: Original, spec: InputSpec) -> NDArray[np.uint8]:
        out = io.BytesIO()
        original.image().save(out, "JPEG", quality=quality)
        return prepare_bytes(out.getvalue(), original.row, spec)

    return change


def cropped(share: float) -> Variant:
    """Return the variant that shows the middle of the picture, with this share of its width and of its height."""

    def change(original: Original, spec: InputSpec) -> NDArray[np.uint8]:
        seen = original.seen(spec)
        width, height = max(1, round(seen.width * share)), max(1, round(seen.height * share))
        crop = Crop(seen.x + (seen.width - width) // 2, seen.y + (seen.height - height) // 2, width, height)
        return prepare(original.data, spec, crop, original.garments).pixels

    return change


def _changed(
    index: PictureIndex, spec: InputSpec, variants: Mapping[str, Variant]
) -> Iterator[tuple[int, dict[str, Any]]]:
    def change(position: int) -> tuple[int, dict[str, Any]]:
        try:
            original = Original(index.read(position), index.row(position))
            return position, {name: variant(original, spec) for name, variant in variants.items()}
        except ItemError:
            return position, {}

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from in_order(pool, change, range(len(index)))


def _joined(parts: Sequence[NDArray[np.float32]], labels: int) -> NDArray[np.float32]:
    return np.concatenate(parts) if parts else np.empty((0, labels), np.float32)
