"""The 23 styles of K-Fashion, as the drawn figures wear them.

A style is a set of looks (which garments are worn together), fabrics for the garment that catches the eye and for the
quieter ones, shoes and extras. Styles of one group share colours, cuts or shoes, so that they resemble each other more
than styles of different groups do. The choice is the authors' reading of the names; no picture of the real set was
used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from classifier.learning.data.synthesis.style import (
    BLACK,
    CAMEL,
    CHARCOAL,
    GOLD,
    IVORY,
    NAVY,
    RED,
    STONE,
    WHITE,
    WINE,
    Fabric,
    Style,
)
from classifier.learning.data.synthesis.style import fabric as _f
from classifier.learning.data.synthesis.styles_of_today import STYLES_OF_TODAY

STYLES: Sequence[Style] = (
    # Traditional: navy and cream, collars, loafers
    Style(
        "classic",
        "traditional",
        looks=(
            ("shirt", "slacks", "trench"),
            ("turtleneck", "pencil skirt", "coat"),
            ("shirt", "midi skirt", "blazer"),
            ("knit", "slacks", "coat"),
        ),
        loud=(_f("plain", CAMEL), _f("houndstooth", IVORY, (92, 66, 44)), _f("tweed", CAMEL, IVORY)),
        quiet=(_f("plain", IVORY), _f("plain", (98, 66, 42)), _f("ribs", IVORY, CAMEL)),
        shoes=("loafers", "heels"),
        extras=("handbag", "scarf"),
    ),
    Style(
        "preppy",
        "traditional",
        looks=(
            ("shirt", "pleated mini", "school blazer"),
            ("shirt", "pleated mini", "knit vest"),
            ("shirt", "slacks", "school blazer"),
            ("shirt", "pleated mini", "cardigan"),
        ),
        loud=(_f("plain", NAVY), _f("argyle", NAVY, (180, 40, 56)), _f("plain", (26, 62, 120))),
        quiet=(_f("tartan", NAVY, (160, 36, 48)), _f("tartan", (24, 44, 104), (232, 222, 200)), _f("plain", WHITE)),
        shoes=("loafers",),
        extras=("tie", "socks"),
    ),
    # Mannish: greys and blues, straight lines, flat shoes
    Style(
        "mannish",
        "mannish",
        looks=(
            ("shirt", "wide pants", "wide blazer"),
            ("shirt", "slacks", "blazer"),
            ("turtleneck", "wide pants", "coat"),
        ),
        loud=(
            _f("pinstripes", CHARCOAL, (150, 152, 158)),
            _f("plain", CHARCOAL),
            _f("pinstripes", (84, 90, 104), (40, 44, 54)),
        ),
        quiet=(_f("plain", (112, 116, 124)), _f("plain", (206, 214, 226)), _f("pinstripes", CHARCOAL, (150, 152, 158))),
        shoes=("loafers", "boots"),
        extras=("tie",),
    ),
    Style(
        "tomboy",
        "mannish",
        looks=(
            ("tee", "jeans", "wide shirt"),
            ("boxy tee", "wide jeans"),
            ("wide shirt", "jeans"),
            ("tee", "overalls"),
            ("boxy tee", "jeans", "denim jacket"),
        ),
        loud=(
            _f("checks", (66, 104, 168), (20, 34, 70)),
            _f("stripes", (236, 238, 240), (60, 96, 160)),
            _f("checks", (120, 150, 196), WHITE),
        ),
        quiet=(_f("plain", (92, 128, 186)), _f("plain", (224, 230, 238)), _f("plain", (58, 80, 124))),
        shoes=("sneakers",),
        extras=("cap", "backpack"),
    ),
    # Feminine: soft or skin-close cuts, pinks and wine, heels
    Style(
        "romantic",
        "feminine",
        looks=(("ruffled dress",), ("lace blouse", "midi skirt"), ("lace blouse", "maxi skirt")),
        loud=(
            _f("flowers", (253, 238, 238), (226, 110, 140)),
            _f("small flowers", (252, 244, 244), (236, 140, 166)),
            _f("plain", (252, 226, 230)),
        ),
        quiet=(_f("flowers", (252, 232, 234), (226, 120, 150)), _f("plain", (250, 214, 222))),
        shoes=("heels",),
        extras=("headband", "handbag"),
    ),
    Style(
        "sexy",
        "feminine",
        looks=(
            ("tight dress",),
            ("halter", "leather mini"),
            ("crop top", "mini skirt"),
            ("slip dress", "moto jacket"),
            ("bare shoulders", "skinny"),
        ),
        loud=(_f("plain", WINE), _f("leopard", (198, 146, 86), (44, 26, 20)), _f("silk", WINE, (226, 90, 120))),
        quiet=(_f("plain", (60, 10, 26)), _f("silk", (96, 14, 40), (200, 70, 100))),
        shoes=("heels", "high boots"),
        extras=("choker", "handbag"),
        leather=(58, 10, 26),
    ),
    Style(
        "feminine",
        "feminine",
        looks=(
            ("blouse", "midi skirt"),
            ("flared dress",),
            ("blouse", "pencil skirt", "cardigan"),
            ("flared dress", "cardigan"),
        ),
        loud=(
            _f("plain", (206, 182, 230)),
            _f("dots", (196, 170, 224), WHITE),
            _f("dots", (224, 206, 240), (150, 112, 190)),
        ),
        quiet=(_f("plain", (236, 224, 246)), _f("silk", (214, 194, 234), WHITE)),
        shoes=("heels", "sandals"),
        extras=("handbag", "necklace"),
    ),
    # Ethnic: warm colours, hand-made prints, long lines
    Style(
        "oriental",
        "ethnic",
        looks=(
            ("qipao",),
            ("mandarin top", "wide pants"),
            ("wrap top", "maxi skirt"),
            ("mandarin top", "wide pants", "robe"),
        ),
        loud=(
            _f("medallions", RED, GOLD),
            _f("medallions", (176, 22, 36), (240, 206, 110)),
            _f("plain", (190, 26, 36), GOLD),
        ),
        quiet=(_f("plain", (150, 18, 30), GOLD), _f("silk", RED, (250, 190, 110))),
        shoes=("flats",),
        extras=("bun pins", "fan"),
    ),
    Style(
        "western",
        "ethnic",
        looks=(
            ("shirt", "jeans", "suede jacket"),
            ("shirt", "suede skirt"),
            ("shirt", "bell-bottoms", "suede jacket"),
            ("tee", "jeans", "suede jacket"),
        ),
        loud=(
            _f("suede", (172, 112, 62), (110, 66, 34)),
            _f("checks", (190, 128, 78), (92, 50, 28)),
            _f("suede", (150, 92, 48), (100, 60, 30)),
        ),
        quiet=(
            _f("plain", (226, 196, 158)),
            _f("suede", (120, 76, 44), (90, 54, 30)),
            _f("checks", (206, 160, 116), (120, 66, 40)),
        ),
        shoes=("cowboy boots",),
        extras=("cowboy hat", "belt buckle"),
        denim=(60, 78, 112),
    ),
    Style(
        "hippie",
        "ethnic",
        looks=(
            ("bell blouse", "bell-bottoms"),
            ("caftan",),
            ("bell blouse", "maxi skirt"),
            ("halter", "bell-bottoms", "suede jacket"),
        ),
        loud=(
            _f("paisley", (232, 162, 40), (150, 52, 120)),
            _f("tie-dye", (244, 186, 50), (146, 60, 150)),
            _f("paisley", (220, 140, 30), (90, 120, 60)),
        ),
        quiet=(_f("plain", (222, 150, 36)), _f("zigzag", (230, 170, 60), (120, 60, 110))),
        shoes=("sandals", "cowboy boots"),
        extras=("headscarf", "necklace", "round glasses"),
    ),
    *STYLES_OF_TODAY,
)

BY_ID: Mapping[str, Style] = {style.id: style for style in STYLES}

BASICS: Sequence[Fabric] = tuple(
    _f("plain", colour) for colour in (WHITE, BLACK, STONE, NAVY, CAMEL, (204, 196, 184), (120, 150, 190))
)
"""Fabrics that every style wears. They are no cue for any of them."""


def mates(style: Style) -> list[Style]:
    """Return the other styles of a style's group."""
    return [other for other in STYLES if other.group == style.group and other.id != style.id]
