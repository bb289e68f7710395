"""Colours of decoded pictures: depth, transparency and colour profiles become sRGB with eight bits on white."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image, ImageCms

DECODING_ERRORS = (
    *(OSError, EOFError, ValueError, SyntaxError, ArithmeticError, TypeError, LookupError, RuntimeError),
    *(AttributeError, struct.error),
)
"""The errors that Pillow and its plugins raise for damaged bytes."""

_GREY_STEPS = {"L;2": 85, "L;4": 17}
"""The factor by which Pillow multiplies grey values of 2 and 4 bits."""


def to_srgb(image: Image.Image) -> Image.Image:
    """Return a decoded picture in sRGB, in mode RGB, on white."""
    profile = image.info.get("icc_profile")
    image = _eight_bits(image)
    if image.mode in {"P", "PA", "LA", "RGBA", "La", "RGBa"} or "transparency" in image.info:
        image = _on_white(image)
    if profile:
        converted = _through_profile(image, profile)
        if converted is not None:
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        # Floating-point TIFF: the usual range is 0 to 1.
        values = np.nan_to_num(np.asarray(image))
        return Image.fromarray(np.clip(values * (255 if values.max(initial=0) <= 1 else 1), 0, 255).astype(np.uint8))
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


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Return the picture in sRGB, converted by its own colour profile.

    Return None if the picture is already in sRGB, or if the profile is damaged or does not fit its colour space.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _is_srgb(source):
            return None
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, *DECODING_ERRORS):
        return None


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    return "sRGB" in (profile.profile.profile_description or "")
