"""The shop's photos. samples/ draws each garment in each cloth once; colours, sizes and qualities are computed from it.

No photo is a photograph. A file's bytes depend on the shot, its width and its quality. A comment makes the files of two
products different, because two products may show the same shot.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import threading
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageChops

from classifier.learning.data.synthesis.drawing import plain, stripes
from core.settings import PROJECT
from samples.draw import PAPER, Sample, draw
from tests.shop.catalogue import CLOTHS, COLOURS, GARMENTS, Product, Shot

WIDTHS = (80, 200, 400, 600, 800)
"""In pixels. The height of a photo is 4/3 of its width."""
QUALITIES = (60, 75, 90)
THUMB, CARD, LARGEST, BEST = WIDTHS[0], WIDTHS[1], WIDTHS[-1], QUALITIES[-1]
TYPES = {"jpg": "JPEG", "webp": "WEBP"}

_SIZE = (LARGEST, LARGEST * 4 // 3)
_FOLDER = PROJECT / "var" / "shop"
"""The folder that keeps the drawings, because drawing one takes a third of a second."""
_WEAVES = (plain((222, 222, 222)), stripes((236, 236, 236), (128, 128, 128), 74))
_drawing = threading.Lock()


def photo(seed: int, site: str, product: Product, view: int, width: int, quality: int, kind: str = "jpg") -> bytes:
    """Return a file of a product's photo."""
    data = _encoded(product.shot(view), width, quality, kind)
    if kind != "jpg":
        return data
    comment = f"{seed} {site} {product.number} {view} {product.photo_version}".encode()
    return data[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + data[2:]


def prepare() -> None:
    """Draw and encode all largest photos, so that no request waits for one. It takes about 20 s the first time."""
    for garment in range(len(GARMENTS)):
        for cloth in range(len(CLOTHS)):
            for colour in range(len(COLOURS)):
                for view in (0, 1):
                    _encoded(Shot(garment, cloth, colour, view), LARGEST, BEST, "jpg")


@lru_cache(maxsize=1500)
def _encoded(shot: Shot, width: int, quality: int, kind: str) -> bytes:
    image = _shown(shot)
    if width != image.width:
        image = image.resize((width, image.height * width // image.width), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, TYPES[kind], quality=quality)
    return out.getvalue()


@lru_cache(maxsize=8)
def _shown(shot: Shot) -> Image.Image:
    garment = _garment(shot.garment, shot.cloth)
    if shot.view:
        third = garment.width // 4
        box = (third, garment.height // 4, garment.width - third, garment.height * 3 // 4)
        garment = garment.crop(box).resize(garment.size, Image.Resampling.BICUBIC)
    cloth = ImageChops.multiply(garment.convert("RGB"), Image.new("RGB", garment.size, COLOURS[shot.colour].rgb))
    wall = Image.linear_gradient("L").resize(garment.size).point(lambda value: 248 - value // 8)
    image = Image.merge("RGB", (wall, wall, wall.point(lambda value: value - 6)))
    image.paste(cloth, (0, 0), garment.getchannel("A"))
    return image


@lru_cache(maxsize=4)
def _garment(garment: int, cloth: int) -> Image.Image:
    """Return the drawing of a garment in light grey cloth, without a background."""
    path = _FOLDER / _fingerprint() / f"{GARMENTS[garment].slug}-{cloth}.png"
    with _drawing:
        if not path.exists():
            sample = Sample(path.name, GARMENTS[garment].parts(), _WEAVES[cloth], PAPER, _SIZE, special="alpha")
            path.parent.mkdir(parents=True, exist_ok=True)
            # Other processes may draw the same garment. The last one replaces the file by an equal one.
            part = path.with_suffix(f".{os.getpid()}.part")
            draw(sample).save(part, "PNG", compress_level=1)
            part.replace(path)
    with Image.open(path) as image:
        return image.convert("RGBA")


@lru_cache(maxsize=1)
def _fingerprint() -> str:
    """Return a fingerprint of the code that draws, because changed code gives other drawings."""
    samples = PROJECT / "samples"
    code = [(samples / name).read_bytes() for name in ("draw.py", "garments.py")]
    return hashlib.sha256(b"".join([*code, Path(__file__).read_bytes()])).hexdigest()[:16]
