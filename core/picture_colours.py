"""Colours of decoded pictures: depth, transparency and colour profiles become sRGB with eight bits on white."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

from core.picture_primaries import StatedColours, coded_colours, stated_colours

DECODING_ERRORS = (
    *(OSError, EOFError, ValueError, SyntaxError, ArithmeticError, TypeError, LookupError, RuntimeError),
    *(AttributeError, struct.error),
)
"""The errors that Pillow and its plugins raise for damaged bytes."""

_GREY_STEPS = {"L;2": 85, "L;4": 17}
"""The factor by which Pillow multiplies grey values of 2 and 4 bits."""
_TIFF_BITS, _TIFF_PLANES, _SEPARATE = 258, 284, 2
"""The tags BitsPerSample and PlanarConfiguration, and the value of the latter for one plane per colour (TIFF 6.0)."""
_BANDS = {"R", "G", "B", "A"}
_STRIP_PIXELS = 2**20
"""Pixels that are converted at a time. A conversion needs several copies, which would be too large for all pixels."""
_CACHED_PROFILE_BYTES = 64 * 1024
_COLOUR_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
"""The mode of pictures that a profile of a colour space describes (ICC.1:2022, 7.2.6)."""
_PROBE = Image.fromarray(np.indices((6, 6, 6), np.uint8).reshape(3, 36, 6).transpose(1, 2, 0) * np.uint8(51))
"""Colours from all parts of the RGB cube. A profile that leaves them as they are is sRGB."""

_Conversion = ImageCms.ImageCmsTransform | StatedColours


def to_srgb(image: Image.Image, coded: tuple[int, int] | None) -> Image.Image:
    """Return a decoded picture in sRGB, in mode RGB, on white. It needs little more memory than the two pictures.

    `coded`: the code points of primaries and transfer function that its file states.
    """
    has_alpha = image.mode in {"PA", "LA", "RGBA", "La", "RGBa"} or "transparency" in image.info
    conversion = _conversion(image, coded)
    if image.mode == "RGB" and not has_alpha and conversion is None:
        return image
    scale = _float_scale(image) if image.mode == "F" else 1.0
    result = Image.new("RGB", image.size)
    for box in _strips(image.width, image.height):
        strip, alpha = _separated(_eight_bits(image.crop(box), scale), has_alpha=has_alpha)
        colours = _converted(strip, conversion)
        if alpha is None:
            result.paste(colours, box)
        else:
            result.paste("white", box)
            result.paste(colours, box, alpha)
    return result


def _strips(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(height, top + rows)


def _float_scale(image: Image.Image) -> float:
    """Return the factor that brings the values of a floating-point TIFF to 0 to 255. Their usual range is 0 to 1."""
    strips = (np.asarray(image.crop(box)) for box in _strips(image.width, image.height))
    return 255.0 if max(np.nan_to_num(values).max() for values in strips) <= 1 else 1.0


def _eight_bits(image: Image.Image, float_scale: float) -> Image.Image:
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image))
        return Image.fromarray(np.clip(values * float_scale, 0, 255).astype(np.uint8))
    if not image.mode.startswith("I"):
        return image
    # For 16-bit grey, Pillow's own conversion clips values instead of scaling them.
    wide = image if image.mode in ("I", "I;16") else image.convert("I")
    grey = wide.point(lambda value: value / 257).convert("L")
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return grey
    opaque = np.asarray(wide) != transparent
    return Image.merge("LA", (grey, Image.fromarray(opaque.astype(np.uint8) * 255)))


def _separated(image: Image.Image, *, has_alpha: bool) -> tuple[Image.Image, Image.Image | None]:
    """Return the colours of a picture without its transparency, and the transparency if it has any."""
    if not has_alpha:
        return (image.convert("RGB") if image.mode == "P" else image), None
    if image.mode not in ("LA", "RGBA"):
        image = image.convert("LA" if image.mode in ("L", "1", "La") else "RGBA")
    return image.convert("L" if image.mode == "LA" else "RGB"), image.getchannel("A")


def scale_transparency(image: Image.Image) -> None:
    """Give the transparent colour of a PNG the scale of the pixels. Pillow changes only that of the pixels."""
    transparent = image.info.get("transparency")
    tiles = getattr(image, "tile", ())
    if image.format != "PNG" or transparent is None or not tiles:
        return
    raw_mode = str(tiles[0][3])
    if isinstance(transparent, int) and raw_mode in _GREY_STEPS:
        image.info["transparency"] = transparent * _GREY_STEPS[raw_mode]
    elif isinstance(transparent, tuple) and raw_mode == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in transparent)


def correct_planes(image: Image.Image) -> None:
    """Have the planes of an uncompressed TIFF with 16 bits read as such. Pillow takes them for planes of 8 bits."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    tags = image.tag_v2
    if tags.get(_TIFF_PLANES) != _SEPARATE or set(tags.get(_TIFF_BITS, ())) != {16}:
        return
    order = "L" if tags.prefix == b"II" else "B"
    image.tile = [
        tile._replace(args=(f"{tile.args[0]};16{order}", *tile.args[1:]))
        if isinstance(tile.args, tuple) and tile.args[0] in _BANDS
        else tile
        for tile in image.tile
    ]


def _converted(image: Image.Image, conversion: _Conversion | None) -> Image.Image:
    if isinstance(conversion, StatedColours):
        return conversion.convert(image.convert("RGB"))
    if conversion is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    mode = str(conversion.input_mode)
    return conversion.apply(image if image.mode == mode else image.convert(mode))


def _conversion(image: Image.Image, coded: tuple[int, int] | None) -> _Conversion | None:
    """Return what turns the colours of a picture into sRGB. In a PNG, code points count more than a profile.

    None if the picture is already in sRGB, or if its profile is damaged or does not fit its pixels.
    """
    profile = image.info.get("icc_profile")
    if coded is not None and (image.format == "PNG" or not profile):
        return coded_colours(*coded)
    if profile:
        return _fitting(bytes(profile), image)
    if image.mode == "LAB":
        return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    return stated_colours(image.info) if image.format == "PNG" else None


def _fitting(profile: bytes, image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """Return what turns the colours of a profile into sRGB, if it describes pixels as those of the picture."""
    transform = (_transform if len(profile) <= _CACHED_PROFILE_BYTES else _transform.__wrapped__)(profile)
    if transform is None:
        return None
    grey = image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
    modes = {image.mode} if image.mode in ("CMYK", "LAB") else {"RGB", "L"} if grey else {"RGB"}
    return transform if transform.input_mode in modes else None


@lru_cache(maxsize=16)
def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """Return what turns the colours of a profile into sRGB, or None if they already are, or if it is damaged."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _COLOUR_MODES[source.profile.xcolor_space]
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "RGB" and "sRGB" in (source.profile.profile_description or ""):
            difference = np.asarray(ImageCms.applyTransform(_PROBE, transform), int) - np.asarray(_PROBE)
            return transform if np.abs(difference).max() > 1 else None
    except (ImageCms.PyCMSError, *DECODING_ERRORS):
        return None
    return transform
