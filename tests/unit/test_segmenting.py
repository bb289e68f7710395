"""Segmenters: networks from files that find the person or the garments of a picture."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

from classifier.garments import Box, Garments
from classifier.prepare import PADDING, InputSpec, prepare
from classifier.segmenting import PERSON, SegmenterFile, segment
from core.errors import ArtifactInvalid
from tests.onnx_files import write_pointwise

SELFIE = Path(__file__).parents[2] / "recipes/training/segmenters/selfie_segmentation.tflite"
SIDE = 64
BY_COLOUR = np.array([[0.1, 0.1, 0.1], [1, -1, -1], [-1, -1, 1]], np.float32)
"""Weights of three channels: background, red and blue."""


def encoded(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def red_and_blue() -> Image.Image:
    """Return a white picture of 100 x 200 pixels, red from 20 to 80 and blue below."""
    image = Image.new("RGB", (100, 200), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 20, 79, 79), fill=(255, 0, 0))
    draw.rectangle((30, 80, 69, 179), fill=(0, 0, 255))
    return image


@pytest.fixture
def by_colour(tmp_path: Path) -> SegmenterFile:
    path = write_pointwise(tmp_path / "colours.onnx", BY_COLOUR, SIDE)
    return SegmenterFile.of(path, {"top": (1,), "bottom": (2,)})


def test_the_selfie_segmenter_finds_the_person_of_a_photograph() -> None:
    """The network has a custom operation of MediaPipe, which OpenVINO gets from Lookbook."""
    (person,) = segment(Image.fromarray(data.astronaut()), SegmenterFile.of(SELFIE))
    assert person.name == PERSON
    rows, columns = person.mask.shape
    assert (rows, columns) == (256, 256)
    # The face, the suit, the flag at the left edge, and the shuttle at the top right.
    face, suit = person.mask[30:80, 90:140], person.mask[170:240, 60:130]
    flag, shuttle = person.mask[:80, :40], person.mask[:60, 190:]
    assert face.mean() > 0.95
    assert suit.mean() > 0.9
    assert flag.mean() < 0.02
    assert shuttle.mean() < 0.02


def test_the_edges_of_the_selfie_segmenter_are_smooth() -> None:
    """Weights in another order would make every second row or column differ: 3.4 and 2.8 changes per line instead."""
    (person,) = segment(Image.fromarray(data.astronaut()), SegmenterFile.of(SELFIE))
    head = person.mask[:100, 80:160].astype(int)
    changes = [np.abs(np.diff(head, axis=axis)).sum(axis=axis).mean() for axis in (0, 1)]
    assert max(changes) < 2.0


def test_a_segmenter_with_channels_finds_garments(by_colour: SegmenterFile) -> None:
    assert by_colour.finds_garments
    bottom, top = segment(red_and_blue(), by_colour)
    assert (bottom.name, top.name) == ("bottom", "top")
    assert top.bounds() == pytest.approx((0.2, 0.1, 0.8, 0.4), abs=1 / SIDE)
    assert bottom.bounds() == pytest.approx((0.3, 0.4, 0.7, 0.9), abs=1 / SIDE)


def test_a_segmenter_without_channels_sees_all_but_the_first_as_one_person(by_colour: SegmenterFile) -> None:
    (person,) = segment(red_and_blue(), SegmenterFile.of(by_colour.path))
    assert person.name == PERSON
    assert person.bounds() == pytest.approx((0.2, 0.1, 0.8, 0.9), abs=1 / SIDE)


def test_the_values_of_pixels_are_scaled_as_the_segmenter_says(by_colour: SegmenterFile) -> None:
    swapped = SegmenterFile.of(by_colour.path, {"top": (1,)}, std=(-1.0, 1.0, 1.0))
    assert not segment(Image.new("RGB", (50, 50), (255, 0, 0)), swapped)
    assert segment(Image.new("RGB", (50, 50), (255, 0, 0)), replace(swapped, std=(1.0, 1.0, 1.0)))


def test_a_picture_without_garments_is_cropped_and_masked_by_the_segmenter(by_colour: SegmenterFile) -> None:
    picture = encoded(red_and_blue())
    cropped = prepare(picture, InputSpec(SIDE, view="crop", segmenter=by_colour))
    assert cropped.seen is not None
    assert cropped.seen.x == pytest.approx(17, abs=2)
    assert cropped.seen.y == pytest.approx(12, abs=4)
    masked = prepare(picture, InputSpec(SIDE, view="mask", segmenter=by_colour)).pixels
    white = (masked.min(axis=-1) > 220).mean()
    assert white < 0.05
    assert (masked == PADDING).all(axis=-1).mean() > 0.6
    views = prepare(picture, InputSpec(SIDE, view="views", segmenter=by_colour)).pixels
    assert [bool((view != PADDING).any()) for view in views] == [True, False, True, False, True]


def test_given_garments_are_preferred_to_the_segmenter(by_colour: SegmenterFile) -> None:
    spec = InputSpec(SIDE, view="crop", segmenter=by_colour)
    given = prepare(encoded(red_and_blue()), spec, garments=Garments((Box("top", 20, 20, 60, 60),)))
    assert given.seen is not None
    assert given.seen.height < 80


def test_a_picture_in_which_the_segmenter_finds_nothing_is_shown_whole(by_colour: SegmenterFile) -> None:
    blank = encoded(Image.new("RGB", (90, 60), "white"))
    for view in ("crop", "mask", "garment"):
        prepared = prepare(blank, InputSpec(SIDE, view=view, segmenter=by_colour))
        np.testing.assert_array_equal(prepared.pixels, prepare(blank, InputSpec(SIDE)).pixels)


def test_files_that_are_no_segmenter_are_refused_with_the_reason(tmp_path: Path) -> None:
    picture = Image.new("RGB", (9, 9))
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(ArtifactInvalid, match=r"broken\.onnx: expected a segmenter"):
        segment(picture, SegmenterFile.of(tmp_path / "broken.onnx"))
    few = write_pointwise(tmp_path / "few.onnx", BY_COLOUR, SIDE)
    with pytest.raises(ArtifactInvalid, match="3 channels"):
        segment(picture, SegmenterFile.of(few, {"top": (7,)}))
    with pytest.raises(ArtifactInvalid, match=r"\.onnx or \.tflite"):
        SegmenterFile.of(tmp_path / "model.h5")
    with pytest.raises(ArtifactInvalid, match="cannot read"):
        SegmenterFile.of(tmp_path / "missing.onnx")
    with pytest.raises(ArtifactInvalid, match="shoe"):
        SegmenterFile.of(few, {"shoe": (1,)})


def test_a_segmenter_is_the_same_wherever_its_file_lies(by_colour: SegmenterFile, tmp_path: Path) -> None:
    spec = InputSpec(SIDE, view="mask", segmenter=by_colour)
    assert InputSpec.from_json(spec.to_json(), tmp_path / "elsewhere") == spec
    assert InputSpec.from_json(spec.to_json(), by_colour.path.parent).segmenter == by_colour
