"""Rows of single garments: each garment box of a picture becomes a picture of its own, with the label of the whole."""

from __future__ import annotations

from typing import Any

from classifier.garments import Box
from classifier.learning.data.index import PictureIndex


def one_row_per_garment(index: PictureIndex) -> PictureIndex:
    """Return an index with a row for each garment box that covers a pixel of its picture.

    The row has only this box and no polygons, and the number and the name of the garment at the end of its key. A
    picture without such a box keeps its row, without boxes.
    """
    positions: list[int] = []
    keys: list[str] = []
    boxes: list[list[dict[str, Any]]] = []
    columns = [index.column(name) for name in ("key", "boxes", "width", "height")]
    for position, (key, given, width, height) in enumerate(zip(*columns, strict=True)):
        usable = [box for box in given if Box(**box).crop(width, height)]
        positions.extend([position] * max(1, len(usable)))
        keys.extend([f"{key} {number} {box['garment']}" for number, box in enumerate(usable, 1)] or [key])
        boxes.extend([[box] for box in usable] or [[]])
    rows = index.take(positions)
    return rows.with_column("key", keys).with_column("boxes", boxes).with_column("polygons", [[] for _ in keys])
