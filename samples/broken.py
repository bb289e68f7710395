"""Bytes that are not valid pictures. The README shows how the service answers them, and tests check it."""

from __future__ import annotations

import struct
import zlib

from samples.draw import FOLDER


def truncated_jpeg() -> bytes:
    """Return the first half of a valid JPEG."""
    data = (FOLDER / "t-shirt-red.jpg").read_bytes()
    return data[: len(data) // 2]


def text() -> bytes:
    """Return text, which is no picture whatever the file name says."""
    return b"This is a shopping list, not a picture.\n" * 20


def empty() -> bytes:
    return b""


def huge_png() -> bytes:
    """Return a PNG of a few bytes whose header announces 60 megapixels."""
    header = struct.pack(">IIBBBBB", 10_000, 6_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"\0")) + _chunk(b"IEND", b"")


def svg() -> bytes:
    """Return an SVG. The service recognises this format but does not accept it."""
    return b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>'


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
