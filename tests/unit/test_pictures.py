from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

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
from core.pictures import inspect, load, thumbnail
from core.settings import PROJECT
from core.types import Crop
from samples import broken

SAMPLES = sorted((PROJECT / "samples" / "pictures").iterdir())


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def colour_of(image: Image.Image) -> tuple[int, ...]:
    mean = np.asarray(image, np.float64).mean(axis=(0, 1))
    return tuple(round(value) for value in mean)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_every_sample_is_loaded_as_upright_rgb_in_the_size_of_its_header(path: Path) -> None:
    image, info = load(path.read_bytes())
    assert image.mode == "RGB"
    assert image.size == (info.width, info.height)
    assert inspect(path.read_bytes()) == info


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (broken.empty(), EmptyFile),
        (broken.text(), NotAnImage),
        (broken.svg(), UnsupportedFormat),
        (b"%PDF-1.7 ...", UnsupportedFormat),
        (encoded(Image.new("RGB", (9, 9)), "TIFF"), UnsupportedFormat),
        (b"\0\0\0\x18ftypheic\0\0\0\0", UnsupportedFormat),
        (broken.huge_png(), TooManyPixels),
        (broken.truncated_jpeg(), TruncatedImage),
        (encoded(Image.new("RGB", (900, 900), "red"), "PNG")[:200], TruncatedImage),
        (broken.truncated_jpeg()[:20], TruncatedImage),
    ],
)
def test_a_file_that_is_no_valid_picture_is_refused_with_the_reason(data: bytes, expected: type[ItemError]) -> None:
    with pytest.raises(expected):
        load(data)


def test_the_error_of_too_many_pixels_gives_the_limit_and_the_size() -> None:
    with pytest.raises(TooManyPixels, match=r"at most 50,000,000 pixels, got 10000 x 6000 = 60,000,000"):
        inspect(broken.huge_png())


def test_a_png_with_a_text_bomb_is_refused_instead_of_inflated() -> None:
    bomb = PngImagePlugin.PngInfo()
    bomb.add_text("comment", "a" * 50_000_000, zip=True)
    with pytest.raises(DecodeFailed):
        load(encoded(Image.new("RGB", (4, 4)), "PNG", pnginfo=bomb))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_eight_orientations_of_a_picture_look_the_same(orientation: int) -> None:
    upright, _ = load((PROJECT / "samples/pictures/coat-camel.jpg").read_bytes())
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turns[orientation]) if orientation in turns else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    image, info = load(encoded(stored, "JPEG", quality=95, exif=exif.tobytes()))
    assert (info.width, info.height) == upright.size
    difference = np.abs(np.asarray(image, np.int16) - np.asarray(upright, np.int16))
    assert difference.mean() < 2


def test_transparency_becomes_white() -> None:
    half = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert colour_of(load(encoded(half, "PNG"))[0]) == (255, 255, 255)
    palette = Image.new("P", (20, 20), 0)
    assert colour_of(load(encoded(palette, "PNG", transparency=0))[0]) == (255, 255, 255)
    grey = Image.new("LA", (20, 20), (0, 0))
    assert colour_of(load(encoded(grey, "PNG"))[0]) == (255, 255, 255)


def test_sixteen_bit_values_are_scaled_not_clipped() -> None:
    image = Image.fromarray(np.full((20, 20), 32768, np.uint16))
    assert colour_of(load(encoded(image, "PNG"))[0]) == pytest.approx((128, 128, 128), abs=1)


def test_cmyk_and_grey_become_rgb() -> None:
    assert colour_of(load(encoded(Image.new("CMYK", (20, 20), (0, 0, 0, 0)), "JPEG"))[0]) == (255, 255, 255)
    assert colour_of(load(encoded(Image.new("L", (20, 20), 77), "JPEG"))[0]) == (77, 77, 77)


def test_the_first_frame_of_an_animation_is_loaded() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "green")]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert colour_of(load(data)[0])[0] > 240


def test_a_jpeg_is_decoded_at_reduced_scale_but_not_below_the_target() -> None:
    data = encoded(Image.new("RGB", (1600, 1200), "navy"), "JPEG")
    image, info = load(data, target=224)
    assert (info.width, info.height) == (1600, 1200)
    assert image.size == (400, 300)
    assert load(data, target=200)[0].size == (200, 150)


def test_crops_use_full_size_coordinates_at_every_decoding_scale() -> None:
    picture = Image.new("RGB", (1600, 1600), "white")
    picture.paste((200, 0, 0), (800, 400, 1600, 1200))
    crop = Crop(800, 400, 800, 800)
    for target in (None, 224):
        image, _ = load(encoded(picture, "JPEG", quality=95), target=target, crop=crop)
        assert colour_of(image) == pytest.approx((200, 0, 0), abs=3)
        assert max(image.size) >= 224


@pytest.mark.parametrize("crop", [Crop(0, 0, 901, 10), Crop(899, 0, 2, 2), Crop(-1, 0, 5, 5), Crop(0, 0, 0, 5)])
def test_a_crop_outside_the_picture_is_refused(crop: Crop) -> None:
    with pytest.raises(BadCrop, match="900 x 1200"):
        load((PROJECT / "samples/pictures/t-shirt-red.jpg").read_bytes(), crop=crop)


def test_a_crop_is_measured_on_the_upright_picture() -> None:
    data = (PROJECT / "samples/pictures/sneaker-white.jpg").read_bytes()
    assert inspect(data).width > inspect(data).height
    load(data, crop=Crop(1100, 800, 100, 100))


def test_a_thumbnail_is_small_and_carries_no_metadata() -> None:
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    small = thumbnail(encoded(Image.new("RGB", (1000, 500), "teal"), "JPEG", exif=exif.tobytes()))
    with Image.open(io.BytesIO(small)) as image:
        assert image.size == (320, 160)
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_small_picture_is_not_enlarged_for_its_thumbnail() -> None:
    with Image.open(io.BytesIO(thumbnail(encoded(Image.new("RGB", (30, 40)), "PNG")))) as image:
        assert image.size == (30, 40)


def test_a_damaged_picture_raises_only_item_errors() -> None:
    random = np.random.default_rng(7)
    for path in SAMPLES:
        if path.suffix in {".avif", ".webp", ".png", ".gif"} or path.stat().st_size < 60_000:
            data = bytearray(path.read_bytes())
            for position in random.integers(0, len(data), 40):
                data[position] = random.integers(0, 256)
            try:
                load(bytes(data))
            except ItemError:
                continue
