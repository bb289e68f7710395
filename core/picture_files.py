"""The structure of picture files, without a look at their pixels: metadata, and the size of JPEG XL and WebP."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

PNG_MAGIC, JPEG_MAGIC = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
JXL_MAGIC, JXL_CONTAINER_MAGIC = b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n"
JPEG_END = b"\xff\xd9"

_PNG_KEPT = {b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT"}
"""Chunks that change how pixels look. Names of the other chunks that must be understood begin with a capital letter."""
_WEBP_METADATA = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}
"""Chunks of metadata, and the flag in the chunk VP8X that announces each of them (RFC 9649, 2.7)."""
_WEBP_HEADER_BYTES = 30
_JPEG_APP0, _JPEG_APP1, _JPEG_APP14, _JPEG_APP15, _JPEG_COMMENT, _JPEG_SCAN = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE, 0xDA
_JPEG_NO_LENGTH = {0x01, *range(0xD0, 0xD9)}
_JPEG_SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xda-\xfe]")
"""The marker of a segment with a length. Pixels never contain it, because 0xff is followed by 0 there."""
_JXL_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def without_metadata(data: bytes, *, keep_exif: bool) -> bytes | None:
    """Return a PNG, WebP or JPEG file without its blocks of text, XMP, colour profile and, unless kept, EXIF.

    None if the file is of another format, or has nothing of this kind.
    """
    if data.startswith(PNG_MAGIC):
        kept = b"".join(_png_chunks(data, keep_exif=keep_exif))
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        kept = _webp_without_metadata(data, keep_exif=keep_exif)
    elif data.startswith(JPEG_MAGIC):
        kept = b"".join(_jpeg_segments(data, keep_exif=keep_exif))
    else:
        return None
    return None if len(kept) == len(data) else kept


def _png_chunks(data: bytes, *, keep_exif: bool) -> Iterator[bytes]:
    yield PNG_MAGIC
    position = len(PNG_MAGIC)
    while position + 8 <= len(data):
        (length,), name = struct.unpack_from(">I", data, position), data[position + 4 : position + 8]
        end = position + 12 + length
        if name[:1].isupper() or name in _PNG_KEPT or (keep_exif and name == b"eXIf"):
            yield data[position:end]
        position = end


def _webp_without_metadata(data: bytes, *, keep_exif: bool) -> bytes:
    removed = {name: flag for name, flag in _WEBP_METADATA.items() if not (keep_exif and name == b"EXIF")}
    chunks, position = [], 12
    while position + 8 <= len(data):
        name, (length,) = data[position : position + 4], struct.unpack_from("<I", data, position + 4)
        end = position + 8 + length + length % 2
        chunk = data[position:end]
        if name == b"VP8X" and len(chunk) > 8:
            chunk = chunk[:8] + bytes([chunk[8] & ~sum(removed.values())]) + chunk[9:]
        if name not in removed:
            chunks.append(chunk)
        position = end
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _jpeg_segments(data: bytes, *, keep_exif: bool) -> Iterator[bytes]:
    yield data[:2]
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == _JPEG_SCAN:
            break
        if marker == 0xFF or marker in _JPEG_NO_LENGTH:
            yield data[position : position + 1 + (marker != 0xFF)]
            position += 1 + (marker != 0xFF)
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        segment = data[position : position + 2 + length]
        is_metadata = _JPEG_APP1 <= marker <= _JPEG_APP15 and marker != _JPEG_APP14
        is_exif = marker == _JPEG_APP1 and segment[4:10] == b"Exif\x00\x00"
        if not (is_metadata or marker == _JPEG_COMMENT) or (keep_exif and is_exif):
            yield segment
        position += 2 + length
    yield data[position:]


def complete_segments(data: bytes) -> bytes:
    """Return a JPEG that ends too early without the segment or the marker in which it ends."""
    data = data.removesuffix(b"\xff")
    markers = [match.start() for match in _JPEG_SEGMENT.finditer(data)]
    if not markers:
        return data
    last = markers[-1]
    length = int.from_bytes(data[last + 2 : last + 4], "big") if last + 4 <= len(data) else len(data)
    return data[:last] if last + 2 + length > len(data) else data


def code_points(data: bytes) -> tuple[int, int] | None:
    """Return the primaries and the transfer function that a PNG (cICP) or AVIF (nclx) states, as in ITU-T H.273."""
    if data.startswith(PNG_MAGIC):
        # The chunk has to precede the pixels.
        start = data.find(b"\x00\x00\x00\x04cICP", 0, data.find(b"IDAT"))
        return None if start < 0 else (data[start + 8], data[start + 9])
    if data[4:8] == b"ftyp":
        start = data.find(b"colrnclx", 0, data.find(b"mdat"))
        if 0 <= start <= len(data) - 12:
            primaries, transfer = struct.unpack_from(">HH", data, start + 8)
            return primaries, transfer
    return None


def lacks_scans(data: bytes) -> bool:
    """Return whether a progressive JPEG ends before the scans that give each coefficient its last bit.

    ITU-T T.81, G.1.2: a scan has a range of coefficients (`first` to `last`) down to a bit (`low`) of its components.
    """
    frame = re.search(rb"\xff\xc2..........", data[: data.find(b"\xff\xda")], re.DOTALL)
    if frame is None:
        return False
    missing = {(data[at], number) for at in _component_ids(data, frame.start() + 9) for number in range(64)}
    for scan in re.finditer(rb"\xff\xda", data):
        count = int.from_bytes(data[scan.start() + 4 : scan.start() + 5], "big")
        numbers = data[scan.start() + 5 : scan.start() + 8 + 2 * count]
        if count and len(numbers) == 2 * count + 3:
            first, last, bits = numbers[-3:]
            if bits & 0x0F == 0:
                missing -= {(part, number) for part in numbers[:-3:2] for number in range(first, last + 1)}
    return bool(missing)


def _component_ids(data: bytes, position: int) -> range:
    """Return where the ids of the components are: `position` is that of their number in the header of a frame."""
    return range(position + 1, min(len(data), position + 1 + 3 * data[position]), 3)


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels that the first chunk of a WebP file states (RFC 9649, 2.5 to 2.7).

    None if the file is of another format, or if its header is incomplete.
    """
    if not data.startswith(b"RIFF") or data[8:12] != b"WEBP" or len(data) < _WEBP_HEADER_BYTES:
        return None
    name, body = data[12:16], data[20:_WEBP_HEADER_BYTES]
    if name == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if name == b"VP8L":
        sides = int.from_bytes(body[1:5], "little")
        return 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
    width, height = struct.unpack("<HH", body[6:10])
    return (width & 0x3FFF, height & 0x3FFF) if name == b"VP8 " else None


def jxl_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG XL file (ISO/IEC 18181-1, D.2), in pixels before rotation.

    None if the header is incomplete.
    """
    codestream = data if data.startswith(JXL_MAGIC) else _jxl_codestream(data)
    bits = _Bits(codestream[2:32])
    try:
        is_small = bits.take(1)
        height = 8 * (bits.take(5) + 1) if is_small else bits.take_size()
        ratio = bits.take(3)
        if ratio:
            numerator, denominator = _JXL_RATIOS[ratio]
            return height * numerator // denominator, height
        return 8 * (bits.take(5) + 1) if is_small else bits.take_size(), height
    except EOFError:
        return None


def _jxl_codestream(data: bytes) -> bytes:
    """Return the beginning of the codestream in a container (ISO/IEC 18181-2, 9), or no bytes."""
    position = 0
    while position + 8 <= len(data):
        (length,), kind = struct.unpack_from(">I", data, position), data[position + 4 : position + 8]
        header = 8
        if length == 1 and position + 16 <= len(data):
            (length,), header = struct.unpack_from(">Q", data, position + 8), 16
        if kind in (b"jxlc", b"jxlp"):
            # A partial codestream begins with its number.
            start = position + header + (4 if kind == b"jxlp" else 0)
            return data[start : start + 64]
        if length < header:
            break
        position += length
    return b""


class _Bits:
    """Reads numbers from the lowest bit of each byte on."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise EOFError
        number = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return number

    def take_size(self) -> int:
        return 1 + self.take((9, 13, 18, 30)[self.take(2)])
