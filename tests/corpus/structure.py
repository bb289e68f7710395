"""The parts of picture files, and the numbers in them that say how much follows."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Order = Literal["big", "little"]
_MARKER_AFTER_PIXELS = re.compile(rb"\xff[^\x00\xd0-\xd7]")
"""In the pixels of a JPEG, 0xff is always followed by 0 or by the number of a restart."""


@dataclass(frozen=True, slots=True)
class Field:
    """A number in a file: a size, a count, a length or an offset."""

    name: str
    start: int
    size: int
    order: Order

    def read(self, data: bytes) -> int:
        return int.from_bytes(data[self.start : self.start + self.size], self.order)

    def write(self, data: bytes, value: int) -> bytes:
        """Return the file with another number in this place."""
        stored = (value % (1 << 8 * self.size)).to_bytes(self.size, self.order)
        return data[: self.start] + stored + data[self.start + self.size :]


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk, segment, box or block of a file, from `start` to `end`."""

    name: str
    start: int
    end: int
    fields: list[Field] = field(default_factory=list)


def parts(data: bytes) -> list[Part]:
    """Return the parts of a valid picture in the order of their starts. A part may lie inside another one."""
    return sorted(_reader(data)(data), key=lambda part: part.start)


def _reader(data: bytes) -> Callable[[bytes], Iterator[Part]]:
    readers: list[tuple[bytes, Callable[[bytes], Iterator[Part]]]] = [
        (b"\x89PNG", _png),
        (b"\xff\xd8", _jpeg),
        (b"RIFF", _webp),
        (b"GIF8", _gif),
        (b"BM", _bmp),
        (b"II", _tiff),
        (b"MM", _tiff),
        (b"\xff\x4f", _codestream),
        (b"\xff\x0a", _nothing),
    ]
    return next((reader for magic, reader in readers if data.startswith(magic)), _boxes)


def _nothing(_: bytes) -> Iterator[Part]:
    """A JPEG XL codestream is one stream of bits, without parts at byte positions."""
    yield from ()


def _numbers(start: int, order: Order, /, **sizes: int) -> list[Field]:
    """Return fields that follow each other, with their sizes in bytes by name."""
    found = []
    for name, size in sizes.items():
        found.append(Field(name, start, size, order))
        start += size
    return found


def _png(data: bytes) -> Iterator[Part]:
    layouts: dict[bytes, dict[str, int]] = {
        b"IHDR": {"width": 4, "height": 4, "depth": 1, "colour": 1, "compression": 1, "filter": 1, "interlace": 1},
        b"acTL": {"frames": 4, "plays": 4},
        b"fcTL": {"sequence": 4, "width": 4, "height": 4, "left": 4, "top": 4},
    }
    position = 8
    while position < len(data):
        (length,), name = struct.unpack_from(">I", data, position), data[position + 4 : position + 8]
        fields = [Field("length", position, 4, "big"), *_numbers(position + 8, "big", **layouts.get(name, {}))]
        yield Part(name.decode(), position, position + 12 + length, fields)
        position += 12 + length


def _jpeg(data: bytes) -> Iterator[Part]:
    position = 2
    while position + 4 <= len(data):
        marker, (length,) = data[position + 1], struct.unpack_from(">H", data, position + 2)
        end = position + 2 + length
        fields = [Field("length", position + 2, 2, "big")]
        if marker in (0xC0, 0xC2):
            fields += _numbers(position + 4, "big", depth=1, height=2, width=2, components=1, id=1, sampling=1, table=1)
        elif marker == 0xDA:
            fields += _numbers(position + 4, "big", components=1, id=1, tables=1)
        elif marker in (0xC4, 0xDB, 0xDD):
            fields += _numbers(position + 4, "big", table=1, first=1)
        if marker == 0xDA:
            end += next(_MARKER_AFTER_PIXELS.finditer(data[end:])).start()
        yield Part(f"{marker:02x}", position, end, fields)
        position = end
        if data[position : position + 2] == b"\xff\xd9":
            yield Part("end", position, position + 2)
            return


def _webp(data: bytes) -> Iterator[Part]:
    yield Part("RIFF", 0, len(data), [Field("length", 4, 4, "little")])
    layouts: dict[bytes, dict[str, int]] = {
        b"VP8X": {"flags": 4, "width": 3, "height": 3},
        b"VP8 ": {"tag": 3, "code": 3, "width": 2, "height": 2},
        b"VP8L": {"signature": 1, "sides": 4},
        b"ANIM": {"background": 4, "loops": 2},
        b"ANMF": {"left": 3, "top": 3, "width": 3, "height": 3, "milliseconds": 3},
        b"ALPH": {"flags": 1},
    }
    position = 12
    while position < len(data):
        name, (length,) = data[position : position + 4], struct.unpack_from("<I", data, position + 4)
        fields = [
            Field("length", position + 4, 4, "little"),
            *_numbers(position + 8, "little", **layouts.get(name, {})),
        ]
        yield Part(name.decode().strip(), position, position + 8 + length + length % 2, fields)
        position += 8 + length + length % 2


def _gif(data: bytes) -> Iterator[Part]:
    yield Part("screen", 6, 13, _numbers(6, "little", width=2, height=2, flags=1, background=1))
    position = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    yield Part("palette", 13, position)
    while data[position] != 0x3B:
        start, fields = position, []
        if data[position] == 0x2C:
            fields = _numbers(position + 1, "little", left=2, top=2, width=2, height=2, flags=1)
            flags = data[position + 9]
            position += 10 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
            fields.append(Field("code", position, 1, "little"))
            position += 1
        else:
            position += 2
        fields.append(Field("block", position, 1, "little"))
        while data[position]:
            position += 1 + data[position]
        position += 1
        yield Part("picture" if data[start] == 0x2C else f"extension-{data[start + 1]:02x}", start, position, fields)
    yield Part("end", position, len(data))


def _bmp(data: bytes) -> Iterator[Part]:
    yield Part("file", 0, 14, _numbers(2, "little", length=4, reserved=4, pixels=4))
    header = _numbers(
        14, "little", header=4, width=4, height=4, planes=2, bits=2, compression=4, length=4, x=4, y=4, colours=4
    )
    (size,), (pixels,) = struct.unpack_from("<I", data, 14), struct.unpack_from("<I", data, 10)
    yield Part("header", 14, 14 + size, header)
    yield Part("pixels", pixels, len(data))


def _tiff(data: bytes) -> Iterator[Part]:
    order: Order = "little" if data.startswith(b"II") else "big"
    is_big = int.from_bytes(data[2:4], order) == 43
    # Sizes of an offset, of the number of entries, and of an entry (TIFF 6.0, 2; BigTIFF).
    word, count_size, entry_size = (8, 8, 20) if is_big else (4, 2, 12)
    first = Field("first", 8 if is_big else 4, word, order)
    yield Part("header", 0, first.start + word, [Field("version", 2, 2, order), first])
    offset = first.read(data)
    while offset:
        count = Field("entries", offset, count_size, order)
        end = offset + count_size + count.read(data) * entry_size
        following = Field("next", end, word, order)
        yield Part("directory", offset, end + word, [count, following])
        for start in range(offset + count_size, end, entry_size):
            fields = _numbers(start, order, tag=2, type=2, count=word, value=word)
            yield Part(f"tag-{fields[0].read(data)}", start, start + entry_size, fields[1:])
        offset = following.read(data)


def _codestream(data: bytes, start: int = 0) -> Iterator[Part]:
    """The segments of JPEG 2000 (ISO/IEC 15444-1, A)."""
    position = start + 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, (length,) = data[position + 1], struct.unpack_from(">H", data, position + 2)
        fields = [Field("length", position + 2, 2, "big")]
        if marker == 0x51:
            sides = dict.fromkeys(("width", "height", "left", "top", "tile_width", "tile_height"), 4)
            fields += _numbers(position + 6, "big", **sides, tile_left=4, tile_top=4, components=2, depth=1)
        elif marker == 0x52:
            fields += _numbers(position + 4, "big", style=1, order=1, layers=2, transform=1, levels=1, block=1)
        elif marker == 0x90:
            fields += _numbers(position + 4, "big", tile=2, size=4, part=1, parts=1)
        yield Part(f"{marker:02x}", position, position + 2 + length, fields)
        if marker == 0x90:
            following = position + fields[2].read(data)
            yield Part("pixels", position + 2 + length, following)
            position = following
        else:
            position += 2 + length


_CONTAINERS = {b"meta": 12, b"iprp": 8, b"ipco": 8, b"moov": 8, b"trak": 8, b"mdia": 8, b"minf": 8, b"stbl": 8}
_CONTAINERS |= {b"jp2h": 8, b"dinf": 8}
"""Boxes that have boxes inside, and the length of what is before those (ISO/IEC 14496-12)."""


def _boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Part]:
    layouts: dict[bytes, dict[str, int]] = {
        b"ispe": {"version": 4, "width": 4, "height": 4},
        b"ihdr": {"height": 4, "width": 4, "components": 2, "depth": 1},
        b"iloc": {"version": 4, "sizes": 2, "items": 2},
        b"iinf": {"version": 4, "items": 2},
        b"ipma": {"version": 4, "entries": 4},
        b"pixi": {"version": 4, "channels": 1},
        b"av1C": {"profile": 1, "level": 1},
        b"hvcC": {"version": 1, "profile": 1},
        b"pitm": {"version": 4, "item": 2},
        b"irot": {"turns": 1},
        b"stsz": {"version": 4, "size": 4, "samples": 4},
        b"stco": {"version": 4, "chunks": 4},
        b"pclr": {"entries": 2, "channels": 1},
    }
    end = len(data) if end is None else end
    while start + 8 <= end:
        (length,), name = struct.unpack_from(">I", data, start), data[start + 4 : start + 8]
        length = length or end - start
        fields = [Field("length", start, 4, "big"), *_numbers(start + 8, "big", **layouts.get(name, {}))]
        yield Part(name.decode("latin-1"), start, start + length, fields)
        if name in _CONTAINERS:
            yield from _boxes(data, start + _CONTAINERS[name], start + length)
        elif name == b"jp2c":
            yield from _codestream(data[: start + length], start + 8)
        start += length
