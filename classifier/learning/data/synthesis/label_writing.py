"""Writes the label files of synthetic pictures, with the keys of the AI Hub set K-Fashion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from classifier.learning.data.synthesis.cloths import PATTERNS
from classifier.learning.data.synthesis.details import DETAILS
from classifier.learning.data.synthesis.drawing import Colour
from classifier.learning.data.synthesis.picture import Drawn, SeenGarment
from classifier.learning.data.synthesis.plan import Planned
from classifier.learning.data.synthesis.wardrobe import WARDROBE, Slot

COLOUR_NAMES: Mapping[str, Colour] = {
    "블랙": (24, 24, 26),
    "화이트": (248, 248, 248),
    "그레이": (140, 142, 146),
    "레드": (200, 30, 40),
    "핑크": (250, 170, 200),
    "오렌지": (230, 120, 40),
    "베이지": (222, 204, 176),
    "브라운": (120, 76, 46),
    "옐로우": (246, 214, 70),
    "그린": (60, 130, 70),
    "카키": (104, 102, 62),
    "민트": (130, 210, 200),
    "블루": (40, 90, 210),
    "네이비": (32, 42, 84),
    "스카이블루": (140, 190, 230),
    "퍼플": (110, 50, 160),
    "라벤더": (200, 180, 230),
    "와인": (116, 24, 50),
}
"""The values of 색상 in K-Fashion that synthetic garments use, with a colour that each stands for."""


def label_content(planned: Planned, drawn: Drawn) -> dict[str, Any]:
    """Return the content of a label file."""
    name = f"{planned.name}.jpg"
    row = {"스타일": planned.style, "서브스타일": planned.sub_style} if planned.style is not None else {}
    number = planned.identifier
    return {
        "이미지 정보": {
            "이미지 식별자": number,
            "이미지 높이": drawn.height,
            "이미지 파일명": name,
            "이미지 너비": drawn.width,
        },
        "데이터셋 정보": {
            "파일 생성일자": f"2020-{number % 12 + 1:02}-{number % 28 + 1:02} {number % 24:02}:{number % 60:02}:00",
            "데이터셋 상세설명": {
                "렉트좌표": {slot.value: _or_empty(_boxes(drawn, slot)) for slot in Slot},
                "폴리곤좌표": {slot.value: _or_empty(_polygons(planned, drawn, slot)) for slot in Slot},
                "라벨링": {
                    "스타일": [{key: value for key, value in row.items() if value is not None}],
                    **{slot.value: _or_empty([_attributes(g) for g in _worn(drawn, slot)]) for slot in Slot},
                },
            },
            "파일 번호": number,
            "파일 이름": name,
        },
    }


def encode_label(content: object) -> bytes:
    """Return the bytes of a label file."""
    return json.dumps(content, ensure_ascii=False).encode()


def _worn(drawn: Drawn, slot: Slot) -> list[SeenGarment]:
    return [garment for garment in drawn.garments if WARDROBE[garment.dressed.garment].slot is slot]


def _or_empty(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows, or the list `[{}]` that stands for an absent garment."""
    return rows or [{}]


def _boxes(drawn: Drawn, slot: Slot) -> list[dict[str, Any]]:
    return [dict(zip(("X좌표", "Y좌표", "가로", "세로"), garment.box, strict=True)) for garment in _worn(drawn, slot)]


def _polygons(planned: Planned, drawn: Drawn, slot: Slot) -> list[dict[str, Any]]:
    """Return the polygons of a kind of garment. The real files have the keys in no order, so they are shuffled."""
    random = np.random.default_rng([planned.shot.seed, planned.identifier, list(Slot).index(slot)])
    rows = []
    for polygon in (polygon for garment in _worn(drawn, slot) for polygon in garment.polygons):
        pairs: list[tuple[str, int]] = []
        for number, (x, y) in enumerate(polygon, 1):
            pairs += [(f"X좌표{number}", x), (f"Y좌표{number}", y)]
        rows.append({pairs[k][0]: pairs[k][1] for k in random.permutation(len(pairs)).tolist()})
    return rows


def _attributes(seen: SeenGarment) -> dict[str, Any]:
    garment, fabric = WARDROBE[seen.dressed.garment], seen.dressed.fabric
    pattern = PATTERNS[fabric.pattern]
    row: dict[str, Any] = {"카테고리": garment.category, "색상": colour_name(fabric.ground)}
    if pattern.print_name != "무지":
        row["서브색상"] = colour_name(fabric.print)
    optional = {"기장": garment.length, "소매기장": garment.sleeve, "핏": garment.fit}
    optional |= {"넥라인": garment.neckline, "옷깃": garment.collar}
    row |= {key: value for key, value in optional.items() if value}
    row |= {"소재": [pattern.material or garment.material], "프린트": [pattern.print_name]}
    if garment.details:
        row["디테일"] = list(dict.fromkeys(DETAILS[name][1] for name in garment.details))
    return row


def colour_name(colour: Colour) -> str:
    """Return the value of 색상 whose colour is nearest."""
    return min(
        COLOUR_NAMES, key=lambda name: sum((a - b) ** 2 for a, b in zip(COLOUR_NAMES[name], colour, strict=True))
    )
