"""Heads, shoes and what figures carry: everything that is no garment in a label file."""

from __future__ import annotations

from collections.abc import Sequence

from classifier.learning.data.synthesis.canvas import Canvas, ring
from classifier.learning.data.synthesis.drawing import Colour, Point
from classifier.learning.data.synthesis.figure import WAIST, Body, limb, part_of
from classifier.learning.data.synthesis.outfits import Outfit

STRAW: Colour = (226, 200, 146)
STEEL: Colour = (196, 198, 204)
GOLD: Colour = (222, 180, 70)
LEATHER: Colour = (106, 66, 40)
DARK: Colour = (34, 32, 34)
PALE: Colour = (242, 242, 240)

_HEAD_Y = 68.0
_HATS = {"cap", "straw hat", "cowboy hat", "bucket hat"}
_HIGH_SHOES = {"boots", "high boots", "combat boots", "cowboy boots"}
_SHOE_COLOURS: dict[str, Colour] = {
    "white sneakers": PALE,
    "sandals": LEATHER,
    "cowboy boots": LEATHER,
    "combat boots": DARK,
    "loafers": (70, 40, 30),
}


def _at(x: float, y: float, points: Sequence[Point]) -> list[Point]:
    return [(x + dx, y + dy) for dx, dy in points]


def draw_back_hair(canvas: Canvas, body: Body, outfit: Outfit) -> None:
    """Draw the hair behind head and shoulders."""
    length = {"long": 246.0, "bob": 142.0}.get(outfit.hair_cut)
    if length is not None:
        x = body.middle(_HEAD_Y)
        right = [(0.0, 4.0), (40.0, 22.0), (54.0, 76.0), (58.0, length - 40), (42.0, length), (0.0, length - 8)]
        canvas.shape([*_at(x, 0, right), *_at(x, 0, [(-dx, y) for dx, y in reversed(right)])], outfit.hair, 0.8)


def draw_head(canvas: Canvas, body: Body, outfit: Outfit) -> None:
    """Draw face, hair and what is worn on the head."""
    x = body.middle(_HEAD_Y)
    canvas.shape(ring(x, _HEAD_Y, 39, 53), outfit.skin)
    for side in (-1, 1):
        canvas.shape(ring(x + side * 15, 72, 5.5, 4), (44, 32, 30))
        canvas.shape(_at(x + side * 15, 61, [(-8, 0), (0, -3), (8, 0), (0, 1)]), outfit.hair)
    canvas.shape(_at(x, 86, [(-3, 0), (3, 0), (0, -9)]), outfit.skin, 0.8)
    canvas.shape(_at(x, 100, [(-11, -1), (0, -3), (11, -1), (0, 5)]), (186, 82, 84))
    fringe = [
        (-42, 76),
        (-45, 40),
        (-26, 8),
        (0, 0),
        (28, 9),
        (46, 42),
        (42, 78),
        (35, 46),
        (12, 34),
        (-20, 40),
        (-36, 52),
    ]
    canvas.shape(_at(x, 0, fringe), outfit.hair)
    if outfit.hair_cut == "bun" and not _HATS & set(outfit.extras):
        canvas.shape(ring(x, -8, 22, 19), outfit.hair)
    for extra in outfit.extras:
        _draw_on_head(canvas, x, extra, outfit)


def _draw_on_head(canvas: Canvas, x: float, extra: str, outfit: Outfit) -> None:
    if extra in {"straw hat", "cowboy hat", "bucket hat"}:
        colour = {"straw hat": STRAW, "cowboy hat": LEATHER}.get(extra, outfit.accent)
        wide, lift = {"straw hat": (98, 2), "cowboy hat": (88, -22), "bucket hat": (58, 14)}[extra]
        canvas.shape(_at(x, 36, [(-wide, lift), (-44, -8), (44, -8), (wide, lift), (50, 16), (-50, 16)]), colour)
        crown = [(-46, 0), (-40, -42), (-12, -52), (0, -46), (12, -52), (40, -42), (46, 0)]
        canvas.shape(_at(x, 30, crown), colour, 1.06)
        canvas.shape(_at(x, 26, [(-46, -6), (46, -6), (46, 5), (-46, 5)]), DARK)
    elif extra == "cap":
        canvas.shape(_at(x, 40, [(-46, 0), (-42, -32), (0, -48), (42, -32), (46, 0)]), outfit.accent)
        canvas.shape(_at(x, 40, [(-44, -4), (44, -4), (54, 10), (0, 18), (-54, 10)]), outfit.accent, 0.7)
    elif extra in {"headband", "headscarf"}:
        high = 13 if extra == "headband" else 24
        canvas.shape(_at(x, 30, [(-45, 0), (0, -8), (45, 0), (45, high), (0, high - 7), (-45, high)]), outfit.accent)
    elif extra in {"sunglasses", "round glasses", "visor"}:
        half = 9 if extra == "round glasses" else 14
        if extra == "visor":
            canvas.shape(_at(x, 72, [(-40, -9), (40, -9), (40, 9), (-40, 9)]), STEEL)
        else:
            for side in (-1, 1):
                canvas.shape(ring(x + side * 16, 72, half, 10), DARK if extra == "sunglasses" else (196, 120, 60))
            canvas.shape(_at(x, 70, [(-40, -2), (40, -2), (40, 1), (-40, 1)]), DARK)
    elif extra == "bun pins":
        for side in (-1, 1):
            canvas.shape(_at(x, 0, [(side * 4, -2), (side * 34, -30), (side * 38, -26), (side * 8, 4)]), GOLD)


def draw_at_neck(canvas: Canvas, body: Body, outfit: Outfit) -> None:
    """Draw ties, scarves, chains and necklaces."""
    x = body.middle(180)
    for extra in outfit.extras:
        if extra == "tie":
            shape = [(-9, 0), (9, 0), (5, 14), (15, 150), (0, 172), (-15, 150), (-5, 14)]
            canvas.shape(_at(x, 166, shape), outfit.accent, 0.85)
        elif extra == "scarf":
            canvas.shape(_at(x, 146, [(-44, 0), (44, 0), (50, 26), (0, 42), (-50, 26)]), outfit.accent)
            canvas.shape(_at(x + 18, 170, [(-14, 0), (14, 0), (18, 170), (-12, 174)]), outfit.accent, 0.9)
        elif extra == "choker":
            canvas.shape(_at(x, 134, [(-23, 0), (23, 0), (23, 10), (-23, 10)]), DARK)
        elif extra in {"chain", "necklace"}:
            deep, thick = (96, 8) if extra == "chain" else (64, 4)
            path = [(x - 38, 158.0), (x - 26, 158 + deep * 0.7), (x, 158.0 + deep)]
            path += [(x + 26, 158 + deep * 0.7), (x + 38, 158.0)]
            canvas.shape(limb(path, [thick / 2] * 5), GOLD if extra == "chain" else PALE)
            canvas.shape(ring(x, 160 + deep, thick, thick), GOLD)
        elif extra == "belt buckle":
            canvas.shape(_at(body.middle(WAIST), WAIST + 12, [(-13, -9), (13, -9), (13, 9), (-13, 9)]), GOLD)


def draw_carried(canvas: Canvas, body: Body, outfit: Outfit, *, phone: bool) -> None:
    """Draw bags, fans and phones, which the hands hold."""
    hand_x, hand_y = body.arms[0][2]
    for extra in outfit.extras:
        if extra in {"handbag", "tote", "straw bag"}:
            wide, high = {"handbag": (38, 52), "tote": (52, 96), "straw bag": (50, 62)}[extra]
            colour = STRAW if extra == "straw bag" else outfit.accent if extra == "handbag" else (214, 206, 188)
            handle = [(hand_x - 22, hand_y + 62), (hand_x, hand_y + 18), (hand_x + 22, hand_y + 62)]
            canvas.shape(limb(handle, (3, 3, 3)), colour, 0.7)
            box = [(-wide, 0), (wide, 0), (wide * 1.06, high), (-wide * 1.06, high)]
            canvas.shape(_at(hand_x, hand_y + 56, [(float(dx), float(dy)) for dx, dy in box]), colour)
        elif extra == "backpack":
            for side in (-1, 1):
                top = side * 52 + body.middle(165)
                strap = [(-8, 0), (8, 0), (12, 150), (-4, 150)]
                canvas.shape(_at(top, 160, [(float(side * dx), float(dy)) for dx, dy in strap]), DARK)
        elif extra == "fan":
            blades = [(0, 16), (-46, -26), (-26, -52), (4, -60), (32, -48), (46, -22)]
            canvas.shape(_at(hand_x, hand_y + 12, [(float(dx), float(dy)) for dx, dy in blades]), GOLD)
    if phone:
        x, y = body.arms[1][2]
        canvas.shape(_at(x - 6, y - 16, [(-22, -44), (22, -44), (22, 44), (-22, 44)]), DARK)
        canvas.shape(ring(x - 16, y - 48, 5, 5), (120, 124, 140))


def draw_shoes(canvas: Canvas, body: Body, outfit: Outfit) -> None:
    """Draw shoes, and socks if the outfit has them."""
    colour = _SHOE_COLOURS.get(outfit.shoes, outfit.shoe_colour)
    for side, joints in ((-1, body.legs[0]), (1, body.legs[1])):
        x, y = joints[2]
        if "socks" in outfit.extras:
            canvas.shape(limb(part_of(joints, 0.66, 1.0, 3), (25, 21, 15)), PALE)
        if outfit.shoes in _HIGH_SHOES:
            begin = {"boots": 0.8, "high boots": 0.54, "combat boots": 0.76, "cowboy boots": 0.7}[outfit.shoes]
            canvas.shape(limb(part_of(joints, begin, 1.0, 3), (27, 23, 19)), colour)
        _draw_foot(canvas, x, y, side, outfit, colour)


def _draw_foot(canvas: Canvas, x: float, y: float, side: int, outfit: Outfit, colour: Colour) -> None:
    turned = side * 12
    slim = outfit.shoes in {"heels", "flats", "sandals"}
    half = 13 if slim else 19
    foot = [(-14.0, -8.0), (14.0, -8.0), (turned + half, 38.0), (turned + half - 4, 54.0)]
    foot += [(turned - half + 4, 54.0), (turned - half, 38.0)]
    canvas.shape(_at(x, y, foot), outfit.skin if outfit.shoes in {"heels", "sandals"} else colour)
    if outfit.shoes in {"heels", "sandals"}:
        toe = [(turned - half, 32.0), (turned + half, 32.0), (turned + half - 5, 56.0), (turned - half + 5, 56.0)]
        canvas.shape(_at(x, y, toe), colour)
    if "sneakers" in outfit.shoes or outfit.shoes in {"platforms", "combat boots"}:
        high = 24.0 if outfit.shoes == "platforms" else 12.0
        sole = [(turned - half, 46.0), (turned + half, 46.0), (turned + half, 46 + high), (turned - half, 46 + high)]
        canvas.shape(_at(x, y, sole), DARK if outfit.shoes == "combat boots" else PALE)
