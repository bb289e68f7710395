"""Pictures for the campaign, drawn from a seed, and the answer that the service has to give for each."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from classifier.artifact import find_artifact
from classifier.prepare import prepare
from classifier.runtime import predict
from classifier.runtimes import open_runtime
from core.settings import Settings
from core.types import ModelRef
from samples import broken

SIDES = (100, 140)
"""Shortest and longest side in pixels. Crawls leave smaller pictures out, because they take them for decoration."""
BROKEN_SHARE = 0.03
_BATCH = 64
_BROKEN = {
    "truncated_image": broken.truncated_jpeg,
    "not_an_image": broken.text,
    "too_many_pixels": broken.huge_png,
    "unsupported_format": broken.svg,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One file of the campaign."""

    number: int
    data: bytes
    sha256: str
    error: str | None
    """The error code that its item has to have, or None if the picture can be classified."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The prediction for a picture, computed without the service."""

    label: str
    scores: dict[str, float]


@lru_cache(maxsize=4096)
def draw(seed: int, number: int) -> Picture:
    """Return the picture of a number. It depends only on seed and number, and differs from all others."""
    random = np.random.default_rng([seed, number])
    if random.random() < BROKEN_SHARE:
        error = str(random.choice(list(_BROKEN)))
        return _picture(number, _BROKEN[error](), error)
    width, height = (int(side) for side in random.integers(*SIDES, 2))
    image = Image.new("RGB", (width, height), _colour(random))
    pen = ImageDraw.Draw(image)
    for _ in range(int(random.integers(2, 7))):
        left, top = random.integers(0, [width, height])
        box = (left, top, left + random.integers(8, width), top + random.integers(8, height))
        shape = pen.ellipse if random.random() < 0.5 else pen.rectangle
        shape(tuple(int(edge) for edge in box), fill=_colour(random))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    # Two drawings may compress to the same bytes; a comment makes every file different.
    return _picture(number, _commented(file.getvalue(), f"{seed} {number}"), None)


def _picture(number: int, data: bytes, error: str | None) -> Picture:
    return Picture(number, data, hashlib.sha256(data).hexdigest(), error)


def _colour(random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(part) for part in random.integers(0, 256, 3))
    return red, green, blue


def _commented(jpeg: bytes, text: str) -> bytes:
    comment = text.encode()
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + jpeg[2:]


def expectations(settings: Settings, model: ModelRef, pictures: Iterable[Picture]) -> dict[str, Expected]:
    """Return the prediction for each picture that can be opened, by SHA-256, computed in this process."""
    artifact = find_artifact(settings.models, model)
    runtime = open_runtime(artifact, settings.runtime, settings.precision)
    distinct = list({picture.sha256: picture for picture in pictures if picture.error is None}.values())
    labels = [label.id for label in artifact.taxonomy.labels]
    found = {}
    for start in range(0, len(distinct), _BATCH):
        part = distinct[start : start + _BATCH]
        pixels = np.stack([prepare(picture.data, artifact.input).pixels for picture in part])
        for picture, row in zip(part, predict(runtime, pixels), strict=True):
            scores = dict(zip(labels, map(float, row), strict=True))
            found[picture.sha256] = Expected(max(scores, key=scores.__getitem__), scores)
    runtime.close()
    return found
