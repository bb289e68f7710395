"""The garments that synthetic figures wear, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from classifier.learning.data.synthesis.cuts import Worn, joined, open_front, pants, skirt, upper
from classifier.learning.data.synthesis.details import DETAILS
from classifier.learning.data.synthesis.figure import Body


class Slot(StrEnum):
    """The four kinds of garment that a label file of K-Fashion knows."""

    OUTER = "아우터"
    BOTTOM = "하의"
    DRESS = "원피스"
    TOP = "상의"


@dataclass(frozen=True, slots=True)
class Garment:
    """A garment: how it is cut, and the words with which a label file describes it."""

    slot: Slot
    category: str
    """카테고리"""
    make: Callable[[Body], Worn]
    length: str = "노멀"
    """기장"""
    fit: str = "노멀"
    """핏"""
    sleeve: str = ""
    """소매기장; empty for garments without arms."""
    neckline: str = ""
    """넥라인"""
    collar: str = ""
    """옷깃"""
    material: str = "우븐"
    """소재, unless the pattern has its own."""
    details: tuple[str, ...] = ()
    pattern: str = ""
    """The pattern that this garment always has, such as denim. Empty: any."""

    def wear(self, body: Body) -> Worn:
        """Return the garment's pieces on a body."""
        worn = self.make(body)
        for name in self.details:
            DETAILS[name][0](body, worn)
        return worn


_SLEEVE_WORDS = {
    "none": "민소매",
    "cap": "캡",
    "short": "반팔",
    "elbow": "반팔",
    "three-quarter": "7부소매",
    "long": "긴팔",
}
_NECK_WORDS = {
    "crew": "라운드넥",
    "v": "브이넥",
    "square": "스퀘어넥",
    "turtle": "터틀넥",
    "hood": "후드",
    "boat": "보트넥",
    "off-shoulder": "오프숄더",
    "straps": "스퀘어넥",
    "halter": "홀토넥",
}
_COLLAR_WORDS = {"collar": "셔츠칼라", "mandarin": "차이나칼라"}


def _fit(ease: float) -> str:
    return "타이트" if ease < 4 else "노멀" if ease < 16 else "루즈" if ease < 26 else "오버사이즈"


def _top(category: str, *details: str, material: str = "우븐", **measures: float | str) -> Garment:
    hem, ease = float(measures.get("hem", 478)), float(measures.get("ease", 8))
    neck, sleeve = str(measures.get("neck", "crew")), str(measures.get("sleeve", "long"))
    return Garment(
        Slot.TOP,
        category,
        partial(upper, **measures),  # type: ignore[arg-type]
        "크롭" if hem < 400 else "노멀" if hem < 520 else "롱",
        _fit(ease),
        _SLEEVE_WORDS[sleeve],
        _NECK_WORDS.get(neck, ""),
        _COLLAR_WORDS.get(neck, ""),
        material,
        details,
    )


def _outer(
    category: str, *details: str, collar: str = "", material: str = "우븐", pattern: str = "", **measures: float | str
) -> Garment:
    hem, ease = float(measures.get("hem", 500)), float(measures.get("ease", 16))
    sleeve = str(measures.get("sleeve", "long"))
    return Garment(
        Slot.OUTER,
        category,
        partial(open_front, **measures),  # type: ignore[arg-type]
        "크롭" if hem < 410 else "노멀" if hem < 560 else "하프" if hem < 660 else "롱",
        _fit(ease),
        _SLEEVE_WORDS[sleeve],
        "",
        collar,
        material,
        details,
        pattern,
    )


def _trousers(
    category: str, fit: str, *details: str, material: str = "우븐", pattern: str = "", **measures: float
) -> Garment:
    length = measures.get("length", 0.96)
    word = "미니" if length < 0.4 else "니렝스" if length < 0.7 else "발목"
    make = partial(pants, **measures)  # type: ignore[arg-type]
    return Garment(Slot.BOTTOM, category, make, word, fit, "", "", "", material, details, pattern)


def _skirt(*details: str, material: str = "우븐", pattern: str = "", fit: str = "노멀", **measures: float) -> Garment:
    make = partial(skirt, **measures)  # type: ignore[arg-type]
    word = _skirt_length(measures.get("hem", 700))
    return Garment(Slot.BOTTOM, "스커트", make, word, fit, "", "", "", material, details, pattern)


def _skirt_length(hem: float) -> str:
    return "미니" if hem < 670 else "니렝스" if hem < 740 else "미디" if hem < 850 else "맥시"


def _dress(
    *details: str, top: Mapping[str, float | str], below: Mapping[str, float], fit: str = "노멀", material: str = "우븐"
) -> Garment:
    def make(body: Body) -> Worn:
        measures = {"hem": 404.0, "ease": 4.0, **top}
        return joined(upper(body, **measures), skirt(body, **below))  # type: ignore[arg-type]

    neck, sleeve = str(top.get("neck", "crew")), str(top.get("sleeve", "long"))
    return Garment(
        Slot.DRESS,
        "드레스",
        make,
        _skirt_length(below.get("hem", 700)),
        fit,
        _SLEEVE_WORDS[sleeve],
        _NECK_WORDS.get(neck, ""),
        _COLLAR_WORDS.get(neck, ""),
        material,
        details,
    )


WARDROBE: Mapping[str, Garment] = {
    # Tops
    "tee": _top("티셔츠", sleeve="short", material="저지"),
    "tank": _top("탑", sleeve="none", neck="square", ease=3, material="저지"),
    "boxy tee": _top("티셔츠", sleeve="elbow", ease=24, sleeve_ease=16, hem=500, material="저지"),
    "graphic tee": _top("티셔츠", "logo", sleeve="elbow", ease=22, sleeve_ease=15, hem=506, material="저지"),
    "jersey": _top("티셔츠", "number", sleeve="elbow", ease=34, sleeve_ease=22, hem=560, neck="v", material="메시"),
    "shirt": _top("셔츠", "buttons", neck="collar"),
    "wide shirt": _top("셔츠", "buttons", "chest pockets", neck="collar", ease=24, hem=540, sleeve_ease=14),
    "blouse": _top("블라우스", "bow", neck="boat", puff=16, ease=6, material="시폰"),
    "lace blouse": _top("블라우스", "ruffles", neck="mandarin", puff=20, ease=8, material="레이스"),
    "silk blouse": _top("블라우스", neck="v", ease=12, sleeve_ease=10, material="실크"),
    "bell blouse": _top("블라우스", neck="v", sleeve_end=34, ease=8, hem=500),
    "knit": _top("니트웨어", "ribbing", ease=14, sleeve_ease=10, material="니트"),
    "turtleneck": _top("니트웨어", neck="turtle", ease=4, sleeve_ease=3, material="니트"),
    "knit vest": _top("베스트", neck="v", sleeve="none", ease=9, material="니트"),
    "hoodie": _top(
        "후드티", "hip pockets", "logo", "ribbing", neck="hood", ease=30, hem=528, sleeve_ease=18, material="저지"
    ),
    "crop top": _top("브라탑", neck="straps", sleeve="none", ease=1, hem=336, material="스판덱스"),
    "bare shoulders": _top("탑", neck="off-shoulder", ease=2, hem=396, puff=10, sleeve="three-quarter"),
    "halter": _top("탑", neck="halter", sleeve="none", ease=1, hem=380, material="저지"),
    "sports top": _top("티셔츠", "sleeve stripes", ease=6, neck="mandarin", material="스판덱스"),
    "mandarin top": _top("블라우스", "knots", neck="mandarin", sleeve="three-quarter", ease=6, sleeve_end=6),
    "wrap top": _top("블라우스", "crossed front", "sash", neck="v", sleeve_end=30, ease=8, material="자카드"),
    "slanted top": _top("탑", "one-sided panel", neck="turtle", ease=16, hem=520, sleeve_end=16, sleeve_ease=14),
    "split top": _top("니트웨어", "half and half", ease=10, hem=500),
    # Outer garments
    "trench": _outer(
"코트", "tied belt", "double-breasted", collar="너치드칼라", hem=720, hem_ease=44, lapels=290, gap=12
),
    "coat": _outer("코트", collar="너치드칼라", hem=740, hem_ease=26, lapels=330),
    "wrap coat": _outer("코트", "tied belt", collar="숄칼라", hem=760, hem_ease=34, gap=16, lapels=380, ease=22),
    "blazer": _outer("재킷", "hip pockets", collar="테일러드칼라", hem=512, lapels=350, gap=20),
    "school blazer": _outer("재킷", "emblem", "hip pockets", collar="테일러드칼라", hem=496, lapels=340, gap=20),
    "wide blazer": _outer(
        "재킷", "double-breasted", "hip pockets", collar="테일러드칼라", hem=560, ease=30, hem_ease=30, lapels=340
    ),
    "cardigan": _outer("가디건", "ribbing", material="니트", hem=486, gap=16),
    "moto jacket": _outer(
        "재킷", "studs", collar="너치드칼라", material="가죽", pattern="leather", hem=420, lapels=270, ease=10
    ),
    "denim jacket": _outer(
        "재킷", "chest pockets", "ribbing", collar="셔츠칼라", material="데님", pattern="denim", hem=440, lapels=200
    ),
    "field jacket": _outer(
        "점퍼", "chest pockets", "hip pockets", "belt", collar="셔츠칼라", hem=548, lapels=200, hem_ease=20
    ),
    "bomber": _outer("점퍼", "ribbing", ease=26, hem=470, sleeve_ease=18, hem_ease=12),
    "track jacket": _outer("짚업", "zip", "sleeve stripes", "ribbing", ease=14, hem=478, gap=10, hem_gap=14),
    "puffer": _outer("패딩", "quilting", ease=34, hem=490, sleeve_ease=24, material="패딩"),
    "suede jacket": _outer("재킷", "fringe", hem=470, material="스웨이드", pattern="suede"),
    "robe": _outer("가디건", "sash", hem=700, sleeve_ease=22, sleeve_end=34, gap=8, hem_ease=20, material="자카드"),
    "cocoon coat": _outer("코트", ease=62, hem=690, hem_ease=6, sleeve_ease=36, lapels=400, gap=30),
    "quilted vest": _outer("베스트", "quilting", sleeve="none", hem=480, material="패딩"),
    # Trousers and skirts
    "slacks": _trousers("팬츠", "노멀", hem=9, knee=9),
    "wide pants": _trousers("팬츠", "와이드", hip=10, knee=26, hem=36),
    "skinny": _trousers("팬츠", "스키니", hip=1, knee=1, hem=1),
    "jeans": _trousers("청바지", "노멀", "turned up", material="데님", pattern="denim", knee=10, hem=12),
    "wide jeans": _trousers("청바지", "와이드", material="데님", pattern="denim", hip=12, knee=28, hem=32),
    "bell-bottoms": _trousers("팬츠", "벨보텀", hip=0, knee=2, hem=48, length=1.0),
    "ripped skinny": _trousers("팬츠", "스키니", "rips", hip=1, knee=1, hem=1),
    "joggers": _trousers("조거팬츠", "루즈", hip=9, knee=18, hem=4, length=0.93, material="저지"),
    "track pants": _trousers("조거팬츠", "노멀", "side stripes", hip=5, knee=10, hem=6),
    "leggings": _trousers("래깅스", "스키니", "side stripes", hip=0, knee=0, hem=0, length=0.9, material="스판덱스"),
    "cargo": _trousers("팬츠", "루즈", "cargo pockets", "belt", hip=10, knee=20, hem=14),
    "baggy pants": _trousers("팬츠", "와이드", hip=22, knee=40, hem=36, rise=420),
    "shorts": _trousers("팬츠", "루즈", length=0.3, knee=18, hem=20, hip=8),
    "denim shorts": _trousers("청바지", "노멀", material="데님", pattern="denim", length=0.24, knee=14, hem=13, hip=4),
    "pleated mini": _skirt(hem=620, flare=44, pleats=14),
    "mini skirt": _skirt(hem=600, flare=12),
    "leather mini": _skirt("studs", hem=610, flare=16, material="가죽", pattern="leather"),
    "pencil skirt": _skirt(hem=716, flare=-12, fit="타이트"),
    "midi skirt": _skirt(hem=776, flare=74, pleats=8),
    "maxi skirt": _skirt(hem=900, flare=84, tiers=3),
    "silk skirt": _skirt(hem=800, flare=20, material="실크"),
    "slanted skirt": _skirt(hem=700, flare=60, slant=180, fit="루즈"),
    "suede skirt": _skirt("fringe", hem=660, flare=22, material="스웨이드", pattern="suede"),
    # Dresses and overalls
    "flared dress": _dress(top={"neck": "v", "sleeve": "short", "puff": 8}, below={"hem": 750, "flare": 70}),
    "ruffled dress": _dress(
        "ruffles",
        "bow",
        top={"neck": "mandarin", "puff": 22},
        below={"hem": 760, "flare": 90, "tiers": 3},
        material="레이스",
    ),
    "tight dress": _dress(
        top={"neck": "off-shoulder", "sleeve": "none", "ease": 1},
        below={"hem": 596, "flare": 0},
        fit="타이트",
        material="스판덱스",
    ),
    "slip dress": _dress(
        top={"neck": "straps", "sleeve": "none", "ease": 2}, below={"hem": 640, "flare": 14}, material="실크"
    ),
    "sun dress": _dress(
        top={"neck": "straps", "sleeve": "none"}, below={"hem": 910, "flare": 96, "tiers": 2}, material="린넨"
    ),
    "qipao": _dress(
        "knots",
        top={"neck": "mandarin", "sleeve": "cap", "ease": 2},
        below={"hem": 800, "flare": 0, "slit": 1},
        fit="타이트",
        material="실크",
    ),
    "prairie dress": _dress(
        "buttons", top={"neck": "collar", "puff": 14}, below={"hem": 860, "flare": 80, "tiers": 2}, material="린넨"
    ),
    "shift dress": _dress(
        top={"neck": "collar", "sleeve": "short", "ease": 14}, below={"hem": 620, "flare": 40}, fit="루즈"
    ),
    "caftan": _dress(
        top={"neck": "v", "sleeve_end": 44, "ease": 14}, below={"hem": 890, "flare": 70}, fit="오버사이즈"
    ),
    "cocoon dress": _dress(
        "one-sided panel",
        top={"neck": "turtle", "ease": 40, "sleeve_ease": 26},
        below={"hem": 760, "flare": 30, "slant": 90},
        fit="오버사이즈",
    ),
    "overalls": Garment(
        Slot.DRESS, "점프수트", partial(pants, knee=16, hem=18, hip=8), "발목", "루즈", "민소매",
        material="데님", details=("bib", "hip pockets"), pattern="denim",
    ),
}  # fmt: skip
