"""The garments of a picture as K-Fashion names them, and their attributes."""

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
class Attribute:
    """One value of an attribute of a garment, such as ("top", "material", "니트")."""

    garment: str
    name: str
    value: str
