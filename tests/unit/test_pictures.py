from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from core.item_errors import BadCrop, EmptyFile, ItemError, NotAnImage, TooManyPixels, TruncatedImage, UnsupportedFormat
from core.picture_files import JXL_CONTAINER_MAGIC, webp_size
from core.pictures import PictureLimits, inspect, load, thumbnail
from core.settings import PROJECT
from core.types import Crop
from samples import broken
from tests.orientations import STORED

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
        (b"8BPS\0\1" + bytes(20), UnsupportedFormat),
        (b"\0\0\0\x18ftypheic\0\0\0\0", TruncatedImage),
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


def test_a_png_with_a_text_bomb_is_loaded_without_its_text() -> None:
    bomb = PngImagePlugin.PngInfo()
    bomb.add_text("comment", "a" * 50_000_000, zip=True)
    image, _ = load(encoded(Image.new("RGB", (4, 4), "teal"), "PNG", pnginfo=bomb))
    assert image.getpixel((0, 0)) == (0, 128, 128)


def a_chunk(name: bytes, data: bytes, crc: int | None = None) -> bytes:
    checksum = zlib.crc32(name + data) if crc is None else crc
    return len(data).to_bytes(4, "big") + name + data + checksum.to_bytes(4, "big")


@pytest.mark.parametrize(
    "chunk",
    [
        a_chunk(b"eXIf", b"garbage!"),
        a_chunk(b"eXIf", b"II*\x00\xff\xff\xff\xff"),
        a_chunk(b"zTXt", b"Raw profile type exif\x00\x00" + zlib.compress(b"\nexif\n  8\nzzzz\n")),
        a_chunk(b"iCCP", b"icc\x00\x00" + zlib.compress(bytes(50_000_000))),
        a_chunk(b"iCCP", b"icc\x00\x00no zlib"),
        a_chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00no zlib"),
        a_chunk(b"tEXt", b"comment\x00text", crc=1),
        a_chunk(b"tIME", b""),
        a_chunk(b"pHYs", b""),
    ],
)
def test_no_metadata_of_a_png_costs_its_pixels(chunk: bytes) -> None:
    png = encoded(Image.new("RGB", (4, 4), "teal"), "PNG")
    image, info = load(png[:33] + chunk + png[33:])
    assert (image.getpixel((0, 0)), info.width) == ((0, 128, 128), 4)
    assert inspect(png[:33] + chunk + png[33:]) == info


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF", "HEIF", "JXL", "TIFF", "PNG"])
@pytest.mark.parametrize("block", ["exif", "icc_profile", "xmp", "comment"])
def test_damaged_metadata_never_costs_a_picture(form: str, block: str) -> None:
    garbage = {"exif": b"Exif\x00\x00garbage", "comment": "x" * 60_000}.get(block, b"garbage" * 10)
    try:
        data = encoded(Image.new("RGB", (32, 16), "teal"), form, **{block: garbage})
    except (TypeError, ValueError, SyntaxError, OSError, struct.error, RuntimeError):
        pytest.skip("Pillow does not write it")
    image, info = load(data)
    assert (image.size, info.width) == ((32, 16), 32)


def test_an_orientation_survives_a_damaged_profile() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    png = encoded(Image.new("RGB", (4, 8)), "PNG", exif=exif.tobytes())
    assert load(png[:33] + a_chunk(b"iTXt", b"x", crc=1) + png[33:])[0].size == (8, 4)


@pytest.mark.parametrize(
    ("form", "name", "options"),
    [
        ("HEIF", "heic", {"quality": 95}),
        ("TIFF", "tiff", {}),
        ("TIFF", "tiff", {"compression": "jpeg"}),
        ("JPEG2000", "jp2", {}),
        ("JPEG2000", "jp2", {"no_jp2": True}),
        ("JXL", "jxl", {"quality": 95}),
        ("JXL", "jxl", {"use_container": True}),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_the_formats_of_cameras_and_printers_are_loaded(
    form: str, name: str, options: dict[str, object], mode: str
) -> None:
    with Image.open(SAMPLES[0]) as opened:
        picture = opened.convert("RGB").resize((120, 160)).convert(mode)
    if mode == "RGBA" and options.get("compression") == "jpeg":
        pytest.skip("JPEG has no transparency")
    if form == "HEIF" and mode == "L":
        picture = picture.convert("RGB")
    data = encoded(picture, form, **options)
    image, info = load(data)
    assert (info.format, image.mode, image.size) == (name, "RGB", (120, 160))
    assert np.abs(np.asarray(image, int) - np.asarray(picture.convert("RGB"), int)).mean() < 3
    assert inspect(data) == info
    for cut in (20, len(data) // 2):
        with pytest.raises(ItemError):
            load(data[:cut])


def test_a_huge_jpeg_xl_is_refused_by_its_header_alone() -> None:
    # Signature, then: not small, height 1 + 2^30 - 1 (30 bits), ratio 1:1.
    bits = 0 | 3 << 1 | ((1 << 30) - 1) << 3 | 1 << 33
    codestream = b"\xff\x0a" + bits.to_bytes(8, "little") + bytes(20)
    for data in (codestream, JXL_CONTAINER_MAGIC + (8 + len(codestream)).to_bytes(4, "big") + b"jxlc" + codestream):
        with pytest.raises(TooManyPixels):
            load(data)
        with pytest.raises(TooManyPixels):
            inspect(data)


def test_floating_point_and_sixteen_bit_tiffs_keep_their_greys() -> None:
    ramp = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (4, 1))
    expected = np.asarray(load(encoded(Image.fromarray((ramp * 255).astype(np.uint8)), "PNG"))[0], int)
    for values in (ramp, (ramp * 65535).astype(np.uint16)):
        image, _ = load(encoded(Image.fromarray(values), "TIFF"))
        assert np.abs(np.asarray(image, int) - expected).max() <= 1


@pytest.mark.parametrize(("depth", "step"), [(1, 255), (2, 85), (4, 17), (8, 1), (16, 1)])
def test_the_transparent_grey_of_a_png_becomes_white_at_every_depth(depth: int, step: int) -> None:
    # One row of 16 pixels: the first half is the transparent value 0, the rest is 1 (or 0x0101 at 16 bits).
    value = {16: b"\x01\x01"}.get(depth, b"")
    row = bytes(16) + value * 8 if depth == 16 else bytes(depth) + _packed(1, depth, 8)
    header = (16).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([depth, 0, 0, 0, 0])
    png = (
        b"\x89PNG\r\n\x1a\n"
        + a_chunk(b"IHDR", header)
        + a_chunk(b"tRNS", (0).to_bytes(2, "big"))
        + a_chunk(b"IDAT", zlib.compress(b"\x00" + row))
        + a_chunk(b"IEND", b"")
    )
    pixels = np.asarray(load(png)[0])[0, :, 0]
    assert pixels[:8].tolist() == [255] * 8
    assert pixels[8:].tolist() == [step] * 8


def _packed(value: int, depth: int, count: int) -> bytes:
    number = 0
    for _ in range(count):
        number = number << depth | value
    return number.to_bytes(count * depth // 8, "big")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end_mark_is_shown_and_marked(progressive: bool) -> None:
    with Image.open(SAMPLES[0]) as opened:
        data = encoded(opened.convert("RGB").resize((120, 160)), "JPEG", progressive=progressive)
    for cut in (1, 2):
        image, info = load(data[:-cut])
        assert (info.truncated, image.tobytes()) == (True, load(data)[0].tobytes())
    with pytest.raises(TruncatedImage):
        load(data[: len(data) // 2])
    image, info = load(data[: len(data) // 2], limits=PictureLimits(accept_truncated=True))
    assert (info.truncated, image.size) == (True, (120, 160))
    assert not load(data)[1].truncated


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_blocks": 2}, {}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_lacks_pixels_is_never_taken_for_a_complete_one(mode: str, options: dict[str, Any]) -> None:
    with Image.open(SAMPLES[0]) as opened:
        data = encoded(opened.convert("RGB").resize((60, 80)).convert(mode), "JPEG", **options)
    complete = load(data)[0].tobytes()
    for cut in range(len(data) - 1, 1000, -23):
        try:
            image, _ = load(data[:cut])
        except TruncatedImage:
            continue
        assert image.tobytes() == complete, cut


def test_a_png_with_damaged_pixels_is_refused() -> None:
    data = encoded(Image.effect_noise((60, 80), 99), "PNG")
    half = len(data) // 2
    with pytest.raises(ItemError):
        load(data[:half] + b"\xff" * (len(data) - half - 16) + data[-16:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_eight_orientations_of_a_picture_look_the_same(orientation: int) -> None:
    upright, _ = load((PROJECT / "samples/pictures/coat-camel.jpg").read_bytes())
    stored = upright.transpose(STORED[orientation]) if orientation in STORED else upright
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


@pytest.mark.parametrize("options", [{}, {"num_resolutions": 1}, {"tile_size": (256, 256)}, {"irreversible": True}])
def test_a_large_jpeg_2000_is_decoded_at_a_smaller_size_if_it_has_one(options: dict[str, Any]) -> None:
    picture = Image.effect_noise((1200, 900), 40).convert("RGB").resize((300, 225)).resize((1200, 900))
    data = encoded(picture, "JPEG2000", **options)
    whole, info = load(data)
    assert (whole.size, info.width, info.height) == ((1200, 900), 1200, 900)
    for crop, part in ((None, picture), (Crop(400, 0, 600, 600), picture.crop((400, 0, 1000, 600)))):
        smaller, _ = load(data, target=100, crop=crop)
        assert max(smaller.size) == max(part.size) // (1 if "num_resolutions" in options else 4 if crop is None else 2)
        expected = part.resize((100, 100 * part.height // part.width), Image.Resampling.BILINEAR)
        difference = np.asarray(smaller.resize(expected.size, Image.Resampling.BILINEAR), int) - np.asarray(expected)
        assert np.abs(difference).mean() < 2


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"xmp": b"<x/>"}])
def test_the_pixels_of_a_webp_are_counted_before_the_library_opens_it(options: dict[str, Any]) -> None:
    data = encoded(Image.new("RGB", (300, 200)), "WEBP", **options)
    assert webp_size(data) == (300, 200)
    assert webp_size(data[:29]) is None
    with pytest.raises(TooManyPixels):
        load(data[:30], limits=PictureLimits(59_999))
