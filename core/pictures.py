"""The accepted picture formats, and the only code that turns bytes into an upright sRGB picture.

The content of a file decides its format. File names and HTTP headers do not count. The number of pixels is limited
before any pixel is decoded.
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
    EmptyFile,
    ItemError,
    NotAnImage,
    TooManyPixels,
    TruncatedImage,
    UnsupportedFormat,
)
from core.types import Crop, PictureInfo

MAX_PIXELS = 50_000_000
"""Maximum number of pixels that a header may announce."""

_ACCEPTED_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP")
_FORMAT_NAMES = {
    "JPEG": "jpeg",
    "MPO": "jpeg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "AVIF": "avif",
    "BMP": "bmp",
}

_REJECTED_FORMATS = (
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
"""The first bytes of pictures and documents that are not accepted, so that an error can name the format."""

_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
"""ISO BMFF brands (ISO/IEC 23008-12) of HEIC. AVIF has other brands and is accepted."""

_ORIENTATION = 0x0112
"""The EXIF tag with the orientation of the camera (EXIF 2.3, 4.6.4)."""
_ORIENTATIONS_THAT_SWAP_SIDES = (5, 6, 7, 8)

_SNIFFED_BYTES = 4096
"""Length of the beginning of a file that tells its format."""

# Pillow would only warn about large pictures. MAX_PIXELS above is the limit that counts, and applies before decoding.
Image.MAX_IMAGE_PIXELS = None
# A PNG can contain compressed text chunks. Pillow stops unpacking them at these sizes.
PngImagePlugin.MAX_TEXT_CHUNK = 1024 * 1024
PngImagePlugin.MAX_TEXT_MEMORY = 4 * 1024 * 1024
ImageFile.LOAD_TRUNCATED_IMAGES = False


def format_names() -> list[str]:
    """Return the names of the accepted formats."""
    return sorted(set(_FORMAT_NAMES.values()))


def inspect(source: bytes | IO[bytes]) -> PictureInfo:
    """Return the content of the header of a picture. No pixel is decoded.

    Raises:
        EmptyFile, NotAnImage, UnsupportedFormat, TruncatedImage, TooManyPixels: the header cannot be accepted.
    """
    with _errors_of_decoding(), _opened(source) as image:
        return _info(image)


def load(data: bytes, *, target: int | None = None, crop: Crop | None = None) -> tuple[Image.Image, PictureInfo]:
    """Return the cropped picture, upright, in sRGB, in mode RGB, on a white background, and the data of its header.

    Args:
        data: the bytes of the file.
        target: the long side in pixels to which the caller will scale the picture. A JPEG may then be decoded at 1/2,
            1/4 or 1/8 of its size. The long side of the (cropped) picture still has at least `target` pixels.
        crop: the part to return, in pixels of the upright picture at full size.

    Raises:
        ItemError: the picture cannot be decoded. The subclass names the reason.
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
        # exif_transpose() would make a needless copy of a picture that is already upright.
        upright = image if _orientation(image) == 1 else ImageOps.exif_transpose(image)
        if crop is not None:
            upright = _cropped(upright, info, crop)
        return _to_srgb(upright), info


def cut_out(data: bytes, crop: Crop) -> bytes:
    """Return a part of a picture as a JPEG, upright, without the metadata of the original.

    Raises:
        ItemError: the picture cannot be decoded, or the crop is not inside it.
    """
    part, _ = load(data, crop=crop)
    return _jpeg(part, quality=95)


def thumbnail(data: bytes, *, side: int = 320) -> bytes:
    """Return a JPEG whose long side has at most `side` pixels, without the metadata of the original.

    Raises:
        ItemError: the picture cannot be decoded.
    """
    image, info = load(data, target=side)
    scale = min(1.0, side / max(info.width, info.height))
    size = (max(1, round(info.width * scale)), max(1, round(info.height * scale)))
    scaled = image.resize(size, Image.Resampling.LANCZOS) if image.size != size else image
    return _jpeg(scaled, quality=82)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    jpeg = io.BytesIO()
    without_metadata = Image.new("RGB", image.size)
    without_metadata.paste(image)
    without_metadata.save(jpeg, "JPEG", quality=quality, optimize=True)
    return jpeg.getvalue()


@contextmanager
def _opened(source: bytes | IO[bytes]) -> Iterator[Image.Image]:
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    head = file.read(_SNIFFED_BYTES)
    file.seek(0)
    if not head:
        raise EmptyFile("expected a picture, got an empty file")
    try:
        image = Image.open(file, formats=_ACCEPTED_FORMATS)
    except UnidentifiedImageError as error:
        raise _rejection(head) from error
    with image:
        yield image


def _rejection(head: bytes) -> ItemError:
    other = next((name for signature, name in _REJECTED_FORMATS if head.startswith(signature)), None)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        other = "HEIC"
    if b"<svg" in head[:1024].lower():
        other = "SVG"
    if other is not None:
        return UnsupportedFormat(f"expected JPEG, PNG, WebP, GIF, AVIF or BMP, got {other}")
    accepted_start = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM")
    if head.startswith(accepted_start) or head[8:12] in {b"WEBP", b"avif", b"avis"}:
        return TruncatedImage("the picture is incomplete or damaged: its header cannot be read")
    return NotAnImage(f"expected a picture, got bytes that start with {head[:16]!r}")


def _info(image: Image.Image) -> PictureInfo:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise TooManyPixels(f"expected at most {MAX_PIXELS:,} pixels, got {width} x {height} = {width * height:,}")
    if _orientation(image) in _ORIENTATIONS_THAT_SWAP_SIDES:
        width, height = height, width
    return PictureInfo(_FORMAT_NAMES[image.format or ""], width, height)


def _orientation(image: Image.Image) -> object:
    return image.getexif().get(_ORIENTATION, 1)


def _draft(image: Image.Image, info: PictureInfo, target: int, crop: Crop | None) -> None:
    visible = (crop.width, crop.height) if crop else (info.width, info.height)
    long_side = max(visible)
    if long_side > target:
        # draft() may return a larger picture than this size, but never a smaller one.
        image.draft(None, (image.width * target // long_side, image.height * target // long_side))


def _cropped(upright: Image.Image, info: PictureInfo, crop: Crop) -> Image.Image:
    # The picture may have been decoded at a reduced size, so the crop is scaled by the same factor.
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
        # For 16-bit grey, Pillow's own conversion clips values instead of scaling them.
        return image.point(lambda value: value / 257).convert("L")
    return image


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
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    return "sRGB" in (profile.profile.profile_description or "")


@contextmanager
def _errors_of_decoding() -> Iterator[None]:
    """Turn every exception that Pillow raises for a damaged picture into an item error, and silence its warnings."""
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
