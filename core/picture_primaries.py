"""Colours that a file states by numbers instead of a profile: a gamma and the chromaticities of its primaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""White, red, green and blue of sRGB as x and y (IEC 61966-2-1), in the order of the PNG chunk cHRM."""
_CODED_PRIMARIES = {
    1: _SRGB,
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
"""The primaries of sRGB, BT.2020 and Display P3, by their number in ITU-T H.273, table 2."""
_SRGB_LIKE, _CODED_GAMMAS = {1, 2, 6, 13, 14, 15}, {4: 2.2, 5: 2.8, 8: 1.0}
"""Transfer functions by their number in ITU-T H.273, table 3."""
_SAMPLES = np.arange(256, dtype=np.float32) / 255
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""From XYZ to the responses in which a white point is adapted (ICC.1:2022, annex E)."""
_SCREEN_GAMMA = 2.2
_SAME_GAMMA = 0.05
"""The difference of exponents below which libpng sees no difference (PNG_GAMMA_THRESHOLD)."""


@dataclass(frozen=True, slots=True, eq=False)
class StatedColours:
    """Colours of RGB pictures with eight bits."""

    linear: NDArray[np.floating]
    """The linear value, 0 to 1, of each sample value: [256]."""
    matrix: NDArray[np.floating]
    """From linear values of these colours to those of sRGB: [3, 3]."""

    def convert(self, image: Image.Image) -> Image.Image:
        """Return a picture in mode RGB in sRGB."""
        linear = np.clip(self.linear[np.asarray(image)] @ self.matrix.T, 0, 1)
        encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        return Image.fromarray(np.rint(encoded * 255).astype(np.uint8))


def stated_colours(info: Mapping[Any, Any]) -> StatedColours | None:
    """Return the colours of a PNG by its chunks sRGB, gAMA and cHRM, or None if they are those of sRGB.

    As in Chromium, cHRM counts only beside gAMA, and gAMA alone does not count if it is close to that of a screen.
    """
    gamma, primaries = info.get("gamma"), info.get("chromaticity")
    if "srgb" in info or not isinstance(gamma, float) or not 0.01 <= gamma <= 100:
        return None
    if primaries is None and abs(gamma * _SCREEN_GAMMA - 1) < _SAME_GAMMA:
        return None
    return _colours(_SAMPLES ** np.float32(1 / gamma), primaries or _SRGB)


def coded_colours(primaries: int, transfer: int) -> StatedColours | None:
    """Return the colours of code points of ITU-T H.273, or None if they are those of sRGB or are not supported.

    The curves of television are taken for that of sRGB, as in browsers. PQ and HLG are not supported.
    """
    if primaries not in _CODED_PRIMARIES or (primaries == 1 and transfer in _SRGB_LIKE):
        return None
    if transfer in _SRGB_LIKE:
        linear = np.where(_SAMPLES <= 0.04045, _SAMPLES / 12.92, ((_SAMPLES + 0.055) / 1.055) ** 2.4)
    elif transfer in _CODED_GAMMAS:
        linear = _SAMPLES ** np.float32(_CODED_GAMMAS[transfer])
    else:
        return None
    return _colours(linear.astype(np.float32), _CODED_PRIMARIES[primaries])


def _colours(linear: NDArray[np.floating], primaries: tuple[float, ...]) -> StatedColours | None:
    matrix = _to_srgb(primaries)
    return None if matrix is None else StatedColours(linear, matrix)


def _to_srgb(primaries: tuple[float, ...]) -> NDArray[np.floating] | None:
    """Return the matrix from linear values of these primaries to sRGB, or None if they span no colours."""
    try:
        source, target = _to_d50(primaries), _to_d50(_SRGB)
        matrix = np.linalg.solve(target, source)
    except (np.linalg.LinAlgError, ZeroDivisionError, ValueError):
        return None
    return matrix.astype(np.float32) if np.isfinite(matrix).all() else None


def _to_d50(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the matrix from linear values to XYZ, adapted to the white point D50 of ICC profiles."""
    white, *colours = ((x / y, 1.0, (1 - x - y) / y) for x, y in zip(primaries[::2], primaries[1::2], strict=True))
    columns = np.array(colours).T
    columns = columns * np.linalg.solve(columns, np.array(white))
    ratio = (_BRADFORD @ (0.9642, 1.0, 0.8249)) / (_BRADFORD @ np.array(white))
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD @ columns)
