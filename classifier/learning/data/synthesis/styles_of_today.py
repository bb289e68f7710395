"""The contemporary, natural, gender-fluid, sporty, subcultural and casual styles of K-Fashion."""

from __future__ import annotations

from collections.abc import Sequence

from classifier.learning.data.synthesis.style import BLACK, GOLD, INK, OLIVE, RED, WHITE, Style
from classifier.learning.data.synthesis.style import fabric as _f

STYLES_OF_TODAY: Sequence[Style] = (
    # Contemporary: few colours, clear or strange lines
    Style(
        "modern",
        "contemporary",
        looks=(
            ("turtleneck", "slacks", "coat"),
            ("split top", "slacks"),
            ("split top", "pencil skirt"),
            ("tee", "wide pants", "blazer"),
        ),
        loud=(_f("plain", WHITE, BLACK), _f("plain", (234, 236, 240), BLACK), _f("wide stripes", WHITE, BLACK)),
        quiet=(_f("plain", WHITE, INK), _f("plain", (214, 217, 222), INK)),
        shoes=("white sneakers", "flats"),
        extras=("handbag",),
    ),
    Style(
        "sophisticated",
        "contemporary",
        looks=(
            ("silk blouse", "silk skirt", "wrap coat"),
            ("silk blouse", "wide pants"),
            ("turtleneck", "silk skirt", "wrap coat"),
            ("silk blouse", "pencil skirt"),
        ),
        loud=(_f("plain", (170, 150, 140)), _f("silk", (184, 164, 152), (232, 222, 214)), _f("plain", (146, 128, 122))),
        quiet=(_f("silk", (212, 198, 188), WHITE), _f("plain", (120, 104, 100)), _f("silk", (170, 150, 142), WHITE)),
        shoes=("heels",),
        extras=("handbag", "necklace", "sunglasses"),
    ),
    Style(
        "avant-garde",
        "contemporary",
        looks=(
            ("cocoon dress",),
            ("slanted top", "slanted skirt"),
            ("turtleneck", "slanted skirt", "cocoon coat"),
            ("slanted top", "baggy pants"),
        ),
        loud=(
            _f("blots", INK, (240, 240, 244)),
            _f("plain", INK, (226, 226, 232)),
            _f("blots", (16, 16, 20), (120, 122, 130)),
        ),
        quiet=(_f("plain", INK, (220, 220, 226)), _f("plain", (12, 12, 15), (110, 110, 120))),
        shoes=("platforms", "boots"),
        extras=("visor",),
        leather=INK,
    ),
    # Natural: light cloth, plants, straw
    Style(
        "resort",
        "natural",
        looks=(("sun dress",), ("crop top", "maxi skirt"), ("wide shirt", "shorts"), ("halter", "denim shorts")),
        loud=(
            _f("leaves", (88, 200, 206), (252, 250, 240)),
            _f("leaves", (240, 250, 248), (20, 150, 160)),
            _f("plain", (70, 192, 202)),
        ),
        quiet=(_f("plain", (150, 222, 224)), _f("stripes", (240, 250, 250), (80, 190, 200))),
        shoes=("sandals",),
        extras=("straw hat", "sunglasses", "straw bag"),
        denim=(120, 180, 200),
    ),
    Style(
        "country",
        "natural",
        looks=(("prairie dress",), ("shirt", "overalls"), ("shirt", "maxi skirt"), ("shirt", "jeans", "quilted vest")),
        loud=(
            _f("gingham", (236, 230, 206), (104, 138, 76)),
            _f("small flowers", (150, 172, 112), (250, 240, 214)),
            _f("gingham", (222, 226, 190), (84, 120, 66)),
        ),
        quiet=(
            _f("plain", (150, 166, 110)),
            _f("plain", (204, 204, 160)),
            _f("small flowers", (216, 218, 180), (150, 110, 60)),
        ),
        shoes=("boots", "flats"),
        extras=("straw hat", "straw bag"),
        denim=(112, 128, 118),
    ),
    # Gender-fluid
    Style(
        "genderless",
        "gender-fluid",
        looks=(
            ("wide shirt", "wide pants", "wide blazer"),
            ("boxy tee", "baggy pants"),
            ("wide shirt", "midi skirt"),
            ("boxy tee", "midi skirt", "wide blazer"),
        ),
        loud=(_f("plain", (120, 150, 144)), _f("plain", (96, 128, 126)), _f("ribs", (134, 162, 154), (60, 90, 88))),
        quiet=(_f("plain", (160, 182, 174)), _f("plain", (82, 106, 106)), _f("plain", (186, 200, 190))),
        shoes=("platforms", "loafers"),
        extras=("tote",),
    ),
    # Sporty
    Style(
        "sporty",
        "sporty",
        looks=(
            ("sports top", "leggings"),
            ("sports top", "track pants", "track jacket"),
            ("tank", "leggings", "track jacket"),
            ("crop top", "track pants"),
        ),
        loud=(
            _f("plain", (24, 88, 224)),
            _f("plain", (16, 110, 240)),
            _f("wide stripes", (24, 88, 224), (236, 70, 40)),
        ),
        quiet=(_f("plain", (20, 70, 190)), _f("plain", (28, 40, 90))),
        shoes=("sneakers", "white sneakers"),
        extras=("headband", "backpack"),
    ),
    # Subculture: loud colours and prints
    Style(
        "retro",
        "subculture",
        looks=(
            ("turtleneck", "bell-bottoms"),
            ("shift dress",),
            ("knit", "pleated mini"),
            ("shirt", "bell-bottoms", "knit vest"),
        ),
        loud=(
            _f("rings", (220, 104, 40), (96, 52, 34)),
            _f("rings", (224, 120, 44), (40, 120, 116)),
            _f("zigzag", (214, 96, 40), (240, 200, 130)),
        ),
        quiet=(
            _f("plain", (206, 98, 44)),
            _f("plain", (104, 58, 36)),
            _f("wide stripes", (216, 110, 50), (110, 60, 36)),
        ),
        shoes=("platforms", "high boots"),
        extras=("headscarf", "sunglasses"),
    ),
    Style(
        "kitsch",
        "subculture",
        looks=(("knit", "mini skirt"), ("shift dress",), ("tee", "pleated mini", "cardigan"), ("blouse", "overalls")),
        loud=(
            _f("hearts", (255, 84, 168), (255, 255, 255)),
            _f("hearts", (255, 120, 190), (80, 210, 240)),
            _f("dots", (255, 70, 160), (255, 230, 60)),
        ),
        quiet=(
            _f("plain", (255, 222, 60)),
            _f("plain", (255, 100, 176)),
            _f("wide stripes", (255, 110, 180), (255, 226, 70)),
        ),
        shoes=("platforms", "sneakers"),
        extras=("headband", "round glasses", "socks"),
        denim=(250, 120, 190),
    ),
    Style(
        "punk",
        "subculture",
        looks=(
            ("graphic tee", "ripped skinny", "moto jacket"),
            ("tank", "pleated mini", "moto jacket"),
            ("turtleneck", "ripped skinny", "moto jacket"),
        ),
        loud=(_f("tartan", (196, 24, 30), (18, 16, 18)), _f("tartan", (170, 18, 26), (24, 20, 22))),
        quiet=(_f("tartan", (196, 24, 30), (18, 16, 18)), _f("plain", (34, 30, 32), RED)),
        shoes=("combat boots",),
        extras=("choker", "chain"),
        leather=(26, 24, 27),
    ),
    Style(
        "hip-hop",
        "subculture",
        looks=(
            ("jersey", "baggy pants"),
            ("hoodie", "baggy pants"),
            ("graphic tee", "baggy pants", "bomber"),
            ("jersey", "wide jeans"),
        ),
        loud=(
            _f("plain", (98, 40, 170), GOLD),
            _f("plain", (80, 30, 150), (250, 206, 40)),
            _f("wide stripes", (98, 40, 170), GOLD),
        ),
        quiet=(_f("plain", (70, 30, 120), GOLD), _f("plain", (240, 196, 48), (90, 36, 160))),
        shoes=("sneakers",),
        extras=("cap", "chain", "headscarf"),
        denim=(60, 50, 110),
    ),
    # Casual: loose, useful garments
    Style(
        "military",
        "casual",
        looks=(
            ("tee", "cargo", "field jacket"),
            ("tank", "cargo"),
            ("tee", "cargo", "bomber"),
            ("turtleneck", "cargo", "field jacket"),
        ),
        loud=(
            _f("camouflage", (114, 116, 72), (70, 78, 42)),
            _f("plain", OLIVE),
            _f("camouflage", (138, 132, 90), (82, 86, 48)),
        ),
        quiet=(_f("plain", (112, 110, 72)), _f("plain", (66, 70, 44)), _f("camouflage", (110, 112, 70), (66, 72, 40))),
        shoes=("combat boots",),
        extras=("cap", "backpack"),
    ),
    Style(
        "street",
        "casual",
        looks=(
            ("hoodie", "joggers"),
            ("graphic tee", "wide jeans"),
            ("hoodie", "cargo"),
            ("graphic tee", "shorts", "puffer"),
            ("tee", "joggers", "bomber"),
        ),
        loud=(
            _f("plain", (168, 172, 178), (30, 220, 90)),
            _f("plain", (184, 187, 192), (240, 110, 20)),
            _f("plain", (140, 144, 150), (30, 220, 90)),
        ),
        quiet=(
            _f("plain", (46, 48, 54), (30, 220, 90)),
            _f("plain", (110, 114, 120), (240, 110, 20)),
            _f("plain", (150, 154, 160), INK),
        ),
        shoes=("white sneakers", "sneakers"),
        extras=("bucket hat", "cap", "backpack"),
    ),
)
