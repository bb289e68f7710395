"""Draws the sample pictures. `python -m samples.draw` replaces the files in samples/pictures/.

No picture is a photo. The outlines come from samples/garments.py; fabrics, folds, light and backgrounds are computed.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageFilter

from classifier.learning.data.synthesis.drawing import (
    CANVAS,
    Cloth,
    Colour,
    Part,
    Point,
    checks,
    curve,
    denim,
    dots,
    folds,
    grain,
    plain,
    rounding,
    stripes,
)
from samples import garments

FOLDER = Path(__file__).parent / "pictures"
_SUPERSAMPLING = 2
"""Garments are drawn at this multiple of the canvas and scaled down, so that their edges are smooth."""

_FILL = 0.84
"""The part of the picture's width or height that the garment fills."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample picture. The ending of `name` decides the file format."""

    name: str
    parts: list[Part]
    cloth: Cloth
    background: tuple[Colour, Colour]
    size: tuple[int, int]
    special: str = ""
    """A property that tests need: exif6, grey, cmyk, profile, alpha or palette. Empty for ordinary pictures."""


PAPER, WALL, SAND = (
    ((250, 249, 246), (228, 224, 216)),
    ((214, 219, 222), (184, 190, 195)),
    ((236, 222, 200), (208, 190, 164)),
)
ROSE, WOOD, SAGE = (
    ((243, 226, 222), (221, 196, 190)),
    ((196, 160, 122), (158, 122, 88)),
    ((222, 228, 214), (190, 200, 180)),
)
DARK = ((74, 72, 70), (44, 42, 41))

SAMPLES = [
    Sample("t-shirt-red.jpg", garments.t_shirt(), plain((196, 52, 44)), PAPER, (900, 1200)),
    Sample("t-shirt-striped.jpg", garments.t_shirt(), stripes((244, 241, 234), (38, 56, 96), 70), SAND, (800, 1000)),
    Sample("t-shirt-black.webp", garments.t_shirt(), plain((44, 43, 45)), WALL, (700, 900)),
    Sample("t-shirt-white.jpg", garments.t_shirt(), plain((240, 239, 236)), SAGE, (600, 800)),
    Sample("longsleeve-navy.jpg", garments.longsleeve(), plain((42, 58, 96)), PAPER, (900, 1100)),
    Sample(
        "longsleeve-breton.jpg", garments.longsleeve(), stripes((246, 244, 238), (176, 44, 44), 56), WALL, (750, 1000)
    ),
    Sample("longsleeve-grey.jpg", garments.longsleeve(), plain((150, 152, 156)), WOOD, (800, 800), special="grey"),
    Sample("shirt-white.jpg", garments.shirt(), plain((245, 245, 247)), WALL, (1200, 1600)),
    Sample("shirt-checked.jpg", garments.shirt(), checks((232, 226, 214), (138, 44, 40), 90), PAPER, (800, 1050)),
    Sample(
        "shirt-blue.webp",
        garments.shirt(),
        stripes((206, 222, 240), (150, 182, 220), 24, upright=True),
        SAND,
        (700, 950),
    ),
    Sample("dress-dotted.jpg", garments.dress(), dots((36, 44, 78), (244, 240, 230), 56), ROSE, (800, 1200)),
    Sample("dress-green.jpg", garments.sleeved_dress(), plain((62, 104, 82)), PAPER, (900, 1350), special="profile"),
    Sample("dress-yellow.png", garments.dress(), plain((232, 180, 70)), PAPER, (600, 800), special="alpha"),
    Sample("coat-camel.jpg", garments.coat(), plain((190, 146, 98)), PAPER, (1000, 1400)),
    Sample("jacket-denim.jpg", garments.jacket(), denim((74, 104, 150)), SAND, (1000, 1000)),
    Sample("jacket-black.jpg", garments.jacket(), plain((52, 51, 54)), ROSE, (900, 1100), special="cmyk"),
    Sample("pants-denim.jpg", garments.pants(), denim((52, 76, 122)), WOOD, (900, 1500)),
    Sample("pants-beige.avif", garments.pants(), plain((206, 188, 158)), WALL, (600, 1000)),
    Sample("shorts-khaki.jpg", garments.shorts(), plain((138, 132, 96)), PAPER, (1000, 800)),
    Sample("shorts-denim.png", garments.shorts(), denim((108, 142, 186)), SAGE, (480, 400), special="palette"),
    Sample("skirt-pleated.jpg", garments.skirt(), plain((146, 60, 74)), SAND, (900, 1000)),
    Sample("skirt-tartan.gif", garments.skirt(), checks((40, 70, 62), (160, 40, 40), 110), PAPER, (420, 480)),
    Sample("hat-straw.jpg", garments.hat(), checks((226, 200, 148), (206, 176, 120), 16), SAGE, (1100, 900)),
    Sample("cap-navy.bmp", garments.cap(), plain((46, 60, 104)), PAPER, (320, 280)),
    Sample("sneaker-white.jpg", garments.sneaker(), plain((226, 226, 224)), DARK, (1200, 900), special="exif6"),
    Sample("shoe-brown.jpg", garments.shoe(), plain((112, 66, 40)), PAPER, (1000, 750)),
]


def draw(sample: Sample) -> Image.Image:
    """Return the picture in RGB, or in RGBA without a background if `special` is alpha or palette."""
    random = np.random.default_rng(sum(map(ord, sample.name)))
    garment = _garment(sample, random)
    garment = garment.crop(garment.getbbox())
    scale = min(_FILL * sample.size[0] / garment.width, _FILL * sample.size[1] / garment.height)
    garment = garment.resize((round(garment.width * scale), round(garment.height * scale)), Image.Resampling.LANCZOS)
    place = ((sample.size[0] - garment.width) // 2, (sample.size[1] - garment.height) // 2)
    layer = Image.new("RGBA", sample.size, (0, 0, 0, 0))
    layer.paste(garment, place)
    scale *= _SUPERSAMPLING
    if sample.special in {"alpha", "palette"}:
        return layer
    picture = _background(sample, random)
    shadow = _shadow(layer, scale)
    picture.paste(shadow, (0, 0), shadow)
    picture.paste(layer, (0, 0), layer)
    return grain(picture, random)


def _garment(sample: Sample, random: np.random.Generator) -> Image.Image:
    side = CANVAS * _SUPERSAMPLING
    cloth = sample.cloth(side, random)
    shade = folds((side, side), random)
    garment = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    for part in sample.parts:
        mask = _mask(part.outline, side)
        light = (shade * rounding(mask) * part.tone)[..., None]
        pixels = Image.fromarray(np.clip(cloth * light, 0, 255).astype(np.uint8))
        _sew(pixels, part, float(cloth.mean()))
        garment.paste(pixels, (0, 0), mask)
    return garment


def _mask(outline: Sequence[Point], side: int) -> Image.Image:
    mask = Image.new("L", (side, side), 0)
    factor = side / CANVAS
    ImageDraw.Draw(mask).polygon([(x * factor, y * factor) for x, y in curve(outline, closed=True)], fill=255)
    return mask


def _sew(pixels: Image.Image, part: Part, brightness: float) -> None:
    pen = ImageDraw.Draw(pixels, "RGBA")
    dark = (0, 0, 0, 70) if brightness > 90 else (255, 255, 255, 46)
    factor = pixels.width / CANVAS
    for seam in part.seams:
        line = [(x * factor, y * factor) for x, y in curve(seam, closed=False)]
        pen.line(line, fill=dark, width=round(2.2 * factor), joint="curve")
    for x, y in part.dots:
        radius = 9 * factor
        box = (x * factor - radius, y * factor - radius, x * factor + radius, y * factor + radius)
        pen.ellipse(box, fill=(236, 232, 222, 255), outline=(60, 50, 40, 160), width=round(1.5 * factor))


def _background(sample: Sample, random: np.random.Generator) -> Image.Image:
    width, height = sample.size
    near, far = (np.array(colour, np.float32) for colour in sample.background)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    away = np.hypot((x - 0.38 * width) / width, (y - 0.3 * height) / height)
    share = np.clip(away / 0.9, 0, 1)[..., None]
    ground = near * (1 - share) + far * share
    if sample.background is WOOD:
        plank = np.floor(x / (width / 5))
        grain = np.sin((x + 30 * np.sin(y / 90 + plank * 2)) / 4.5) * 3 + (plank % 3 - 1) * 7
        gap = (x % (width / 5) < 3) * -34.0
        ground = ground + (grain + gap)[..., None]
    return Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))


def _shadow(layer: Image.Image, scale: float) -> Image.Image:
    alpha = layer.getchannel("A").filter(ImageFilter.GaussianBlur(18 * scale))
    moved = ImageChops.offset(alpha, round(10 * scale), round(16 * scale))
    shadow = Image.new("RGBA", layer.size, (30, 24, 20, 0))
    shadow.putalpha(moved.point(lambda value: value * 0.42))
    return shadow


def encode(sample: Sample, picture: Image.Image) -> bytes:
    """Return the file of a sample, in the format of its name and with its special property."""
    out = io.BytesIO()
    suffix = sample.name.rsplit(".", 1)[1]
    if suffix == "jpg":
        _save_jpeg(sample, picture, out)
    elif sample.special == "palette":
        picture.quantize(64, method=Image.Quantize.FASTOCTREE).save(out, "PNG", optimize=True)
    elif suffix == "gif":
        picture.quantize(64).save(out, "GIF")
    elif suffix in {"png", "bmp"}:
        picture.save(out, suffix.upper())
    else:
        picture.save(out, suffix.upper(), quality=80)
    return out.getvalue()


def _save_jpeg(sample: Sample, picture: Image.Image, out: io.BytesIO) -> None:
    options: dict[str, object] = {"quality": 86}
    if sample.special == "exif6":
        # The picture is stored rotated. EXIF orientation 6 tells viewers to rotate it back.
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6
        options["exif"] = exif.tobytes()
    elif sample.special == "grey":
        picture = picture.convert("L")
    elif sample.special == "cmyk":
        picture = picture.convert("CMYK")
    elif sample.special == "profile":
        options["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(out, "JPEG", **options)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for sample in SAMPLES:
        (FOLDER / sample.name).write_bytes(encode(sample, draw(sample)))
    total = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{len(SAMPLES)} pictures, {total / 1e6:.1f} MB, in {FOLDER}")


if __name__ == "__main__":
    main()
