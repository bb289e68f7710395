"""`prepare()` turns the bytes of a picture into the input of a model.

Training, evaluation and serving all use it, and a test checks that their inputs are equal byte for byte.
Normalisation is part of the graph instead, so that pixels are uint8 everywhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier.garments import GARMENT_NAMES, NO_GARMENTS, Garments, union
from classifier.outlines import Outline, draw_mask, find_outlines
from classifier.segmenting import SegmenterFile
from core.errors import ArtifactInvalid
from core.pictures import DEFAULT_LIMITS, PictureLimits, load
from core.types import Crop, PictureInfo

PADDING = 127
"""Grey value of the padding. The normalisation (x - 127) / 128 of the graph makes it zero."""

View = Literal["whole", "crop", "mask", "views", "garment"]
VIEW_COUNT = 1 + len(GARMENT_NAMES)
"""The number of pictures in an input with the view `views`: the whole picture, then one for each garment."""

_ZOOM = 2
"""How much larger than the input a picture is decoded if only a part of it may be shown."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The input of a model's graph: uint8 [N, *shape]."""

    size: int
    """Side in pixels."""
    resize: Literal["pad"] = "pad"
    """`pad`: with its aspect ratio, centred on grey (docs/adr/0003-what-the-model-sees.md)."""
    colour: Literal["srgb"] = "srgb"
    view: View = "whole"
    """The part of a picture that a model sees.

    `whole`: all of it. `crop`: the box around its garments. `mask`: all of it, with grey in place of all but the
    garments. `views`: all of it, and each garment in a picture of its own. `garment`: one garment; a picture without
    a crop is cropped to all its garments.
    """
    segmenter: SegmenterFile | None = None
    """Finds the garments of pictures that come without boxes and polygons. Without one, they are shown whole."""

    @property
    def shape(self) -> tuple[int, ...]:
        """[size, size, 3], or [VIEW_COUNT, size, size, 3] for `views`."""
        square = (self.size, self.size, 3)
        return (VIEW_COUNT, *square) if self.view == "views" else square

    @property
    def byte_count(self) -> int:
        """Number of bytes of one input."""
        return math.prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        """Return the content of `input.json`. It has no member `view` for whole pictures."""
        content: dict[str, Any] = {"size": self.size, "resize": self.resize, "colour": self.colour}
        if self.view != "whole":
            content["view"] = self.view
        if self.segmenter is not None:
            content["segmenter"] = self.segmenter.to_json()
        return content

    @classmethod
    def from_json(cls, data: dict[str, Any], folder: Path) -> Self:
        """Return the spec of the content of an `input.json` in a folder, which has the file of its segmenter.

        The member `embedding` describes an output (`classifier.artifact.Embedding`).

        Raises:
            ArtifactInvalid: it has a value that this version of Lookbook does not support.
        """
        view, segmenter = data.get("view", "whole"), data.get("segmenter")
        if (
            set(data) - {"view", "segmenter", "embedding"} != {"size", "resize", "colour"}
            or data["resize"] != "pad"
            or data["colour"] != "srgb"
            or view not in get_args(View)
            or (segmenter is not None and view == "whole")
        ):
            raise ArtifactInvalid(
                f"input.json: expected size, resize 'pad', colour 'srgb', a view among {', '.join(get_args(View))} "
                f"and a segmenter only with another view than whole, got {data}"
            )
        try:
            file = None if segmenter is None else SegmenterFile.from_json(segmenter, folder)
        except (KeyError, TypeError, AttributeError) as error:
            raise ArtifactInvalid(
                f"input.json: expected a segmenter with file, sha256, channels, mean and std, got {segmenter}"
            ) from error
        return cls(int(data["size"]), view=view, segmenter=file)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture as input of a graph: `pixels` uint8 [*shape] in RGB."""

    pixels: NDArray[np.uint8]
    info: PictureInfo
    picture: NDArray[np.uint8]
    """The same picture without the padding, before its view is taken: uint8 [height, width, 3]."""
    seen: Crop | None
    """The part of the upright picture at full size that `pixels` show, or None for all of it."""


def prepare(
    data: bytes,
    spec: InputSpec,
    crop: Crop | None = None,
    garments: Garments = NO_GARMENTS,
    limits: PictureLimits = DEFAULT_LIMITS,
) -> Prepared:
    """Return the input of the graph for the bytes of a file.

    A JPEG is decoded at the smallest of the scales 1, 1/2, 1/4 and 1/8 whose long side is at least `spec.size`, or
    twice as much if the view may show only a part of it. Then the picture is resized with an antialiased triangle
    filter so that its long side is `spec.size`.

    `garments` are those that are known of the picture, at full size. Without any, the segmenter of the spec finds them.
    With the view `garment`, a crop is a garment and is shown as it is.

    Raises:
        ItemError: the picture cannot be decoded. The subclass says why.
    """
    cuts = spec.view in ("crop", "views") or (spec.view == "garment" and crop is None)
    image, info = load(data, target=spec.size * (_ZOOM if cuts else 1), crop=crop, limits=limits)
    region = crop or Crop(0, 0, info.width, info.height)
    scale = image.width / region.width, image.height / region.height
    picture = _fitted(image, spec.size)
    if not cuts and spec.view != "mask":
        return Prepared(_padded(picture, spec.size), info, picture, crop)
    outlines = find_outlines(image, garments.placed(region, scale), spec.segmenter)
    if spec.view == "mask":
        return Prepared(_padded(_masked(picture, outlines, image.size), spec.size), info, picture, crop)
    if spec.view == "views":
        return Prepared(_views(image, picture, outlines, spec.size), info, picture, crop)
    shown = _shown(outlines, spec.view, image.size)
    if shown is None:
        return Prepared(_padded(picture, spec.size), info, picture, crop)
    return Prepared(
        _padded(_fitted(_cut(image, shown), spec.size), spec.size), info, picture, _unscaled(shown, region, scale)
    )


def placement(size: tuple[int, int], side: int) -> tuple[int, int, int, int]:
    """Return where a picture of `size` (width, height) lies in a square of `side` pixels: left, top, width, height."""
    scale = side / max(size)
    width, height = (max(1, round(length * scale)) for length in size)
    return (side - width) // 2, (side - height) // 2, width, height


def _fitted(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """Return the picture with a long side of `side` pixels."""
    return np.asarray(image.resize(placement(image.size, side)[2:], Image.Resampling.BILINEAR), dtype=np.uint8)


def _padded(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    pixels = np.full((side, side, 3), PADDING, np.uint8)
    left, top = (side - width) // 2, (side - height) // 2
    pixels[top : top + height, left : left + width] = picture
    return pixels


def _masked(picture: NDArray[np.uint8], outlines: Sequence[Outline], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the picture with grey outside of the outlines. Without outlines, it stays as it is."""
    mask = draw_mask(outlines, size, (picture.shape[1], picture.shape[0]))
    return np.where(mask[..., None], picture, np.uint8(PADDING)) if mask.any() else picture


def _views(image: Image.Image, picture: NDArray[np.uint8], outlines: Sequence[Outline], side: int) -> NDArray[np.uint8]:
    """Return the whole picture and each garment of it: uint8 [VIEW_COUNT, side, side, 3]. Absent garments are grey."""
    pixels = np.full((VIEW_COUNT, side, side, 3), PADDING, np.uint8)
    pixels[0] = _padded(picture, side)
    for outline in outlines:
        shown = outline.box.grown().crop(*image.size)
        if outline.name in GARMENT_NAMES and shown is not None:
            pixels[1 + GARMENT_NAMES.index(outline.name)] = _padded(_fitted(_cut(image, shown), side), side)
    return pixels


def _shown(outlines: Sequence[Outline], view: View, size: tuple[int, int]) -> Crop | None:
    """Return the box around all outlines, or None if there are none. The view `garment` has no margin, as its crops."""
    if not outlines:
        return None
    box = union([outline.box for outline in outlines])
    return (box if view == "garment" else box.grown()).crop(*size)


def _cut(image: Image.Image, part: Crop) -> Image.Image:
    return image.crop((part.x, part.y, part.x + part.width, part.y + part.height))


def _unscaled(part: Crop, region: Crop, scale: tuple[float, float]) -> Crop:
    """Return a part of a decoded picture as a part of the picture at full size, of which it shows `region`."""
    left, top = math.floor(part.x / scale[0]), math.floor(part.y / scale[1])
    right = min(region.width, math.ceil((part.x + part.width) / scale[0]))
    bottom = min(region.height, math.ceil((part.y + part.height) / scale[1]))
    return Crop(region.x + left, region.y + top, max(1, right - left), max(1, bottom - top))
