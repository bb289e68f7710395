"""A model sees the view of a picture that its input names, with given garments and without."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from classifier.garments import GARMENT_NAMES, Box, Garments, Polygon
from classifier.prepare import PADDING, VIEW_COUNT, InputSpec, View, prepare
from core.errors import ArtifactInvalid
from core.types import Crop

SIZE = 32
RED, BLUE = (200, 20, 20), (20, 20, 200)
TOP, BOTTOM = (40, 20, 90, 70), (50, 80, 80, 150)
"""Left, top, right and bottom of two garments."""


def picture(kind: str = "PNG", scale: int = 1) -> bytes:
    """Return a white picture of 120 x 160 pixels with a red top and a blue bottom."""
    image = Image.new("RGB", (120 * scale, 160 * scale), "white")
    draw = ImageDraw.Draw(image)
    for colour, (left, top, right, bottom) in ((RED, TOP), (BLUE, BOTTOM)):
        draw.rectangle((left * scale, top * scale, right * scale - 1, bottom * scale - 1), fill=colour)
    out = io.BytesIO()
    image.save(out, kind, quality=95)
    return out.getvalue()


def box(garment: str, edges: tuple[int, int, int, int], scale: int = 1) -> Box:
    left, top, right, bottom = (edge * scale for edge in edges)
    return Box(garment, left, top, right - left, bottom - top)


def polygon(garment: str, edges: tuple[int, int, int, int], scale: int = 1) -> Polygon:
    left, top, right, bottom = (float(edge * scale) for edge in edges)
    return Polygon(garment, (left, right, right, left), (top, top, bottom, bottom))


def garments(scale: int = 1) -> Garments:
    pairs = (("top", TOP), ("bottom", BOTTOM))
    return Garments(
        tuple(box(name, edges, scale) for name, edges in pairs),
        tuple(polygon(name, edges, scale) for name, edges in pairs),
    )


def share(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> float:
    """Return the share of pixels that have about this colour."""
    return float((np.abs(pixels.astype(int) - colour).max(axis=-1) < 40).mean())


RIM = 0.06
"""Largest share of pixels that an outline of a garment only touches."""
GREY, WHITE = (PADDING,) * 3, (255,) * 3


def test_the_crop_shows_the_garments_with_a_margin_and_says_where_they_are() -> None:
    prepared = prepare(picture(), InputSpec(SIZE, view="crop"), garments=garments())
    # The union is 50 x 130 pixels at (40, 20), and grows by 5 % on each side.
    assert prepared.seen == Crop(37, 13, 56, 144)
    assert prepared.pixels.shape == (SIZE, SIZE, 3)
    whole = prepare(picture(), InputSpec(SIZE)).pixels
    assert share(prepared.pixels, WHITE) < 0.5 * share(whole, WHITE)
    assert prepared.picture.shape == (32, 24, 3)


def test_the_mask_shows_only_what_is_in_the_polygons() -> None:
    pixels = prepare(picture(), InputSpec(SIZE, view="mask"), garments=garments()).pixels
    whole = prepare(picture(), InputSpec(SIZE)).pixels
    assert share(pixels, WHITE) < RIM < share(whole, WHITE) / 5
    for colour in (RED, BLUE):
        assert share(pixels, colour) == pytest.approx(share(whole, colour), abs=0.02)


def test_garments_are_scaled_with_a_picture_that_is_decoded_at_a_smaller_scale() -> None:
    large = prepare(picture("JPEG", scale=8), InputSpec(SIZE, view="mask"), garments=garments(8))
    small = prepare(picture(), InputSpec(SIZE, view="mask"), garments=garments())
    assert large.info.width == 960
    assert np.abs(large.pixels.astype(int) - small.pixels).mean() < 4
    cropped = prepare(picture("JPEG", scale=8), InputSpec(SIZE, view="crop"), garments=garments(8))
    assert cropped.seen is not None
    assert cropped.seen.x == pytest.approx(8 * 37.5, abs=8)
    assert cropped.seen.within(960, 1280)


def test_the_views_are_the_whole_picture_and_each_garment_and_absent_ones_are_grey() -> None:
    pixels = prepare(picture(), InputSpec(SIZE, view="views"), garments=garments()).pixels
    assert pixels.shape == (VIEW_COUNT, SIZE, SIZE, 3)
    np.testing.assert_array_equal(pixels[0], prepare(picture(), InputSpec(SIZE)).pixels)
    shown = dict(zip(GARMENT_NAMES, pixels[1:], strict=True))
    assert share(shown["top"], RED) > 0.6
    assert share(shown["bottom"], BLUE) > 0.3
    assert share(shown["top"], BLUE) == share(shown["bottom"], RED) == 0.0
    assert share(shown["outer"], GREY) == share(shown["dress"], GREY) == 1.0


def test_a_garment_is_shown_as_its_crop_and_a_picture_without_a_crop_by_all_its_garments() -> None:
    spec = InputSpec(SIZE, view="garment")
    crop = box("top", TOP).crop(120, 160)
    assert crop == Crop(40, 20, 50, 50)
    pixels = prepare(picture(), spec, crop).pixels
    assert share(pixels, RED) == 1.0
    np.testing.assert_array_equal(pixels, prepare(picture(), InputSpec(SIZE), crop).pixels)
    both = prepare(picture(), spec, garments=garments())
    assert both.seen == Crop(40, 20, 50, 130)


def test_a_crop_moves_the_garments_with_it() -> None:
    crop = Crop(30, 70, 60, 90)
    pixels = prepare(picture(), InputSpec(SIZE, view="mask"), crop, garments()).pixels
    assert share(pixels, WHITE) < RIM
    assert share(pixels, RED) == 0.0
    assert share(pixels, BLUE) > 0.2
    seen = prepare(picture(), InputSpec(SIZE, view="crop"), crop, Garments((box("bottom", BOTTOM),))).seen
    assert seen == Crop(48, 76, 34, 78)


@pytest.mark.parametrize("view", ["crop", "mask", "views", "garment"])
@pytest.mark.parametrize(
    "useless",
    [
        Garments(),
        Garments((Box("top", 10, 10, 0, 5), Box("top", 500, 10, 9, 9), Box("top", math.nan, 0, 9, 9))),
        Garments((), (Polygon("top", (1.0, 9.0), (1.0, 9.0)), Polygon("top", (), ()))),
        Garments((), (Polygon("top", (-90.0, -80.0, -70.0), (1.0, 50.0, 9.0)),)),
        Garments((), (Polygon("top", (5.0, 5.0, 5.0), (1.0, 50.0, 9.0)),)),
        Garments((Box("shoe", 10, 10, 50, 50),)),
    ],
)
def test_garments_that_cover_no_pixel_leave_the_picture_whole(view: View, useless: Garments) -> None:
    prepared = prepare(picture(), InputSpec(SIZE, view=view), garments=useless)
    shown = prepared.pixels[0] if view == "views" else prepared.pixels
    np.testing.assert_array_equal(shown, prepare(picture(), InputSpec(SIZE)).pixels)
    assert prepared.seen is None


def test_a_polygon_that_leaves_the_picture_shows_its_part_inside() -> None:
    wild = Garments((), (Polygon("top", (-1e30, 60.0, 60.0, math.inf, -1e30), (-50.0, -50.0, 900.0, 3.0, 900.0)),))
    pixels = prepare(picture(), InputSpec(SIZE, view="mask"), garments=wild).pixels
    assert share(pixels[:, :15], GREY) < 0.35
    assert share(pixels[:, 17:], GREY) == 1.0


def test_a_garment_without_a_polygon_is_masked_by_its_box_and_one_without_a_box_cropped_by_its_polygon() -> None:
    only_boxes, only_polygons = Garments(garments().boxes), Garments((), garments().polygons)
    by_box = prepare(picture(), InputSpec(SIZE, view="mask"), garments=only_boxes).pixels
    assert share(by_box, WHITE) < RIM
    assert share(by_box, RED) > 0.05
    by_polygon = prepare(picture(), InputSpec(SIZE, view="crop"), garments=only_polygons)
    assert by_polygon.seen == Crop(37, 13, 56, 144)


def test_an_input_says_its_view_and_whole_pictures_keep_the_form_of_earlier_artifacts() -> None:
    assert InputSpec(224).to_json() == {"size": 224, "resize": "pad", "colour": "srgb"}
    views = InputSpec(224, view="views")
    assert views.to_json()["view"] == "views"
    assert InputSpec.from_json(views.to_json(), Path()) == views
    assert views.byte_count == VIEW_COUNT * InputSpec(224).byte_count


@pytest.mark.parametrize(
    "change",
    [{"view": "half"}, {"view": "crop", "segmenter": {"file": "a.onnx"}}, {"segmenter": {}}, {"views": 3}],
)
def test_an_input_with_an_unknown_view_or_an_incomplete_segmenter_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ArtifactInvalid, match=r"input\.json"):
        InputSpec.from_json(InputSpec(SIZE).to_json() | change, Path())
