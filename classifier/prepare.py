"""`prepare()`: the one definition of what the model sees.

Training, evaluation and serving all turn bytes into the graph's input here, and a test holds them equal to the byte.
Normalisation is not here: it is inside the graph, so that pixels stay uint8 on every way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import ArtifactInvalid
from core.pictures import load
from core.types import Crop, PictureInfo

PADDING = 127
"""Grey beside the picture: zero after the graph's own (x - 127) / 128."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a model's graph takes: uint8 [N, size, size, 3]."""

    size: int
    """Side in pixels."""
    resize: Literal["pad"] = "pad"
    """`pad`: the whole picture, its aspect kept, centred on grey (docs/adr/0003-what-the-model-sees.md)."""
    colour: Literal["srgb"] = "srgb"

    def to_json(self) -> dict[str, Any]:
        """The form of `input.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The spec of an `input.json`.

        Raises:
            ArtifactInvalid: it asks for something that this version does not do.
        """
        if set(data) != {"size", "resize", "colour"} or data["resize"] != "pad" or data["colour"] != "srgb":
            raise ArtifactInvalid(f"input.json: expected size, resize 'pad' and colour 'srgb', got {data}")
        return cls(int(data["size"]))


@dataclass(frozen=True, slots=True)
class Prepared:
    """One picture as the graph takes it: `pixels` uint8 [size, size, 3] in RGB."""

    pixels: NDArray[np.uint8]
    info: PictureInfo
    picture: NDArray[np.uint8]
    """The same without the grey beside it: uint8 [height, width, 3]."""


def prepare(data: bytes, spec: InputSpec, crop: Crop | None = None) -> Prepared:
    """Bytes of a file to the graph's input.

    A JPEG is decoded at the smallest of its scales 1, 1/2, 1/4, 1/8 whose long side is not below `spec.size`; then the
    picture is resized with an antialiased triangle filter until its long side is `spec.size`.

    Raises:
        ItemError: the picture cannot be decoded; the subclass says why.
    """
    image, info = load(data, target=spec.size, crop=crop)
    left, top, width, height = placement(image.size, spec.size)
    pixels = np.full((spec.size, spec.size, 3), PADDING, np.uint8)
    picture = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), dtype=np.uint8)
    pixels[top : top + height, left : left + width] = picture
    return Prepared(pixels, info, picture)


def placement(size: tuple[int, int], side: int) -> tuple[int, int, int, int]:
    """Where a picture of `size` (width, height) lies in the square of `side` pixels: left, top, width, height."""
    scale = side / max(size)
    width, height = (max(1, round(length * scale)) for length in size)
    return (side - width) // 2, (side - height) // 2, width, height
