"""Small value types that all packages share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from core.fingerprints import Fingerprint

WHOLE_PICTURE = ""
"""The crop key of an uncropped picture. It is a value and not NULL, because a unique key treats NULLs as different."""

PictureKey = tuple[str, str]
"""(SHA-256 of the blob, crop key). A prediction belongs to such a pair."""

_CROP_KEY = re.compile(r"(\d+),(\d+),(\d+)x(\d+)")


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle in pixels, counted from the top left corner of the picture after EXIF rotation."""

    x: int
    y: int
    width: int
    height: int

    @property
    def key(self) -> str:
        """Return the text that identifies the crop in a prediction's key: `x,y,widthxheight`."""
        return f"{self.x},{self.y},{self.width}x{self.height}"

    @classmethod
    def from_key(cls, key: str) -> Crop | None:
        """Return the crop that a key describes, or None for `WHOLE_PICTURE`.

        Raises:
            ValueError: `Crop.key` cannot have written the key.
        """
        if key == WHOLE_PICTURE:
            return None
        match = _CROP_KEY.fullmatch(key)
        if match is None:
            raise ValueError(f"expected a crop key like '10,20,300x400', got {key!r}")
        return cls(*(int(part) for part in match.groups()))

    def within(self, width: int, height: int) -> bool:
        """Return whether the crop has an area and lies inside a picture of `width` x `height` pixels."""
        return (
            self.x >= 0
            and self.y >= 0
            and self.width > 0
            and self.height > 0
            and self.x + self.width <= width
            and self.y + self.height <= height
        )


MAX_REGIONS = 8
"""The largest number of regions that one item may have."""
MAX_REGION_NAME = 100
"""Characters of the longest name of a region."""


@dataclass(frozen=True, slots=True)
class Region:
    """A named part of a picture, such as one garment, which gets a prediction of its own."""

    name: str
    box: Crop
    """In pixels of the whole picture, even if its item has a crop."""


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """The header of a picture: its format in lower case, and its size in pixels after EXIF rotation."""

    format: str
    width: int
    height: int
    fingerprint: Fingerprint | None = None
    """The decoders set it. None if the picture is too small or too uniform for a fingerprint."""
    truncated: bool = False
    """Whether the data ends too early. The picture is then shown as browsers show it."""
    flat: bool = False
    """Whether the picture has a single colour. The decoders set it."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One immutable model version, written `name@version`."""

    name: str
    version: str

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """Return the reference that `str()` turned into `text`."""
        name, _, version = text.rpartition("@")
        return cls(name, version)

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class Scope(StrEnum):
    """Permission of a key."""

    SUBMIT = "submit"
    """Create jobs, and change or delete the key's own jobs."""
    READ = "read"
    """Read the key's own jobs, and the models."""
    METRICS = "metrics"
    """Read the metrics of the whole service, which show no job."""
    ADMIN = "admin"
    """All of these, and all that concerns others: keys, the model in production, and jobs without an owner."""
