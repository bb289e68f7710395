"""Small valid pictures in every accepted format and variant. The other modules damage them."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401 (adds JPEG XL to Pillow)
import tifffile
from PIL import Image, ImageCms

SIDES = (24, 16)
"""Width and height in pixels of the pictures."""

pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)


def drawing(width: int = SIDES[0], height: int = SIDES[1], shift: int = 0) -> Image.Image:
    """Return a picture in RGB with soft colours and one dark rectangle, which differs for each `shift`."""
    rows, columns = np.mgrid[0:height, 0:width]
    red = 40 + 180 * columns // max(1, width - 1)
    green = 60 + 150 * rows // max(1, height - 1)
    pixels = np.stack([red, green, np.full_like(red, (90 + 40 * shift) % 256)], axis=-1).astype(np.uint8)
    pixels[height // 4 : height // 2, width // 8 : width // 3] = (30, 20, 60)
    return Image.fromarray(pixels)


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return the picture as a file of a format that Pillow writes."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def orientation(value: int) -> bytes:
    """Return EXIF that states only an orientation."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def tiff(pixels: Any, **options: Any) -> bytes:
    """Return an array as a TIFF of a kind that Pillow does not write."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


@lru_cache(maxsize=1)
def base_pictures() -> dict[str, bytes]:
    """Return the valid pictures by name. The part of the name before the first `-` or `.` is the format."""
    return {**_jpegs(), **_pngs(), **_web_pictures(), **_tiffs(), **_others()}


def _jpegs() -> dict[str, bytes]:
    rgb = drawing()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {
        "jpeg.jpg": encode(rgb, "JPEG"),
        "jpeg-progressive.jpg": encode(rgb, "JPEG", progressive=True),
        "jpeg-grey.jpg": encode(rgb.convert("L"), "JPEG"),
        "jpeg-cmyk.jpg": encode(rgb.convert("CMYK"), "JPEG"),
        "jpeg-restarts.jpg": encode(rgb, "JPEG", restart_marker_blocks=1),
        "jpeg-metadata.jpg": encode(rgb, "JPEG", exif=orientation(6), icc_profile=profile, comment="x", xmp=b"<x/>"),
        "jpeg-mpo.mpo": encode(rgb, "MPO", save_all=True, append_images=[drawing(shift=1)]),
    }


def _pngs() -> dict[str, bytes]:
    rgb = drawing()
    frames = [drawing(shift=shift) for shift in (1, 2)]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey16 = Image.fromarray(np.asarray(rgb.convert("L"), np.uint16) * 257)
    return {
        "png.png": encode(rgb, "PNG"),
        "png-alpha.png": encode(_transparent(), "PNG"),
        "png-palette.png": encode(rgb.quantize(16), "PNG", transparency=0),
        "png-16.png": encode(grey16, "PNG"),
        "png-bilevel.png": encode(rgb.convert("1"), "PNG"),
        "png-metadata.png": encode(rgb, "PNG", exif=orientation(6), icc_profile=profile, dpi=(72, 72)),
        "png-animated.png": encode(rgb, "PNG", save_all=True, append_images=frames),
    }


def _web_pictures() -> dict[str, bytes]:
    rgb, frames = drawing(), [drawing(shift=shift) for shift in (1, 2)]
    return {
        "webp.webp": encode(rgb, "WEBP"),
        "webp-lossless.webp": encode(_transparent(), "WEBP", lossless=True),
        "webp-alpha.webp": encode(_transparent(), "WEBP", exif=orientation(6)),
        "webp-animated.webp": encode(rgb, "WEBP", save_all=True, append_images=frames),
        "gif.gif": encode(rgb.quantize(16), "GIF"),
        "gif-interlaced.gif": encode(rgb.quantize(16), "GIF", interlace=1, transparency=0, comment="x"),
        "gif-animated.gif": encode(rgb, "GIF", save_all=True, append_images=frames),
        "avif.avif": encode(rgb, "AVIF"),
        "avif-alpha.avif": encode(_transparent(), "AVIF", exif=orientation(6)),
        "avif-animated.avif": encode(rgb, "AVIF", save_all=True, append_images=frames),
    }


def _tiffs() -> dict[str, bytes]:
    rgb = drawing()
    compressed = {name: encode(rgb, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg")}
    pixels = np.asarray(rgb)
    wide = pixels.astype(np.uint16) * 257
    return {
        "tiff.tif": encode(rgb, "TIFF"),
        **{f"tiff-{name.removeprefix('tiff_')}.tif": data for name, data in compressed.items()},
        "tiff-fax.tif": encode(rgb.convert("1"), "TIFF", compression="group4"),
        "tiff-pages.tif": encode(rgb, "TIFF", save_all=True, append_images=[drawing(shift=1)]),
        "tiff-big-endian.tif": tiff(wide[..., 0], photometric="minisblack", byteorder=">"),
        "tiff-16.tif": tiff(wide, photometric="rgb"),
        "tiff-tiles.tif": tiff(pixels, photometric="rgb", tile=(16, 16)),
        "tiff-float.tif": tiff(pixels[..., 0].astype(np.float32) / 255, photometric="minisblack"),
        "tiff-64.tif": tiff(pixels, photometric="rgb", bigtiff=True),
    }


def _others() -> dict[str, bytes]:
    rgb = drawing()
    return {
        "bmp.bmp": encode(rgb, "BMP"),
        "bmp-palette.bmp": encode(rgb.quantize(16), "BMP"),
        "bmp-32.bmp": encode(_transparent(), "BMP"),
        "heic.heic": encode(rgb, "HEIF"),
        "heic-alpha.heic": encode(_transparent(), "HEIF", exif=orientation(6)),
        "jp2.jp2": encode(rgb, "JPEG2000"),
        "jp2-lossy.jp2": encode(_transparent(), "JPEG2000", irreversible=True, quality_layers=[20, 5]),
        "jp2-codestream.j2k": encode(rgb, "JPEG2000", no_jp2=True),
        "jp2-tiles.jp2": encode(rgb, "JPEG2000", tile_size=(16, 16)),
        "jxl.jxl": encode(rgb, "JXL"),
        "jxl-lossless.jxl": encode(_transparent(), "JXL", lossless=True),
        "jxl-container.jxl": encode(rgb, "JXL", use_container=True, exif=orientation(6)),
    }


def _transparent() -> Image.Image:
    picture = drawing().convert("RGBA")
    alpha = np.asarray(picture.convert("L"), int) * 2 % 256
    picture.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    return picture
