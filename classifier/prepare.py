"""`prepare()` turns the bytes of a picture into the input of a model.

Training, evaluation and serving all use it, and a test checks that their inputs are equal byte for byte.
Normalisation is part of the graph instead, so that pixels are uint8 everywhere else.
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
"""Grey value of the padding. The normalisation (x - 127) / 128 of the graph makes it zero."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The input of a model's graph: uint8 [N, size, size, 3]."""

    size: int
    """Side in pixels."""
    resize: Literal["pad"] = "pad"
    """`pad`: the whole picture with its aspect ratio, centred on grey (docs/adr/0003-what-the-model-sees.md)."""
    colour: Literal["srgb"] = "srgb"

    def to_json(self) -> dict[str, Any]:
        """Return the content of `input.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the spec of the content of an `input.json`.

        Raises:
            ArtifactInvalid: it has a value that this version of Lookbook does not support.
        """
        if set(data) != {"size", "resize", "colour"} or data["resize"] != "pad" or data["colour"] != "srgb":
            raise ArtifactInvalid(f"input.json: expected size, resize 'pad' and colour 'srgb', got {data}")
        return cls(int(data["size"]))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture as input of a graph: `pixels` uint8 [size, size, 3] in RGB."""

    pixels: NDArray[np.uint8]
    info: PictureInfo
    picture: NDArray[np.uint8]
    """The same picture without the padding: uint8 [height, width, 3]."""


def prepare(data: bytes, spec: InputSpec, crop: Crop | None = None) -> Prepared:
    """Return the input of the graph for the bytes of a file.

    A JPEG is decoded at the smallest of the scales 1, 1/2, 1/4 and 1/8 whose long side is at least `spec.size`. Then
    the picture is resized with an antialiased triangle filter so that its long side is `spec.size`.

    Raises:
        ItemError: the picture cannot be decoded. The subclass says why.
    """
    image, info = load(data, target=spec.size, crop=crop)
    left, top, width, height = placement(image.size, spec.size)
    pixels = np.full((spec.size, spec.size, 3), PADDING, np.uint8)
    picture = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), dtype=np.uint8)
    pixels[top : top + height, left : left + width] = picture
    return Prepared(pixels, info, picture)


def placement(size: tuple[int, int], side: int) -> tuple[int, int, int, int]:
    """Return where a picture of `size` (width, height) lies in a square of `side` pixels: left, top, width, height."""
    scale = side / max(size)
    width, height = (max(1, round(length * scale)) for length in size)
    return (side - width) // 2, (side - height) // 2, width, height
