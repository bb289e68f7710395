"""Guess how a picture was shot from simple properties of its pixels: in a studio, on a street, or in a mirror.

No file says it, so it is guessed. On pictures of `lookbook dataset synthesize`, whose format is known, the guess is
right in more than 95 %. Real pictures are more various: a street before a plain wall counts as a studio, and a room
with a door frame on both sides as a mirror.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

_BORDER = 0.1
"""The share of the width and height that counts as border. Figures seldom reach it."""
_SAME_COLOUR = 32
"""The largest difference of a channel, of 255, to the middle colour of the border, within one colour of paper."""
_PLAIN_SHARE = 0.85
"""The least share of the border that has this one colour in a studio."""
_FRAME_CONTRAST = 15
"""The least mean step of brightness, of 255, at a column near the edge along which a frame runs."""


class ShootingFormat(StrEnum):
    """How a picture seems to be shot."""

    STUDIO = "studio"
    """Its border has one colour."""
    MIRROR = "mirror"
    """Its border has several colours, and a straight vertical edge runs along its left and its right side."""
    STREET = "street"
    """All others: any place with things in the background."""


def shooting_format(picture: NDArray[np.uint8]) -> ShootingFormat:
    """Return the format of a picture without padding, uint8 [height, width, 3], with a long side of 100 to 500."""
    height, width, _ = picture.shape
    across, down = max(2, round(_BORDER * width)), max(2, round(_BORDER * height))
    sides = (picture[:, :across], picture[:, -across:])
    border = np.concatenate([part.reshape(-1, 3) for part in (*sides, picture[:down])]).astype(np.int16)
    plain = np.abs(border - np.median(border, axis=0)).max(axis=1) <= _SAME_COLOUR
    if plain.mean() >= _PLAIN_SHARE:
        return ShootingFormat.STUDIO
    if min(_strongest_edge(side) for side in sides) >= _FRAME_CONTRAST:
        return ShootingFormat.MIRROR
    return ShootingFormat.STREET


def _strongest_edge(side: NDArray[np.uint8]) -> float:
    """Return the largest mean step between two neighbouring columns."""
    brightness = side.astype(np.float32).mean(axis=2)
    return float(np.abs(np.diff(brightness, axis=1)).mean(axis=0).max())
