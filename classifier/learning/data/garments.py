"""The garments of a picture: their boxes, polygons and attributes."""

from __future__ import annotations

from dataclasses import dataclass

GARMENTS = {"아우터": "outer", "하의": "bottom", "원피스": "dress", "상의": "top"}
"""The garments of K-Fashion, and their names here."""

ATTRIBUTES = {
    "카테고리": "category",
    "색상": "colour",
    "서브색상": "sub_colour",
    "기장": "length",
    "소매기장": "sleeve_length",
    "핏": "fit",
    "넥라인": "neckline",
    "옷깃": "collar",
    "소재": "material",
    "프린트": "print",
    "디테일": "detail",
}
"""The attributes of garments in K-Fashion, and their names here. The values stay in Korean."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around a garment, in pixels of the upright picture, counted from its top left corner."""

    garment: str
    x: float
    y: float
    width: float
    height: float

    def within(self, width: int, height: int) -> Box:
        """Return the part of the box that lies in a picture of this size. It may have no area."""
        left, top = max(0.0, self.x), max(0.0, self.y)
        right, bottom = min(float(width), self.x + self.width), min(float(height), self.y + self.height)
        return Box(self.garment, left, top, max(0.0, right - left), max(0.0, bottom - top))


@dataclass(frozen=True, slots=True)
class Polygon:
    """The outline of a garment: the points (x[i], y[i]), in pixels as in `Box`."""

    garment: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One value of an attribute of a garment, such as ("top", "material", "니트")."""

    garment: str
    name: str
    value: str
