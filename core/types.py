"""Small values that every floor of the house passes around."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from core.fingerprints import Fingerprint

WHOLE_PICTURE = ""
"""The crop key of a picture that is not cropped (a value rather than NULL, so that unique keys hold)."""

PictureKey = tuple[str, str]
"""(SHA-256 of the blob, crop key): what a prediction is of."""

_CROP_KEY = re.compile(r"(\d+),(\d+),(\d+)x(\d+)")


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle in pixels of the picture as a person sees it (after EXIF rotation), top left origin."""

    x: int
    y: int
    width: int
    height: int

    @property
    def key(self) -> str:
        """How the crop is written in a prediction's key: `x,y,widthxheight`."""
        return f"{self.x},{self.y},{self.width}x{self.height}"

    @classmethod
    def from_key(cls, key: str) -> Crop | None:
        """The crop of a key, None for `WHOLE_PICTURE`.

        Raises:
            ValueError: the key was not written by `Crop.key`.
        """
        if key == WHOLE_PICTURE:
            return None
        match = _CROP_KEY.fullmatch(key)
        if match is None:
            raise ValueError(f"expected a crop key like '10,20,300x400', got {key!r}")
        return cls(*(int(part) for part in match.groups()))

    def within(self, width: int, height: int) -> bool:
        """Whether the crop has an area and lies inside a picture of `width` x `height` pixels."""
        return (
            self.x >= 0
            and self.y >= 0
            and self.width > 0
            and self.height > 0
            and self.x + self.width <= width
            and self.y + self.height <= height
        )


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What a picture's header says: format in lower case, and pixels as a person sees them (after EXIF rotation)."""

    format: str
    width: int
    height: int
    fingerprint: Fingerprint | None = None
    """Set by the decoders, unless the picture shows too little."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One immutable model version, written `name@version`."""

    name: str
    version: str

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """The reference that `str()` wrote."""
        name, _, version = text.rpartition("@")
        return cls(name, version)

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class Scope(StrEnum):
    """What a key is for."""

    SUBMIT = "submit"
    """Make jobs, and change or delete one's own."""
    READ = "read"
    """Look at one's own jobs, and at the models."""
    ADMIN = "admin"
    """Both, and everything that concerns others: keys, which model is in production, and jobs that have no owner."""
