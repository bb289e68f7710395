from __future__ import annotations

import io
from pathlib import Path

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.fft import dctn

from classifier.learning.data.synthesis.drawing import Cloth, plain, stripes
from classifier.prepare import InputSpec, prepare
from core.fingerprints import BANDS, alike, bands, distance
from core.perceptual import fingerprint
from core.pictures import load
from core.settings import PROJECT
from samples import garments
from samples.draw import PAPER, Sample, draw

SAMPLES = sorted((PROJECT / "samples" / "pictures").iterdir())
PHOTO_LIKE = PROJECT / "samples" / "pictures" / "jacket-denim.jpg"
FINGERPRINTS = st.binary(min_size=35, max_size=35)


def pixels_of(data: bytes) -> NDArray[np.uint8]:
    return prepare(data, InputSpec(224)).picture


def print_of(image: Image.Image, quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    found = fingerprint(pixels_of(out.getvalue()))
    assert found is not None
    return found


def drawn(cloth: Cloth) -> Image.Image:
    return draw(Sample("shirt", garments.t_shirt(), cloth, PAPER, (450, 600)))


def as_imagehash(found: bytes) -> imagehash.ImageHash:
    """Return the bits of a fingerprint in the order of pHash."""
    bits = np.unpackbits(np.frombuffer(found[:32], np.uint8))
    return imagehash.ImageHash(bits.reshape(BANDS, -1).T.reshape(16, 16).astype(bool))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_hash_is_close_to_the_hash_of_imagehash(path: Path) -> None:
    pixels = pixels_of(path.read_bytes())
    found = fingerprint(pixels)
    assert found is not None
    assert as_imagehash(found) - imagehash.phash(Image.fromarray(pixels), hash_size=16) <= 24


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_adding_rows_changes_only_bits_of_frequencies_close_to_the_median(path: Path) -> None:
    pixels = pixels_of(path.read_bytes())
    found = fingerprint(pixels)
    assert found is not None
    exact = dctn(pixels @ [0.299, 0.587, 0.114], type=2)[:16, :16] / (4 * pixels.shape[0] * pixels.shape[1])
    above = exact - np.median(exact)
    clear = np.abs(above) > 0.3
    assert np.array_equal(as_imagehash(found).hash[clear], above[clear] > 0)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_colour_is_the_mean_of_red_green_and_blue(path: Path) -> None:
    pixels = pixels_of(path.read_bytes())
    found = fingerprint(pixels)
    assert found is not None
    assert list(found[32:]) == pytest.approx(pixels.reshape(-1, 3).mean(axis=0), abs=0.51)


@pytest.mark.parametrize("side", [1600, 600, 200])
@pytest.mark.parametrize("quality", [90, 50])
def test_a_picture_in_another_size_and_quality_is_alike(side: int, quality: int) -> None:
    image, _ = load(PHOTO_LIKE.read_bytes())
    copy = ImageOps.contain(image, (side, side))
    assert alike(print_of(image), print_of(copy, quality), 1.0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_fingerprint_is_that_of_the_upright_picture(orientation: int) -> None:
    undone = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    image = drawn(plain((196, 52, 44)))
    turned = image if orientation == 1 else image.transpose(Image.Transpose(undone[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    turned.save(out, "PNG", exif=exif)
    found = fingerprint(pixels_of(out.getvalue()))
    assert found is not None
    assert distance(found, print_of(image)) <= 4


def test_the_same_garment_in_another_colour_is_not_alike() -> None:
    red, blue = print_of(drawn(plain((196, 52, 44)))), print_of(drawn(plain((42, 58, 150))))
    assert distance(red, blue) <= 20
    assert not alike(red, blue, 1.0)


def test_different_garments_are_not_alike() -> None:
    found = [fingerprint(pixels_of(path.read_bytes())) for path in SAMPLES]
    pairs = [(a, b) for n, a in enumerate(found) for b in found[:n]]
    assert not any(alike(a, b, 1.0) for a, b in pairs if a and b)


def test_the_same_hash_in_another_shape_is_not_alike() -> None:
    found = print_of(drawn(stripes((244, 241, 234), (38, 56, 96), 70)))
    assert alike(found, found, 1.02)
    assert not alike(found, found, 1.05)
    assert not alike(found, found, 1 / 1.05)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((224, 168, 3), 255, np.uint8),
        np.broadcast_to(np.linspace(200, 255, 224, dtype=np.uint8)[:, None, None], (224, 168, 3)),
        255 - np.random.default_rng(1).integers(0, 4, (224, 168, 3), dtype=np.uint8),
        np.random.default_rng(1).integers(0, 256, (224, 20, 3), dtype=np.uint8),
    ],
    ids=["white", "gradient", "faint noise", "too narrow"],
)
def test_a_picture_without_content_has_no_fingerprint(pixels: NDArray[np.uint8]) -> None:
    assert fingerprint(pixels) is None


@pytest.mark.parametrize("shape", [(224, 168), (168, 224), (149, 224), (224, 33), (37, 224), (224, 224)])
def test_a_picture_of_any_sufficient_shape_has_a_fingerprint_of_35_bytes(shape: tuple[int, int]) -> None:
    found = fingerprint(np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8))
    assert found is not None
    assert len(found) == 35


@given(FINGERPRINTS, FINGERPRINTS)
def test_the_distance_is_the_number_of_different_bits(first: bytes, second: bytes) -> None:
    differing = sum((a ^ b).bit_count() for a, b in zip(first[:32], second[:32], strict=True))
    assert distance(first, second) == distance(second, first) == differing


@given(FINGERPRINTS, st.sets(st.integers(0, 255), max_size=BANDS - 1))
def test_hashes_with_fewer_different_bits_than_bands_share_a_band(found: bytes, flipped: set[int]) -> None:
    mask = sum(1 << bit for bit in flipped)
    other = (int.from_bytes(found[:32], "big") ^ mask).to_bytes(32, "big") + found[32:]
    assert any(a == b for a, b in zip(bands(found), bands(other), strict=True))
