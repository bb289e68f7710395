"""Odd but valid pictures, each with the pixels that a person has to see: upright, in sRGB, on white."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.corpus import png
from tests.corpus.base import SIDES, drawing, encode, orientation, tiff
from tests.corpus.profiles import P3, SRGB, WIDE, cmyk_profile, grey_profile, rgb_profile
from tests.orientations import STORED

Pixels = NDArray[np.uint8]
_WHITES = (31270, 32900)
_PRIMARIES = {"srgb": (64000, 33000, 30000, 60000, 15000, 6000), "p3": (68000, 32000, 26500, 69000, 15000, 6000)}
_EXACT: dict[str, dict[str, object]] = {
    "PNG": {},
    "WEBP": {"lossless": True, "exact": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "HEIF": {"quality": -1, "chroma": 444},
    "TIFF": {},
    "JPEG2000": {},
    "JXL": {"lossless": True},
}
"""How to store pixels as they are, or nearly so."""


@dataclass(frozen=True, slots=True)
class Odd:
    """A picture, with what it shows: uint8 [height, width, 3], or None if only a browser can tell."""

    name: str
    data: bytes
    shows: Pixels | None
    tolerance: int = 2
    """The largest difference of a pixel that counts as equal. Lossy formats need more."""


def odd_pictures() -> Iterator[Odd]:
    yield from _depths()
    yield from _transparent()
    yield from _transparent_greys()
    yield from _profiled()
    yield from _stated_in_pngs()
    yield from _coded()
    yield from _inks()
    yield from _orientations()


def smooth() -> Pixels:
    """Return a picture without edges, which lossy formats keep well."""
    rows, columns = np.mgrid[0 : SIDES[1], 0 : SIDES[0]]
    return np.stack([40 + 8 * columns, 60 + 9 * rows, 90 + 4 * columns], axis=-1).astype(np.uint8)


def _encoded(value: NDArray[np.floating]) -> Pixels:
    """Return linear values from 0 to 1 in sRGB (IEC 61966-2-1)."""
    value = np.clip(value, 0, 1)
    encoded = np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)
    pixels: Pixels = np.rint(encoded * 255).astype(np.uint8)
    return pixels


def _through(pixels: Pixels, primaries: tuple[tuple[float, ...], ...], gamma: float) -> Pixels:
    """Return colours of other primaries and another gamma in sRGB, by formula."""
    matrix = np.linalg.solve(np.array(SRGB).T, np.array(primaries).T)
    return _encoded((pixels / 255) ** gamma @ matrix.T)


def _depths() -> Iterator[Odd]:
    """Samples of 1 to 16 bits, grey, in colour and in palettes, one after the other and interlaced."""
    grey = np.asarray(drawing().convert("L"))[..., None]
    for interlaced in (False, True):
        mark = "-interlaced" if interlaced else ""
        for depth in (1, 2, 4, 8, 16):
            stored = grey.astype(int) * ((1 << depth) - 1) // 255
            seen = np.rint(stored * 255 / ((1 << depth) - 1)).astype(np.uint8)
            data = png.write(stored, depth, png.GREY, interlaced=interlaced)
            yield Odd(f"grey-{depth}{mark}.png", data, np.repeat(seen, 3, axis=2), 1)
            if depth <= 8:
                numbers, colours = _palette(min(1 << depth, 16))
                palette = png.chunk(b"PLTE", colours.tobytes())
                data = png.write(numbers, depth, png.PALETTE, [palette], interlaced=interlaced)
                yield Odd(f"palette-{depth}{mark}.png", data, colours[numbers[..., 0]], 0)
        wide = np.asarray(drawing(), np.uint16) * 257
        data = png.write(wide, 16, png.RGB, interlaced=interlaced)
        yield Odd(f"rgb-16{mark}.png", data, np.asarray(drawing()), 1)
    rgb = np.asarray(drawing())
    wide = rgb.astype(np.uint16) * 257
    yield Odd("rgb-16.tif", tiff(wide, photometric="rgb"), rgb, 1)
    for order in "<>":
        planes = tiff(np.moveaxis(wide, 2, 0), photometric="rgb", planarconfig="separate", byteorder=order)
        yield Odd(f"rgb-16-planes-{order}.tif", planes, rgb, 1)
    yield Odd("grey-white-is-0.tif", tiff(grey[..., 0], photometric="miniswhite"), np.repeat(255 - grey, 3, axis=2), 0)
    yield Odd("first-of-two.mpo", encode(drawing(), "MPO", save_all=True, append_images=[drawing(shift=2)]), None)


def _palette(count: int) -> tuple[NDArray[np.uint8], Pixels]:
    """Return a picture of palette entries [height, width, 1], and the palette [count, 3]."""
    rows, columns = np.mgrid[0 : SIDES[1], 0 : SIDES[0]]
    steps = np.arange(count)
    colours = np.stack([steps * 255 // count, 255 - steps * 200 // count, steps * 90 % 256], axis=1)
    return ((rows + columns) % count).astype(np.uint8)[..., None], colours.astype(np.uint8)


def _transparent() -> Iterator[Odd]:
    """Transparency of each kind: a channel, one colour, entries of a palette."""
    rgb = np.asarray(drawing())
    alpha = (np.arange(SIDES[0]) * 255 // (SIDES[0] - 1)).astype(np.uint8)[None, :, None].repeat(SIDES[1], axis=0)
    on_white = np.rint(rgb * (alpha / 255.0) + 255 * (1 - alpha / 255.0)).astype(np.uint8)
    rgba = np.concatenate([rgb, alpha], axis=2)
    yield Odd("rgba-8.png", png.write(rgba, 8, png.RGBA), on_white, 1)
    yield Odd("rgba-16.png", png.write(rgba.astype(np.uint16) * 257, 16, png.RGBA, interlaced=True), on_white, 1)
    for form, options in _EXACT.items():
        yield Odd(f"rgba.{form.lower()}", encode(Image.fromarray(rgba), form, **options), on_white, 4)
    yield Odd("rgba.bmp", encode(Image.fromarray(rgba), "BMP"), None)
    grey = rgb[..., :1]
    grey_on_white = np.rint(grey * (alpha / 255.0) + 255 * (1 - alpha / 255.0)).astype(np.uint8).repeat(3, axis=2)
    yield Odd("grey-alpha.png", png.write(np.concatenate([grey, alpha], axis=2), 8, png.GREY_ALPHA), grey_on_white, 1)
    numbers, colours = _palette(16)
    entries = np.linspace(0, 255, 16).round().astype(np.uint8)
    shares = (entries / 255.0)[:, None]
    mixed = np.rint(colours * shares + 255 * (1 - shares)).astype(np.uint8)
    chunks = [png.chunk(b"PLTE", colours.tobytes()), png.chunk(b"tRNS", entries.tobytes())]
    yield Odd("palette-alpha.png", png.write(numbers, 8, png.PALETTE, chunks), mixed[numbers[..., 0]], 1)
    chosen = rgb[0, 0].tolist()
    one = png.write(rgb, 8, png.RGB, [png.chunk(b"tRNS", struct.pack(">3H", *chosen))])
    yield Odd("one-transparent-colour.png", one, np.where((rgb == chosen).all(axis=2, keepdims=True), 255, rgb), 0)


def _transparent_greys() -> Iterator[Odd]:
    """One transparent grey at each depth. It is stated in the depth of the file."""
    grey = np.asarray(drawing().convert("L"))[..., None].astype(int)
    for depth in (1, 2, 4, 8, 16):
        most = (1 << depth) - 1
        stored = grey * most // 255
        chosen = int(stored[1, 1, 0])
        seen = np.where(stored == chosen, 255, np.rint(stored * 255 / most)).astype(np.uint8).repeat(3, axis=2)
        chunk = png.chunk(b"tRNS", struct.pack(">H", chosen))
        yield Odd(f"one-transparent-grey-{depth}.png", png.write(stored, depth, png.GREY, [chunk]), seen, 1)
    wide = np.asarray(drawing(), int) * 257
    chunk = png.chunk(b"tRNS", struct.pack(">3H", *wide[1, 1].tolist()))
    seen = np.where((wide == wide[1, 1]).all(axis=2, keepdims=True), 255, np.asarray(drawing())).astype(np.uint8)
    yield Odd("one-transparent-colour-16.png", png.write(wide, 16, png.RGB, [chunk]), seen, 1)


def _profiled() -> Iterator[Odd]:
    """Colour profiles, in each form of samples that can have one."""
    rgb = smooth()
    image = Image.fromarray(rgb)
    for name, primaries, gamma in (("p3", P3, 2.2), ("wide", WIDE, 2.2), ("linear", SRGB, 1.0)):
        profile = rgb_profile(primaries, gamma)
        seen = _through(rgb, primaries, gamma)
        yield Odd(f"{name}.png", encode(image, "PNG", icc_profile=profile), seen)
        yield Odd(f"{name}.jpg", encode(image, "JPEG", icc_profile=profile, quality=100, subsampling=0), seen, 12)
        yield Odd(f"{name}.webp", encode(image, "WEBP", icc_profile=profile, lossless=True), seen)
        yield Odd(f"{name}.tif", encode(image, "TIFF", icc_profile=profile), seen)
        avif = encode(image, "AVIF", icc_profile=profile, quality=100, subsampling="4:4:4")
        yield Odd(f"{name}.avif", avif, seen, 20)
        heic = encode(image, "HEIF", icc_profile=profile, quality=-1, chroma=444)
        yield Odd(f"{name}.heic", heic, seen, 12)
    named = rgb_profile(SRGB, 1.0, "sRGB with a linear curve")
    yield Odd("named-srgb.png", encode(image, "PNG", icc_profile=named), _through(rgb, SRGB, 1.0))
    profile = rgb_profile(P3, 2.2)
    palette = image.quantize(32)
    colours = np.asarray(palette.convert("RGB"))
    yield Odd("palette-p3.png", encode(palette, "PNG", icc_profile=profile), _through(colours, P3, 2.2))
    alpha = Image.new("L", image.size, 128)
    half = Image.merge("RGBA", (*image.split(), alpha))
    seen = np.rint(_through(rgb, SRGB, 1.0) * (128 / 255) + 127).astype(np.uint8)
    yield Odd("alpha-linear.png", encode(half, "PNG", icc_profile=rgb_profile(SRGB, 1.0)), seen)
    grey = image.convert("L")
    linear = _encoded((np.asarray(grey) / 255)[..., None].repeat(3, axis=2))
    yield Odd("grey-linear.png", encode(grey, "PNG", icc_profile=grey_profile(1.0)), linear)
    yield Odd("grey-linear.jpg", encode(grey, "JPEG", icc_profile=grey_profile(1.0), quality=100), linear, 12)
    with_alpha = encode(Image.merge("LA", (grey, alpha)), "PNG", icc_profile=grey_profile(1.0))
    yield Odd("grey-alpha-linear.png", with_alpha, np.rint(linear * (128 / 255) + 127).astype(np.uint8))


def _stated_in_pngs() -> Iterator[Odd]:
    """Colours that a PNG states by gAMA, cHRM and sRGB."""
    rgb = smooth()
    p3, srgb = (png.chunk(b"cHRM", struct.pack(">8I", *_WHITES, *_PRIMARIES[name])) for name in ("p3", "srgb"))
    gammas = {gamma: png.chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000))) for gamma in (1.0, 0.45455, 0.55)}
    yield Odd("gamma-2.2.png", png.write(rgb, 8, png.RGB, [gammas[0.45455]]), rgb)
    yield Odd("gamma-1.png", png.write(rgb, 8, png.RGB, [gammas[1.0]]), None)
    yield Odd("gamma-1-grey.png", png.write(rgb[..., :1], 8, png.GREY, [gammas[1.0]]), None)
    yield Odd("gamma-1.8.png", png.write(rgb, 8, png.RGB, [gammas[0.55]]), None, 3)
    yield Odd("primaries-alone.png", png.write(rgb, 8, png.RGB, [p3]), rgb)
    seen = _through(rgb, P3, 1 / 0.45455)
    yield Odd("primaries-p3.png", png.write(rgb, 8, png.RGB, [gammas[0.45455], p3]), seen)
    seen = _through(rgb, SRGB, 1.0)
    yield Odd("primaries-linear.png", png.write(rgb, 8, png.RGB, [gammas[1.0], srgb]), seen)
    marked = png.write(rgb, 8, png.RGB, [png.chunk(b"sRGB", b"\0"), gammas[1.0], p3])
    yield Odd("marked-srgb.png", marked, rgb, 0)


def _coded() -> Iterator[Odd]:
    """Display P3 and linear values by the code points of ITU-T H.273: cICP in PNG, nclx in AVIF and HEIC."""
    rgb = smooth()
    linear = np.where(rgb <= 0.04045 * 255, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    p3 = _encoded(linear @ np.linalg.solve(np.array(SRGB).T, np.array(P3).T).T)
    avif, heic = (encode(Image.fromarray(rgb), form, **_EXACT[form]) for form in ("AVIF", "HEIF"))
    for name, primaries, transfer, seen in (("p3", 12, 13, p3), ("linear", 1, 8, _through(rgb, SRGB, 1.0))):
        chunk = png.chunk(b"cICP", bytes([primaries, transfer, 0, 1]))
        yield Odd(f"coded-{name}.png", png.write(rgb, 8, png.RGB, [chunk]), seen)
        for suffix, data in (("avif", avif), ("heic", heic)):
            start = data.index(b"colrnclx") + 8
            coded = data[:start] + struct.pack(">HH", primaries, transfer) + data[start + 4 :]
            yield Odd(f"coded-{name}.{suffix}", coded, seen, 20)


def _inks() -> Iterator[Odd]:
    """CMYK, as printers and old cameras store it: plain, inverted as Adobe does, and with a profile of the inks."""
    cmyk = np.stack([smooth()[..., 0], smooth()[..., 1], smooth()[..., 2], smooth()[..., 1] // 4], axis=-1)
    image = Image.fromarray(cmyk, "CMYK")
    shares = cmyk / 255.0
    seen = np.rint(255 * (1 - shares[..., :3]) * (1 - shares[..., 3:])).astype(np.uint8)
    yield Odd("cmyk.jpg", encode(image, "JPEG", quality=100, subsampling=0), seen, 12)
    yield Odd("cmyk.tif", encode(image, "TIFF"), seen)
    lightness = 100 - shares @ (10, 10, 10, 60)
    linear = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    profiled = _encoded(np.repeat(linear[..., None], 3, axis=2))
    profile = cmyk_profile()
    yield Odd("cmyk-profile.tif", encode(image, "TIFF", icc_profile=profile), profiled, 3)
    yield Odd("cmyk-profile.jpg", encode(image, "JPEG", quality=100, subsampling=0, icc_profile=profile), profiled, 12)


def _orientations() -> Iterator[Odd]:
    upright = Image.fromarray(smooth())
    pixels = np.asarray(upright)
    for value in range(1, 9):
        stored = upright.transpose(STORED[value]) if value in STORED else upright
        for form, options in _EXACT.items():
            if form in ("JPEG2000", "JXL"):
                continue
            data = encode(stored, form, exif=orientation(value), **options)
            yield Odd(f"orientation-{value}.{form.lower()}", data, pixels, 12)
        late = png.chunk(b"eXIf", orientation(value)[6:])
        plain = encode(stored, "PNG")
        yield Odd(f"orientation-{value}-late.png", plain[:-12] + late + png.END, np.asarray(stored), 0)
        jpeg = encode(stored, "JPEG", exif=orientation(value), quality=100, subsampling=0)
        yield Odd(f"orientation-{value}.jpeg", jpeg, pixels, 12)
