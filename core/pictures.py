"""Pictures: what is accepted, and the one way in which bytes become an upright sRGB picture.

Content decides, never a name or a header. Pixels are capped before anything is decoded.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from PIL import Image, ImageCms, ImageFile, ImageOps, PngImagePlugin, UnidentifiedImageError

from core.errors import (
    BadCrop,
    DecodeFailed,
    ItemError,
    NotAnImage,
    TooManyPixels,
    TruncatedImage,
    UnsupportedFormat,
)
from core.types import Crop, PictureInfo

MAX_PIXELS = 50_000_000
"""Most pixels that a header may announce."""

_ACCEPTED = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP")
_NAMES = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "AVIF": "avif", "BMP": "bmp"}

_OTHER_FORMATS = (
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"%PDF", "PDF"),
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"8BPS", "PSD"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"qoif", "QOI"),
)
"""Signatures of pictures and documents that are known but not accepted."""

_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
"""ISO BMFF brands (ISO/IEC 23008-12) of HEIC; AVIF has its own and is accepted."""

_ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held (EXIF 2.3, 4.6.4)."""
_SWAPS_SIDES = (5, 6, 7, 8)

_SNIFFED = 4096

# Pillow's own caps come later than ours and would warn: ours, before any decoding, is the one that counts.
Image.MAX_IMAGE_PIXELS = None
# A PNG's compressed text chunks are inflated at most this far.
PngImagePlugin.MAX_TEXT_CHUNK = 1024 * 1024
PngImagePlugin.MAX_TEXT_MEMORY = 4 * 1024 * 1024
ImageFile.LOAD_TRUNCATED_IMAGES = False


def inspect(source: bytes | IO[bytes]) -> PictureInfo:
    """What the header says; no pixel is decoded.

    Raises:
        NotAnImage, UnsupportedFormat, TruncatedImage, TooManyPixels: the header cannot be accepted.
    """
    with _errors_of_decoding(), _opened(source) as image:
        return _info(image)


def load(data: bytes, *, target: int | None = None, crop: Crop | None = None) -> tuple[Image.Image, PictureInfo]:
    """The picture upright, in sRGB, mode RGB, on white, cropped; and what its header said.

    Args:
        data: the file.
        target: the long side in pixels that the caller will scale to. A JPEG may then be decoded at 1/2, 1/4 or 1/8
            of its size, as long as the long side of the (cropped) picture stays at least `target`.
        crop: in pixels of the upright picture at full size.

    Raises:
        ItemError: it cannot be decoded; the subclass says why.
    """
    with _errors_of_decoding(), _opened(data) as image:
        info = _info(image)
        if crop is not None and not crop.within(info.width, info.height):
            raise BadCrop(
                f"expected a crop within the picture's {info.width} x {info.height} pixels, "
                f"got x={crop.x} y={crop.y} width={crop.width} height={crop.height}"
            )
        if target is not None:
            _draft(image, info, target, crop)
        image.load()
        # What is upright already would be copied.
        upright = image if _orientation(image) == 1 else ImageOps.exif_transpose(image)
        if crop is not None:
            upright = _cropped(upright, info, crop)
        return _to_srgb(upright), info


def thumbnail(data: bytes, *, side: int = 320) -> bytes:
    """A JPEG whose long side is at most `side` pixels, without the original's metadata.

    Raises:
        ItemError: the picture cannot be decoded.
    """
    image, info = load(data, target=side)
    scale = min(1.0, side / max(info.width, info.height))
    size = (max(1, round(info.width * scale)), max(1, round(info.height * scale)))
    small = image.resize(size, Image.Resampling.LANCZOS) if image.size != size else image
    out = io.BytesIO()
    clean = Image.new("RGB", small.size)
    clean.paste(small)
    clean.save(out, "JPEG", quality=82, optimize=True)
    return out.getvalue()


@contextmanager
def _opened(source: bytes | IO[bytes]) -> Iterator[Image.Image]:
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    head = file.read(_SNIFFED)
    file.seek(0)
    if not head:
        raise NotAnImage("expected a picture, got an empty file")
    try:
        image = Image.open(file, formats=_ACCEPTED)
    except UnidentifiedImageError as error:
        raise _why_not(head) from error
    with image:
        yield image


def _why_not(head: bytes) -> ItemError:
    other = next((name for signature, name in _OTHER_FORMATS if head.startswith(signature)), None)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        other = "HEIC"
    if b"<svg" in head[:1024].lower():
        other = "SVG"
    if other is not None:
        return UnsupportedFormat(f"expected JPEG, PNG, WebP, GIF, AVIF or BMP, got {other}")
    accepted_start = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM")
    if head.startswith(accepted_start) or head[8:12] in {b"WEBP", b"avif", b"avis"}:
        return TruncatedImage("the picture ends, or is damaged, within its header")
    return NotAnImage(f"expected a picture, got bytes that start with {head[:16]!r}")


def _info(image: Image.Image) -> PictureInfo:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise TooManyPixels(f"expected at most {MAX_PIXELS:,} pixels, got {width} x {height} = {width * height:,}")
    if _orientation(image) in _SWAPS_SIDES:
        width, height = height, width
    return PictureInfo(_NAMES[image.format or ""], width, height)


def _orientation(image: Image.Image) -> object:
    return image.getexif().get(_ORIENTATION, 1)


def _draft(image: Image.Image, info: PictureInfo, target: int, crop: Crop | None) -> None:
    seen = (crop.width, crop.height) if crop else (info.width, info.height)
    longest = max(seen)
    if longest > target:
        # draft() keeps both sides at least as large as asked for.
        image.draft(None, (image.width * target // longest, image.height * target // longest))


def _cropped(upright: Image.Image, info: PictureInfo, crop: Crop) -> Image.Image:
    # The picture may have been decoded at reduced scale: the crop shrinks with it.
    x_scale, y_scale = upright.width / info.width, upright.height / info.height
    left, top = round(crop.x * x_scale), round(crop.y * y_scale)
    right = max(left + 1, round((crop.x + crop.width) * x_scale))
    bottom = max(top + 1, round((crop.y + crop.height) * y_scale))
    return upright.crop((left, top, right, bottom))


def _to_srgb(image: Image.Image) -> Image.Image:
    image = _eight_bits(image)
    profile = image.info.get("icc_profile")
    if image.mode in {"P", "PA", "LA", "RGBA", "La", "RGBa"} or "transparency" in image.info:
        image = _on_white(image)
    if profile:
        converted = _through_profile(image, profile)
        if converted is not None:
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion would clip instead of scaling.
        return image.point(lambda value: value / 257).convert("L")
    return image


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """The picture in sRGB by its own profile; None where the profile is damaged or of another colour space."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _is_srgb(source):
            return None
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    return "sRGB" in (profile.profile.profile_description or "")


@contextmanager
def _errors_of_decoding() -> Iterator[None]:
    """Whatever a damaged picture makes Pillow raise is one of our item errors; no warning escapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except ItemError:
            raise
        except (EOFError, OSError) as error:
            text = str(error).lower()
            if isinstance(error, EOFError) or "truncated" in text or "premature" in text or "not enough" in text:
                raise TruncatedImage("the picture ends before its data is complete") from error
            raise DecodeFailed(f"the picture is damaged: {error}") from error
        except (ValueError, SyntaxError, ArithmeticError, TypeError, LookupError, RuntimeError, struct.error) as error:
            raise DecodeFailed(f"the picture is damaged: {error}") from error
