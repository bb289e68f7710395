"""Colour profiles (ICC.1:2022) built from numbers, so that tests know the colours that they describe."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

_D50 = (0.9642, 1.0, 0.8249)
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
"""XYZ of the primaries of Display P3, adapted to D50."""
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
WIDE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""XYZ of the primaries of Adobe RGB (1998), adapted to D50."""


def rgb_profile(primaries: Sequence[Sequence[float]], gamma: float, name: str = "test") -> bytes:
    """Return the profile of RGB colours with three primaries and a gamma."""
    colours = {f"{letter}XYZ".encode(): _xyz(colour) for letter, colour in zip("rgb", primaries, strict=True)}
    curves = {f"{letter}TRC".encode(): _curve(gamma) for letter in "rgb"}
    return _profile(b"mntr", b"RGB ", b"XYZ ", {**colours, **curves}, name)


def grey_profile(gamma: float) -> bytes:
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": _curve(gamma)}, "grey")


def cmyk_profile() -> bytes:
    """Return the profile of inks that absorb evenly: L* falls from 100 by 60 for K and by 10 for each other ink."""
    inks = np.indices((2, 2, 2, 2)).reshape(4, -1).T
    lightness = 100 - inks @ (10, 10, 10, 60)
    colours = np.stack([lightness * 2.55, np.full(16, 128), np.full(16, 128)], axis=1).round().astype(np.uint8)
    identity = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + identity * 4 + colours.tobytes() + identity * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table}, "inks")


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes], name: str) -> bytes:
    label = name.encode("utf-16-be")
    text = b"mluc" + struct.pack(">III4sII", 0, 1, 12, b"enUS", len(label), 28) + label
    contents = {b"desc": text, b"cprt": text, b"wtpt": _xyz(_D50), **tags}
    directory, data = [], b""
    start = 128 + 4 + 12 * len(contents)
    for tag, content in contents.items():
        directory.append(struct.pack(">4sII", tag, start + len(data), len(content)))
        data += content + bytes(-len(content) % 4)
    size = start + len(data)
    header = struct.pack(">I4sI4s4s4s12s4s", size, b"none", 0x04200000, kind, space, connection, bytes(12), b"acsp")
    header += bytes(28) + struct.pack(">3i", *(round(value * 65536) for value in _D50))
    return header.ljust(128, b"\0") + struct.pack(">I", len(contents)) + b"".join(directory) + data


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ " + struct.pack(">4i", 0, *(round(value * 65536) for value in values))


def _curve(gamma: float) -> bytes:
    return b"para" + struct.pack(">IHHi", 0, 0, 0, round(gamma * 65536))
