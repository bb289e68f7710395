from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier.explanation import heat_map
from core.types import Crop, PictureInfo


def opacity(png: bytes) -> NDArray[np.uint8]:
    """Return the alpha channel of a picture, uint8 [height, width]."""
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.mode) == ("PNG", "RGBA")
        return np.asarray(image)[:, :, 3]


def hot(row: int, column: int, cells: int = 7) -> NDArray[np.float32]:
    activation = np.full((cells, cells), -1.0, np.float32)
    activation[row, column] = 3.0
    return activation


def hottest(png: bytes) -> tuple[float, float]:
    """Return the centre of all pixels at least half as hot as the hottest one, as shares of height and width."""
    alpha = opacity(png)
    rows, columns = np.nonzero(alpha >= alpha.max() / 2)
    return float(rows.mean() / alpha.shape[0]), float(columns.mean() / alpha.shape[1])


def test_the_heat_map_has_the_shape_of_the_picture_and_the_size_of_a_thumbnail() -> None:
    assert opacity(heat_map(hot(3, 3), 224, PictureInfo("jpeg", 1600, 800))).shape == (160, 320)
    assert opacity(heat_map(hot(3, 3), 224, PictureInfo("jpeg", 60, 100))).shape == (100, 60)


def test_heat_lies_where_the_model_saw_the_label() -> None:
    top, left = hottest(heat_map(hot(1, 5), 224, PictureInfo("jpeg", 700, 700)))
    assert abs(top - 1.5 / 7) < 0.04
    assert abs(left - 5.5 / 7) < 0.04


def test_the_heat_map_leaves_out_the_padding_of_a_wide_picture() -> None:
    # A picture twice as wide as high fills rows 56 to 168 of 224, so the third row of cells holds its upper edge.
    top, left = hottest(heat_map(hot(2, 3), 224, PictureInfo("jpeg", 800, 400)))
    assert abs(top - (2.5 * 32 - 56) / 112) < 0.05
    assert abs(left - 0.5) < 0.04


def test_the_heat_map_is_empty_outside_the_crop() -> None:
    png = heat_map(hot(1, 0), 224, PictureInfo("jpeg", 300, 200), Crop(100, 50, 200, 150))
    alpha = opacity(png)
    assert alpha.shape == (200, 300)
    assert not alpha[:50].any()
    assert not alpha[:, :100].any()
    assert alpha[55:80, 102:122].mean() > 80
    assert not alpha[150:].any()


def test_without_positive_evidence_the_least_negative_place_is_shown() -> None:
    activation = np.full((7, 7), -5.0, np.float32)
    activation[6, 6] = -1.0
    top, left = hottest(heat_map(activation, 224, PictureInfo("jpeg", 300, 300)))
    assert top > 0.8
    assert left > 0.8


def test_a_map_without_differences_is_fully_transparent() -> None:
    assert not opacity(heat_map(np.full((7, 7), -2.0, np.float32), 224, PictureInfo("jpeg", 30, 30))).any()
