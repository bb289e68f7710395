"""The accepted picture formats, and the only code that turns bytes into an upright sRGB picture.

The content of a file decides its format. File names and HTTP headers do not count. The number of pixels is limited
before any pixel is decoded.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import IO, Self

import pillow_heif
import pillow_jxl.JpegXLImagePlugin
from PIL import Image, ImageFile, Jpeg2KImagePlugin, PngImagePlugin, UnidentifiedImageError

from core.item_errors import (
    BadCrop,
    DecodeFailed,
    EmptyFile,
    ItemError,
    NotAnImage,
    TooManyPixels,
    TruncatedImage,
    UnsupportedFormat,
)
from core.picture_colours import DECODING_ERRORS, correct_planes, scale_transparency, to_srgb
from core.picture_files import (
    JPEG_END,
    JPEG_MAGIC,
    JXL_CONTAINER_MAGIC,
    JXL_MAGIC,
    code_points,
    complete_segments,
    jxl_size,
    lacks_scans,
    webp_size,
    without_metadata,
)
from core.settings import Settings
from core.types import Crop, PictureInfo

_ACCEPTED_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP", "HEIF", "TIFF", "JPEG2000", "JXL")
_FORMAT_NAMES = {
    "JPEG": "jpeg",
    "MPO": "jpeg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "AVIF": "avif",
    "BMP": "bmp",
    "HEIF": "heic",
    "TIFF": "tiff",
    "JPEG2000": "jp2",
    "JXL": "jxl",
}
_NAMES = "JPEG, PNG, WebP, GIF, AVIF, BMP, HEIC, TIFF, JPEG 2000 or JPEG XL"

_REJECTED_FORMATS = (
    (b"%PDF", "PDF"),
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"8BPS", "PSD"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"qoif", "QOI"),
)
"""The first bytes of pictures and documents that are not accepted, so that an error can name the format."""

_JPEG_2000_MAGICS = (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")
_ACCEPTED_STARTS = (
    *(JPEG_MAGIC, b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", JXL_MAGIC, JXL_CONTAINER_MAGIC),
    *_JPEG_2000_MAGICS,
)
_ACCEPTED_BRANDS = {
    *(b"WEBP", b"avif", b"avis", b"mif1", b"msf1"),
    *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"),
}
"""Bytes 8 to 11 of WebP, and of AVIF and HEIC (brands of ISO BMFF, ISO/IEC 23008-12)."""

_ORIENTATION = 0x0112
"""The EXIF tag with the orientation of the camera (EXIF 2.3, 4.6.4)."""
_ORIENTATIONS_THAT_SWAP_SIDES = (5, 6, 7, 8)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that makes a picture upright, by its orientation."""
_MORE_PIXELS = (
    b"\x5a" * 256,
    bytes(37 * number % 255 for number in range(1024)),
    b"".join(bytes([0xFF, 0xD0 + number]) + b"\x5a" * 32 for number in range(8)) * 2,
)
"""More data of a picture, the last one with restarts. One of them changes the pixels of a JPEG if any are missing."""

_SNIFFED_BYTES = 4096
"""Length of the beginning of a file that tells its format."""

pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
# A decoder process works on one picture at a time, and each decoder of the pool is a process.
pillow_jxl.JpegXLImagePlugin.DECODE_THREADS = 0
# Pillow would only warn about large pictures. PictureLimits below counts, and applies before decoding.
Image.MAX_IMAGE_PIXELS = None
# A PNG can contain compressed text chunks. Pillow stops unpacking them at these sizes.
PngImagePlugin.MAX_TEXT_CHUNK = 1024 * 1024
PngImagePlugin.MAX_TEXT_MEMORY = 4 * 1024 * 1024
ImageFile.LOAD_TRUNCATED_IMAGES = False


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What is accepted: the maximum number of pixels, and whether a JPEG may lack a part of its pixels."""

    pixels: int = 50_000_000
    accept_truncated: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.max_pixels, settings.accept_truncated)


DEFAULT_LIMITS = PictureLimits()


_SHOWN_BY_BROWSERS = {"jpeg", "png", "webp", "gif", "avif", "bmp"}


def is_shown_by_browsers(name: str | None) -> bool:
    """Return whether every browser shows pictures in this format."""
    return name in _SHOWN_BY_BROWSERS


def format_names() -> list[str]:
    """Return the names of the accepted formats."""
    return sorted(set(_FORMAT_NAMES.values()))


def inspect(source: bytes | IO[bytes], limits: PictureLimits = DEFAULT_LIMITS) -> PictureInfo:
    """Return the content of the header of a picture. No pixel is decoded.

    Raises:
        EmptyFile, NotAnImage, UnsupportedFormat, TruncatedImage, TooManyPixels: the header cannot be accepted.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    head = file.read(_SNIFFED_BYTES)
    file.seek(0)
    if head.startswith((JXL_MAGIC, JXL_CONTAINER_MAGIC)):
        width, height = _jxl_size(file)
        _check_pixels(width, height, limits)
        return PictureInfo(_FORMAT_NAMES["JXL"], width, height)
    try:
        with _errors_of_decoding(), _opened(file, limits) as image:
            return _info(image, limits)
    except (DecodeFailed, TruncatedImage):
        file.seek(0)
        stripped = without_metadata(file.read(), keep_exif=False)
        if stripped is None:
            raise
        with _errors_of_decoding(), _opened(stripped, limits) as image:
            return _info(image, limits)


def load(
    data: bytes,
    *,
    target: int | None = None,
    crop: Crop | None = None,
    limits: PictureLimits = DEFAULT_LIMITS,
) -> tuple[Image.Image, PictureInfo]:
    """Return the cropped picture, upright, in sRGB, in mode RGB, on a white background, and the data of its header.

    Args:
        data: the bytes of the file.
        target: the long side in pixels to which the caller will scale the picture. A JPEG may then be decoded at 1/2,
            1/4 or 1/8 of its size, and a JPEG 2000 at any power of two. The long side of the (cropped) picture still
            has at least `target` pixels.
        crop: the part to return, in pixels of the upright picture at full size.
        limits: what is accepted.

    Raises:
        ItemError: the picture cannot be decoded. The subclass names the reason.
    """
    try:
        return _load(data, target, crop, limits)
    except (DecodeFailed, TruncatedImage) as error:
        # Metadata is needed to show few pictures, and damaged metadata hides none. Therefore it is removed only now.
        for keep_exif in (True, False):
            stripped = without_metadata(data, keep_exif=keep_exif)
            if stripped is not None:
                with suppress(DecodeFailed, TruncatedImage):
                    return _load(stripped, target, crop, limits)
        if data.startswith(JPEG_MAGIC) and isinstance(error, TruncatedImage):
            return _load_truncated(data, target, crop, limits)
        if data.startswith(_JPEG_2000_MAGICS) and target is not None:
            # The file may have fewer sizes than were assumed.
            return load(data, crop=crop, limits=limits)
        raise


def _load_truncated(
    data: bytes, target: int | None, crop: Crop | None, limits: PictureLimits
) -> tuple[Image.Image, PictureInfo]:
    """Return a JPEG that ends too early as browsers show it: the pixels that are missing are grey.

    Raises:
        TruncatedImage: pixels are missing, and `limits` do not accept this.
    """
    complete = complete_segments(data)
    image, info = _load(complete + JPEG_END, target, crop, limits)
    if not limits.accept_truncated:
        # Only the end mark is missing if no segment has begun, if no scan is missing, and if more data changes nothing.
        if len(data) - len(complete) > 1 or lacks_scans(complete):
            raise TruncatedImage("the picture ends before its data is complete")
        for more in _MORE_PIXELS:
            other, _ = _load(complete + more + JPEG_END, target, crop, limits)
            if other.tobytes() != image.tobytes():
                raise TruncatedImage("the picture ends before its data is complete")
    return image, replace(info, truncated=True)


def _load(data: bytes, target: int | None, crop: Crop | None, limits: PictureLimits) -> tuple[Image.Image, PictureInfo]:
    with _errors_of_decoding():
        with _opened(data, limits) as image:
            info = _info(image, limits)
            if crop is not None and not crop.within(info.width, info.height):
                raise BadCrop(
                    f"expected a crop within the picture's {info.width} x {info.height} pixels, "
                    f"got x={crop.x} y={crop.y} width={crop.width} height={crop.height}"
                )
            if target is not None:
                _draft(image, info, target, crop)
            scale_transparency(image)
            correct_planes(image)
            image.load()
            # Of a TIFF, Pillow has rotated the pixels while loading them.
            method = _UPRIGHT.get(_orientation(image))
            if crop is not None:
                upright = image if method is None else image.transpose(method)
                return to_srgb(_cropped(upright, info, crop), code_points(data)), info
            colours = to_srgb(image, code_points(data))
        # There is memory for two copies of a large picture, but not for three.
        del image
        return colours if method is None else colours.transpose(method), info


def cut_out(data: bytes, crop: Crop) -> bytes:
    """Return a part of a picture as a JPEG, upright, without the metadata of the original.

    Raises:
        ItemError: the picture cannot be decoded, or the crop is not inside it.
    """
    part, _ = load(data, crop=crop)
    return _jpeg(part, quality=95)


def whole_jpeg(data: bytes, limits: PictureLimits = DEFAULT_LIMITS) -> bytes:
    """Return a picture at full size as a JPEG, which every browser shows, without the metadata of the original.

    Raises:
        ItemError: the picture cannot be decoded.
    """
    return _jpeg(load(data, limits=limits)[0], quality=90)


def thumbnail(data: bytes, *, side: int = 320, limits: PictureLimits = DEFAULT_LIMITS) -> bytes:
    """Return a JPEG whose long side has at most `side` pixels, without the metadata of the original.

    Raises:
        ItemError: the picture cannot be decoded.
    """
    image, info = load(data, target=side, limits=limits)
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
def _opened(source: bytes | IO[bytes], limits: PictureLimits) -> Iterator[Image.Image]:
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    head = file.read(_SNIFFED_BYTES)
    file.seek(0)
    if not head:
        raise EmptyFile("expected a picture, got an empty file")
    if head.startswith((JXL_MAGIC, JXL_CONTAINER_MAGIC)):
        # The library decodes a JPEG XL when it opens it.
        _check_pixels(*_jxl_size(file), limits)
    elif (size := webp_size(head)) is not None:
        # The library allocates memory for the pixels of a WebP when it opens it.
        _check_pixels(*size, limits)
    try:
        image = Image.open(file, formats=_ACCEPTED_FORMATS)
    except UnidentifiedImageError as error:
        raise _rejection(head) from error
    with image:
        yield image


def _jxl_size(file: IO[bytes]) -> tuple[int, int]:
    size = jxl_size(file.read())
    file.seek(0)
    if size is None:
        raise TruncatedImage("the picture is incomplete or damaged: its header cannot be read")
    return size


def _rejection(head: bytes) -> ItemError:
    other = next((name for signature, name in _REJECTED_FORMATS if head.startswith(signature)), None)
    if b"<svg" in head[:1024].lower():
        other = "SVG"
    if other is not None:
        return UnsupportedFormat(f"expected {_NAMES}, got {other}")
    if head.startswith(_ACCEPTED_STARTS) or head[8:12] in _ACCEPTED_BRANDS:
        return TruncatedImage("the picture is incomplete or damaged: its header cannot be read")
    return NotAnImage(f"expected a picture, got bytes that start with {head[:16]!r}")


def _check_pixels(width: int, height: int, limits: PictureLimits) -> None:
    if width * height > limits.pixels:
        raise TooManyPixels(f"expected at most {limits.pixels:,} pixels, got {width} x {height} = {width * height:,}")


def _info(image: Image.Image, limits: PictureLimits) -> PictureInfo:
    width, height = image.size
    _check_pixels(width, height, limits)
    if _orientation(image) in _ORIENTATIONS_THAT_SWAP_SIDES:
        width, height = height, width
    return PictureInfo(_FORMAT_NAMES[image.format or ""], width, height)


def _orientation(image: Image.Image) -> int:
    """Return the orientation that EXIF states, 1 to 8. It is 1 without EXIF, and if EXIF is damaged."""
    if image.format == "JXL" and not getattr(image, "jpeg", False):
        # The header of the file itself has the orientation, and the library has rotated the pixels.
        return 1
    # Pillow also believes the orientation in XMP, but browsers do not.
    image.info.pop("xmp", None)
    image.info.pop("XML:com.adobe.xmp", None)
    try:
        # The method of PNG files would decode the pixels to find EXIF after them, and hide that they are damaged.
        # Chromium ignores such EXIF, too.
        orientation = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except DECODING_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _draft(image: Image.Image, info: PictureInfo, target: int, crop: Crop | None) -> None:
    visible = (crop.width, crop.height) if crop else (info.width, info.height)
    long_side = max(visible)
    if isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile) and image.mode != "P":
        # A smaller size of a JPEG 2000 is less smooth than a scaled picture, so the last factor of two is left to the
        # caller.
        image.reduce = max(0, (long_side // (2 * target)).bit_length() - 1)
    elif long_side > target:
        # draft() may return a larger picture than this size, but never a smaller one.
        image.draft(None, (image.width * target // long_side, image.height * target // long_side))


def _cropped(upright: Image.Image, info: PictureInfo, crop: Crop) -> Image.Image:
    # The picture may have been decoded at a reduced size, so the crop is scaled by the same factor.
    x_scale, y_scale = upright.width / info.width, upright.height / info.height
    left, top = round(crop.x * x_scale), round(crop.y * y_scale)
    right = max(left + 1, round((crop.x + crop.width) * x_scale))
    bottom = max(top + 1, round((crop.y + crop.height) * y_scale))
    return upright.crop((left, top, right, bottom))


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
        except DECODING_ERRORS as error:
            raise DecodeFailed(f"the picture is damaged: {error}") from error
