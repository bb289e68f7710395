"""Files that are something else: other formats, two formats at once, names that do not fit."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Iterator

from PIL import Image

from tests.corpus import png
from tests.corpus.base import base_pictures, drawing, encode
from tests.corpus.case import Case

_HTML = b"<!doctype html><script>alert(document.domain)</script>"


def disguised(seed: int) -> Iterator[Case]:
    """Return the disguised files. Only the noise among them depends on the seed."""
    yield from _other_formats(random.Random(seed))
    yield from _polyglots()
    yield from _wrong_names()


def _other_formats(chance: random.Random) -> Iterator[Case]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("picture.jpg", base_pictures()["jpeg.jpg"])
    small = Image.new("RGB", (16, 16), "teal")
    contents = {
        "empty": b"",
        "one-byte": b"\xff",
        "zeros": bytes(4096),
        "spaces": b" " * 4096,
        "ones": b"\xff" * 4096,
        "text": b"This is a shopping list.\n" * 40,
        "html": _HTML,
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>',
        "svg-entities": b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg>&b;</svg>',
        "svgz": b"\x1f\x8b\x08\0\0\0\0\0",
        "pdf": b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "eps-binary": b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 32, 40, 0, 0, 0, 0) + b"%!PS-Adobe-3.0 EPSF-3.0\n",
        "ps-reads-a-file": b"%!PS\n(/etc/passwd) (r) file\n",
        "zip": archive.getvalue(),
        "gzip": b"\x1f\x8b\x08" + bytes(40),
        "exe": b"MZ" + bytes(200),
        "elf": b"\x7fELF\x02\x01\x01" + bytes(200),
        "mp4": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(64),
        "psd": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3) + bytes(40),
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(60),
        "xbm": b"#define a_width 8\n#define a_height 1\nstatic char a_bits[] = {0};\n",
        "fits": b"SIMPLE  =                    T" + b" " * 2850,
        "mpeg": b"\0\0\1\xb3" + bytes(60),
        "json": b"{}",
        "csv": b"url\nhttps://shop.example/a.jpg\n",
    }
    for form in ("ICO", "PCX", "PPM", "TGA", "SGI", "DDS", "MSP", "XBM", "ICNS", "PDF", "EPS", "QOI"):
        picture = small.convert("1") if form in ("MSP", "XBM") else small.resize((64, 64))
        contents[form.lower()] = encode(picture, form)
    for label, data in contents.items():
        for suffix in ("jpg", "png"):
            yield Case("other format", f"other/{label}.{suffix}", data, is_picture=False)
    for number in range(20):
        yield Case("other format", f"other/noise-{number}.jpg", chance.randbytes(2 ** (number % 12) + number))


def _polyglots() -> Iterator[Case]:
    """Pictures that are also a program, a page or an archive. They are pictures to this service."""
    pictures = base_pictures()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("index.html", _HTML)
    tails = {
        "zip": archive.getvalue(),
        "html": _HTML,
        "pdf": b"%PDF-1.7\n%%EOF",
        "script": b"#!/bin/sh\nreboot\n",
        "zeros": bytes(100_000),
        "itself": b"",
    }
    for name, data in pictures.items():
        for label, tail in tails.items():
            # The formats of boxes read what follows as a box.
            certain = None if data[4:8] == b"ftyp" or data[4:8] in (b"jP  ", b"JXL ") else True
            yield Case("polyglot", f"with-{label}/{name}", data + (tail or data), certain)
    yield from _hidden(pictures)


def _hidden(pictures: dict[str, bytes]) -> Iterator[Case]:
    gif = pictures["gif.gif"]
    # "GIF89a" and a width that reads as the beginning of a comment in a script.
    script = gif[:6] + b"/*" + gif[8:-1] + b"\x21\xfe\x15*/=1;alert(document.URL)\0;"
    yield Case("polyglot", "gif-script.gif", script)
    page = png.chunk(b"tEXt", b"comment\0" + _HTML)
    plain = pictures["png.png"]
    yield Case("polyglot", "png-page.png", plain[:33] + page + plain[33:], is_picture=True)
    jpeg = pictures["jpeg.jpg"]
    comment = b"\xff\xfe" + struct.pack(">H", len(_HTML) + 2) + _HTML
    yield Case("polyglot", "jpeg-page.jpg", jpeg[:2] + comment + jpeg[2:], is_picture=True)
    for label, head in (("pdf", b"%PDF-1.7\n"), ("space", b"\n"), ("zip", b"PK\3\4"), ("svg", b"<svg>")):
        yield Case("polyglot", f"{label}-before.jpg", head + jpeg)
    bmp = pictures["bmp.bmp"]
    yield Case("polyglot", "bmp-script.bmp", bmp[:2] + b"=/*" + bmp[5:] + b"*/1;alert(1)")


def _wrong_names() -> Iterator[Case]:
    """Valid pictures under the extensions of other formats. Only the content counts."""
    for name, data in base_pictures().items():
        suffix = name.rpartition(".")[2]
        for other in ("jpg", "png", "gif", "heic", "txt", "exe"):
            if other != suffix:
                yield Case("wrong name", f"named/{name}.{other}", data, is_picture=True)
    yield Case("wrong name", "named/no-extension", encode(drawing(), "PNG"), is_picture=True)
    yield Case("wrong name", "named/\ubc14\uc9c0 \U0001f456.jpg", encode(drawing(), "GIF"), is_picture=True)
