"""Reads the label files of the AI Hub set K-Fashion: one JSON file for each picture.

The files come from downloads, so every part of one may be missing, of another type or hostile. Reading never raises an
error: it returns what is readable, and counts the irregularities.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from classifier.garments import Box, Polygon
from classifier.learning.data.garments import ATTRIBUTES, GARMENTS, Attribute
from classifier.learning.data.irregularities import Irregularity
from core.sources.names import storable

MAX_LABEL_BYTES = 4 * 2**20
"""Maximum size of a label file. The files of K-Fashion have a few thousand bytes."""

_BYTE_ORDER_MARK = "\ufeff"
_NON_BREAKING_SPACE = "\u00a0"
_VALUE_VARIANTS = {"노말": "노멀"}
_MAX_COORDINATE = 1e7
"""Larger numbers are no positions in a picture, and could overflow float32 arithmetic."""
_POINT = re.compile(r"([XY])좌표(\d{1,6})")
_BOX_KEYS = ("X좌표", "Y좌표", "가로", "세로")


@dataclass(slots=True)
class LabelFile:
    """The readable parts of a label file, or of a line of a manifest. `found` counts the irregularities of the file."""

    identifier: str | None = None
    file_names: list[str] = field(default_factory=list)
    """The names that the file gives its picture."""
    width: int | None = None
    height: int | None = None
    style: str | None = None
    sub_styles: list[str] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    polygons: list[Polygon] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    kind: str = "given"
    """`given` by the dataset; or, in a manifest, `verified` or `weak`."""
    product: str | None = None
    """The product, if a manifest names it."""
    found: Counter[Irregularity] = field(default_factory=Counter)


def read_label_file(data: bytes) -> LabelFile:
    """Return the readable parts of a label file."""
    label = LabelFile()
    try:
        text = unicodedata.normalize("NFC", data.decode("utf-8"))
        if text.startswith(_BYTE_ORDER_MARK):
            label.found[Irregularity.BYTE_ORDER_MARK] += 1
            text = text[1:]
        content = json.loads(text)
    except (ValueError, RecursionError):
        label.found[Irregularity.INVALID_LABEL_FILE] += 1
        return label
    _Reader(label).read(content)
    return label


class _Reader:
    """Fills a label file from the content of its JSON."""

    def __init__(self, label: LabelFile) -> None:
        self._label = label
        self._valid = True

    def read(self, content: Any) -> None:
        picture = self._part(content, "이미지 정보")
        details = self._part(self._part(content, "데이터셋 정보"), "데이터셋 상세설명")
        self._read_picture(picture, content)
        labelling = self._part(details, "라벨링")
        self._read_styles(labelling)
        for korean, garment in GARMENTS.items():
            for shape in self._dicts(self._part(details, "렉트좌표"), korean):
                self._read_box(garment, shape)
            for shape in self._dicts(self._part(details, "폴리곤좌표"), korean):
                self._read_polygon(garment, shape)
            for values in self._dicts(labelling, korean):
                self._read_attributes(garment, values)
        if not self._valid:
            self._label.found[Irregularity.INVALID_LABEL_FILE] += 1

    def _part(self, whole: Any, key: str) -> dict[str, Any]:
        part = whole.get(key) if isinstance(whole, dict) else None
        if isinstance(part, dict):
            return part
        self._valid = False
        return {}

    def _dicts(self, whole: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
        """Yield the objects of a list that are not empty. A missing garment has no list, or the list `[{}]`."""
        rows = whole.get(key)
        for row in rows if isinstance(rows, list) else [rows]:
            if isinstance(row, dict):
                if row:
                    yield row
            elif row is not None:
                self._valid = False

    def _text(self, value: Any) -> str | None:
        if not isinstance(value, str):
            self._valid &= value is None
            return None
        if _NON_BREAKING_SPACE in value:
            self._label.found[Irregularity.NON_BREAKING_SPACE] += 1
            value = value.replace(_NON_BREAKING_SPACE, " ")
        return storable(value).strip() or None

    def _read_picture(self, picture: dict[str, Any], content: Any) -> None:
        identifier = picture.get("이미지 식별자")
        if isinstance(identifier, int) and not isinstance(identifier, bool) and abs(identifier) < 2**63:
            self._label.identifier = str(identifier)
        else:
            self._label.identifier = self._text(identifier)
        names = (picture.get("이미지 파일명"), content.get("파일 이름") if isinstance(content, dict) else None)
        self._label.file_names = [name for name in map(self._text, names) if name]
        self._label.width, self._label.height = (_size(picture.get(key)) for key in ("이미지 너비", "이미지 높이"))

    def _read_styles(self, labelling: dict[str, Any]) -> None:
        styles: list[str] = []
        for row in self._dicts(labelling, "스타일"):
            styles += filter(None, [self._text(row.get("스타일"))])
            self._label.sub_styles += filter(None, [self._text(row.get("서브스타일"))])
        if styles:
            self._label.style = styles[0]
            if len(styles) > 1:
                self._label.found[Irregularity.SEVERAL_STYLES] += 1
                self._label.sub_styles[:0] = styles[1:]

    def _number(self, value: Any) -> float | None:
        if isinstance(value, str):
            self._label.found[Irregularity.COORDINATE_AS_TEXT] += 1
        elif isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) and abs(number) <= _MAX_COORDINATE else None

    def _read_box(self, garment: str, shape: dict[str, Any]) -> None:
        numbers = [self._number(shape.get(key)) for key in _BOX_KEYS]
        x, y, width, height = numbers
        if x is None or y is None or width is None or height is None:
            self._label.found[Irregularity.INVALID_COORDINATE] += 1
        elif width <= 0 or height <= 0:
            self._label.found[Irregularity.ZERO_AREA_BOX] += 1
        else:
            self._label.boxes.append(Box(garment, x, y, width, height))

    def _read_polygon(self, garment: str, shape: dict[str, Any]) -> None:
        points: defaultdict[int, dict[str, float | None]] = defaultdict(dict)
        for key, value in shape.items():
            if match := _POINT.fullmatch(key):
                points[int(match[2])][match[1]] = self._number(value)
        ordered = [(points[number].get("X"), points[number].get("Y")) for number in sorted(points)]
        complete = [(x, y) for x, y in ordered if x is not None and y is not None]
        if len(complete) < max(3, len(ordered)):
            self._label.found[Irregularity.INVALID_COORDINATE] += 1
        else:
            self._label.polygons.append(Polygon(garment, *zip(*complete, strict=True)))

    def _read_attributes(self, garment: str, values: dict[str, Any]) -> None:
        for key, value in values.items():
            name = ATTRIBUTES.get(key.replace(_NON_BREAKING_SPACE, " ").strip(), storable(key))
            for text in map(self._text, value if isinstance(value, list) else [value]):
                if text in _VALUE_VARIANTS:
                    self._label.found[Irregularity.VALUE_VARIANT] += 1
                if text:
                    self._label.attributes.append(Attribute(garment, name, _VALUE_VARIANTS.get(text, text)))


def _size(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
