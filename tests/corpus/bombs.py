"""Files that make a reader work or remember much: huge pictures, many frames, endless directories, packed metadata."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.corpus import png
from tests.corpus.base import base_pictures, drawing, encode
from tests.corpus.case import Case
from tests.corpus.structure import Part, parts

HUGE = (65535, 16383, 7500)
"""Sides in pixels that headers claim. The last one squared is just above the limit of 50 million pixels."""
_SIDES = {"width", "height", "sides"}
_MEBIBYTE = 2**20


def quick_bombs() -> Iterator[Case]:
    """Return the bombs that a decoder refuses or shows at once."""
    yield from _claimed_sizes()
    yield from _directories()
    yield from _large_metadata()


def slow_bombs() -> Iterator[Case]:
    """Return the bombs that take a decoder's time or memory, or that take long to build."""
    yield from packed_pixels()
    yield from _many_frames()
    yield from _packed_metadata()
    yield from _many_parts()
    yield from _large_pictures()


def _claimed_sizes() -> Iterator[Case]:
    """Headers of small files that claim a huge picture, in every place that states a size."""
    for name, data in base_pictures().items():
        for side in HUGE:
            changed = data
            for part in parts(data):
                for field in part.fields:
                    is_tag = part.name in ("tag-256", "tag-257") and field.name == "value"
                    if (field.name in _SIDES and part.name != "fcTL") or is_tag:
                        changed = field.write(changed, side)
            if data.startswith(png.MAGIC):
                changed = png.with_checksums(changed)
            if changed != data:
                yield Case("bomb", f"claimed-{side}/{name}", changed)


def _zeros(count: int, before: bytes = b"") -> bytes:
    """Return `before` and `count` zero bytes, compressed with zlib."""
    packer = zlib.compressobj(1)
    packed = [packer.compress(before)]
    for start in range(0, count, _MEBIBYTE):
        packed.append(packer.compress(bytes(min(_MEBIBYTE, count - start))))
    return b"".join([*packed, packer.flush()])


def packed_pixels() -> Iterator[Case]:
    """Few bytes that unpack to many: more than the header says, or pixels at the limit of their number."""
    start = png.MAGIC + png.header(4, 4)
    yield Case("bomb", "unpacked/more-than-the-header.png", start + png.chunk(b"IDAT", _zeros(100_000_000)) + png.END)
    for label, colour, channels in (("grey", png.GREY, 1), ("rgba", png.RGBA, 4)):
        head = png.MAGIC + png.header(7000, 7000, 8, colour)
        pixels = png.chunk(b"IDAT", _zeros(7000 * (1 + 7000 * channels)))
        yield Case("bomb", f"unpacked/{label}-7000.png", head + pixels + png.END)
    wide = png.MAGIC + png.header(50_000_000, 1, 8, png.GREY) + png.chunk(b"IDAT", _zeros(50_000_001)) + png.END
    yield Case("bomb", "unpacked/50000000x1.png", wide)
    tall = png.MAGIC + png.header(1, 50_000_000, 1, png.GREY) + png.chunk(b"IDAT", _zeros(100_000_000)) + png.END
    yield Case("bomb", "unpacked/1x50000000.png", tall)


def _large_pictures() -> Iterator[Case]:
    """Return flat pictures of 49 million pixels, the most that is accepted, in every format and with transparency."""
    sides = (7000, 7000)
    for mode, forms in (("RGB", _FORMS), ("RGBA", {**_FORMS, "JPEG": {}}), ("CMYK", {"JPEG": {"progressive": True}})):
        picture = Image.new(mode, sides, (200, 30, 60, 90)[: len(mode)])
        for form, options in forms.items():
            if form == "JPEG" and mode == "RGBA":
                continue
            yield Case("bomb", f"large/{mode.lower()}.{form.lower()}", encode(picture, form, **options))
    wide = Image.fromarray(np.full(sides, 40_000, np.uint16))
    for form in ("PNG", "TIFF"):
        yield Case("bomb", f"large/16-bits.{form.lower()}", encode(wide, form))


_FORMS: dict[str, dict[str, object]] = {
    "JPEG": {"progressive": True},
    "WEBP": {"lossless": True, "quality": 0, "method": 0},
    "GIF": {},
    "AVIF": {"speed": 10},
    "BMP": {},
    "HEIF": {},
    "TIFF": {"compression": "tiff_deflate"},
    "JPEG2000": {},
    "JXL": {"effort": 1},
}


def _many_frames() -> Iterator[Case]:
    frames = [Image.new("L", (8, 8), number % 256) for number in range(2000)]
    for form, name in (("GIF", "gif"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")):
        data = encode(frames[0], form, save_all=True, append_images=frames[1:])
        yield Case("bomb", f"frames/2000.{name}", data, is_picture=True)
    gif = encode(drawing().quantize(16), "GIF")
    picture = next(part for part in parts(gif) if part.name == "picture")
    yield Case("bomb", "frames/20000.gif", gif[:-1] + gif[picture.start : picture.end] * 20_000 + gif[-1:])
    animated = base_pictures()["png-animated.png"]
    control = _part(animated, "acTL").fields[1]
    many = png.with_checksums(control.write(animated, 2**31 - 1))
    yield Case("bomb", "frames/claimed.png", many)


def _part(data: bytes, name: str) -> Part:
    return next(part for part in parts(data) if part.name == name)


def _directories() -> Iterator[Case]:
    """TIFF directories that repeat, contain themselves, or claim more entries and values than the file has."""
    data = base_pictures()["tiff.tif"]
    directory = _part(data, "directory")
    count, following = directory.fields
    yield Case("bomb", "directories/next-is-itself.tif", following.write(data, directory.start))
    yield Case("bomb", "directories/65535-entries.tif", count.write(data, 65535))
    for tag in (254, 330, 34665, 34853, 700, 34675):
        entry = parts(data)[2]
        for label, values in (("loop", (tag, 4, 1, directory.start)), ("count", (tag, 3, 2**32 - 1, 8))):
            changed = data[: entry.start] + struct.pack("<HHII", *values) + data[entry.end :]
            yield Case("bomb", f"directories/{label}-{tag}.tif", changed)
    for tag in (273, 279, 258):
        values_of_tag = _part(data, f"tag-{tag}").fields[1]
        for value in (2**31, 2**32 - 1, 50_000_000):
            yield Case("bomb", f"directories/values-{tag}-{value}.tif", values_of_tag.write(data, value))
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + struct.pack("<HHII", 34665, 4, 1, 8) + struct.pack("<HHII", 274, 3, 1, 6)
    chained = exif + struct.pack("<I", 8)
    for form in ("JPEG", "PNG", "WEBP"):
        file = encode(drawing(), form, exif=chained)
        yield Case("bomb", f"directories/exif-loop.{form.lower()}", file, is_picture=True)


def _packed_metadata() -> Iterator[Case]:
    """Blocks of metadata of 100 MB that are packed into a few bytes. None of them may cost the picture."""
    plain = base_pictures()["png.png"]
    packed = _zeros(100 * _MEBIBYTE)
    for chunk in (
        png.chunk(b"zTXt", b"comment\0\0" + packed),
        png.chunk(b"iTXt", b"comment\0\1\0\0\0" + packed),
        png.chunk(b"iCCP", b"profile\0\0" + packed),
        png.chunk(b"zTXt", b"Raw profile type exif\0\0" + packed),
    ):
        name = f"packed/{chunk[4:8].decode()}-{len(chunk)}.png"
        yield Case("bomb", name, plain[:33] + chunk + plain[33:], is_picture=True)
    many = png.chunk(b"zTXt", b"comment\0\0" + _zeros(900_000)) * 200
    yield Case("bomb", "packed/200-texts.png", plain[:33] + many + plain[33:], is_picture=True)


def _large_metadata() -> Iterator[Case]:
    """Metadata of megabytes as it is, and colour profiles that lie about their size."""
    rgb = drawing()
    block = bytes(range(256)) * 256
    segments = b"".join(b"\xff" + bytes([0xE1 + number % 14]) + b"\xff\xff" + block[:65533] for number in range(150))
    jpeg = base_pictures()["jpeg.jpg"]
    yield Case("metadata", "large/150-segments.jpg", jpeg[:2] + segments + jpeg[2:], is_picture=True)
    comments = (b"\xff\xfe\xff\xff" + block[:65533]) * 150
    yield Case("metadata", "large/150-comments.jpg", jpeg[:2] + comments + jpeg[2:], is_picture=True)
    plain = base_pictures()["png.png"]
    text = png.chunk(b"tEXt", b"comment\0" + b"a" * (8 * _MEBIBYTE))
    yield Case("metadata", "large/text.png", plain[:33] + text + plain[33:], is_picture=True)
    for form in ("WEBP", "AVIF", "HEIF", "JXL", "TIFF"):
        file = encode(rgb, form, xmp=b"<x>" + b"a" * (4 * _MEBIBYTE) + b"</x>")
        yield Case("metadata", f"large/xmp.{form.lower()}", file, is_picture=True)
    profile = struct.pack(">I", 2**32 - 1) + bytes(124) + struct.pack(">I", 2**32 - 1) + bytes(4 * _MEBIBYTE)
    for form in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF"):
        file = encode(rgb, form, icc_profile=profile)
        yield Case("metadata", f"large/profile.{form.lower()}", file, is_picture=True)


def _many_parts() -> Iterator[Case]:
    """Files of very many small parts, and progressive JPEG files with very many scans."""
    plain = base_pictures()["png.png"]
    pixels = _part(plain, "IDAT")
    content = plain[pixels.start + 8 : pixels.end - 4]
    single = b"".join(png.chunk(b"IDAT", content[at : at + 1]) for at in range(len(content)))
    split = plain[: pixels.start] + single + plain[pixels.end :]
    yield Case("bomb", "parts/one-byte-each.png", split, is_picture=True)
    empty = plain[: pixels.start] + png.chunk(b"IDAT") * 200_000 + plain[pixels.start :]
    yield Case("bomb", "parts/200000-empty.png", empty)
    yield Case("bomb", "parts/200000-texts.png", plain[:33] + png.chunk(b"tEXt", b"a\0b") * 200_000 + plain[33:])
    jpeg = base_pictures()["jpeg.jpg"]
    tables = _part(jpeg, "c4")
    table = jpeg[tables.start : tables.end]
    yield Case("bomb", "parts/20000-tables.jpg", jpeg[: tables.start] + table * 20_000 + jpeg[tables.start :])
    yield Case("bomb", "parts/fill-bytes.jpg", jpeg[:2] + b"\xff" * 5_000_000 + jpeg[2:])
    yield from _many_scans()
    webp = base_pictures()["webp.webp"]
    chunks = (b"abcd" + struct.pack("<I", 0)) * 200_000
    body = webp[8:] + chunks
    yield Case("bomb", "parts/200000-chunks.webp", b"RIFF" + struct.pack("<I", len(body)) + body)
    avif = base_pictures()["avif.avif"]
    yield Case("bomb", "parts/200000-boxes.avif", avif + (struct.pack(">I", 8) + b"free") * 200_000)
    deep = b""
    for _ in range(5000):
        deep = struct.pack(">I", len(deep) + 8) + b"moov" + deep
    ftyp = next(part for part in parts(avif) if part.name == "ftyp")
    yield Case("bomb", "parts/nested-boxes.avif", avif[: ftyp.end] + deep + avif[ftyp.end :])


def _many_scans() -> Iterator[Case]:
    for side, count in ((5000, 10), (5000, 3000)):
        file = io.BytesIO()
        Image.new("L", (side, side), 90).save(file, "JPEG", progressive=True)
        data = file.getvalue()
        scan = [part for part in parts(data) if part.name == "da"][-1]
        repeated = data[: scan.end] + data[scan.start : scan.end] * count + data[scan.end :]
        yield Case("bomb", f"scans/{count}-of-{side}.jpg", repeated)
