"""How garments are cut: from measures of a garment to its pieces on a posed body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from classifier.learning.data.synthesis.drawing import Part, Point
from classifier.learning.data.synthesis.figure import (
    CHEST,
    CROTCH,
    ELBOW,
    HIP,
    SHOULDER,
    WAIST,
    Body,
    along,
    limb,
    part_of,
)

SLEEVES = {"none": 0.0, "cap": 0.16, "short": 0.36, "elbow": 0.5, "three-quarter": 0.76, "long": 1.0}
"""Lengths of sleeves, as shares of the arm."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a garment, and its dye: empty for the garment's fabric, else the name of a colour."""

    part: Part
    dye: str = ""


@dataclass(slots=True)
class Worn:
    """The pieces of a garment on a body, in the order in which they are drawn."""

    behind: list[Piece] = field(default_factory=list)
    """Drawn before the body."""
    trunk: list[Piece] = field(default_factory=list)
    sleeves: list[Piece] = field(default_factory=list)
    """Drawn after the arms."""
    opening: list[Point] | None = None
    """The outline of an open front, through which other garments are seen."""


@dataclass(frozen=True, slots=True)
class Neck:
    """The upper edge of a garment: its right half from the middle to the shoulder, and where the sleeve begins."""

    edge: tuple[Point, ...]
    shoulder: bool = True


NECKS = {
    "crew": Neck(((0, 180), (22, 172), (38, 154))),
    "v": Neck(((0, 248), (20, 202), (36, 153))),
    "square": Neck(((0, 216), (50, 215), (56, 160))),
    "turtle": Neck(((0, 160), (22, 158), (34, 152))),
    "collar": Neck(((0, 196), (16, 176), (32, 150))),
    "mandarin": Neck(((0, 158), (20, 156), (32, 150))),
    "hood": Neck(((0, 186), (24, 176), (42, 152))),
    "boat": Neck(((0, 172), (44, 168), (66, 160))),
    "off-shoulder": Neck(((0, 226), (50, 222), (96, 206)), shoulder=False),
    "straps": Neck(((0, 226), (34, 214), (56, 212), (66, 240)), shoulder=False),
    "halter": Neck(((0, 168), (20, 150), (34, 158), (58, 232)), shoulder=False),
}


def _moved(body: Body, points: Sequence[Point]) -> list[Point]:
    return [(x + body.middle(y), y) for x, y in points]


def _side(body: Body, ease: float, hem: float, hem_ease: float, *, shoulder: bool) -> list[Point]:
    """Return the right edge of a garment of the upper body, from the shoulder to the hem."""
    edge: list[Point] = []
    if shoulder:
        edge += [(body.half(SHOULDER) + 2 + ease * 0.35, SHOULDER + 2), (body.half(SHOULDER) - 1 + ease * 0.6, 214.0)]
    edge.append((body.half(CHEST) + 4 + ease * 0.85, float(CHEST)))
    if hem > WAIST:
        edge.append((body.half(WAIST) + 3 + ease, float(WAIST)))
    if hem > HIP:
        edge.append((body.half(HIP) + 3 + min(ease, hem_ease), float(HIP)))
    edge.append((body.half(min(hem, HIP)) + 4 + hem_ease, hem))
    return edge


def upper(
    body: Body,
    *,
    hem: float = 478,
    ease: float = 8,
    hem_ease: float | None = None,
    neck: str = "crew",
    sleeve: str = "long",
    sleeve_ease: float = 6,
    sleeve_end: float = 0,
    puff: float = 0,
) -> Worn:
    """Return the pieces of a closed garment of the upper body, such as a shirt."""
    hem_ease = ease if hem_ease is None else hem_ease
    chosen = NECKS[neck]
    side = _side(body, ease, hem, hem_ease, shoulder=chosen.shoulder)
    outline = body.both_sides([*chosen.edge, *side, (0.0, hem + 4)])
    worn = Worn(trunk=[Piece(Part(outline))])
    _add_neck(worn, body, neck)
    if sleeve != "none":
        worn.sleeves += _sleeves(body, SLEEVES[sleeve], sleeve_ease, sleeve_end, puff, dropped=not chosen.shoulder)
    return worn


def _add_neck(worn: Worn, body: Body, neck: str) -> None:
    """Add what stands around the neck: a collar, a band, a hood or straps."""
    if neck == "turtle":
        worn.trunk.append(Piece(Part(body.both_sides([(0, 122), (24, 120), (27, 158), (0, 166)]), tone=0.94)))
    elif neck == "mandarin":
        worn.trunk.append(Piece(Part(body.both_sides([(0, 140), (25, 132), (30, 156), (0, 166)]), tone=1.12)))
    elif neck == "collar":
        flap = [(0.0, 192.0), (36.0, 140.0), (58.0, 160.0), (38.0, 212.0)]
        worn.trunk += [Piece(Part(_moved(body, [(s * x, y) for x, y in flap]), tone=1.1)) for s in (-1, 1)]
    elif neck == "hood":
        hood = [(0.0, 128.0), (46.0, 122.0), (72.0, 160.0), (30.0, 178.0)]
        worn.behind.append(Piece(Part(body.both_sides(hood), tone=0.8)))
        strings = [_moved(body, [(s * 14.0, 186.0), (s * 18.0, 250.0)]) for s in (-1, 1)]
        rim = body.both_sides([(0, 196), (30, 182), (50, 152), (40, 148), (22, 170), (0, 182)])
        worn.trunk.append(Piece(Part(rim, strings, tone=0.86)))
    elif neck in {"straps", "halter"}:
        top = 150.0 if neck == "straps" else 140.0
        strap = [(50.0, 214.0), (42.0, top), (34.0, top), (40.0, 218.0)]
        worn.trunk += [Piece(Part(_moved(body, [(s * x, y) for x, y in strap]))) for s in (-1, 1)]


def _sleeves(body: Body, length: float, ease: float, end: float, puff: float, *, dropped: bool) -> list[Piece]:
    pieces = []
    begin = 0.14 if dropped else 0.0
    stop = max(length, begin + 0.12)
    shares = [begin + (stop - begin) * k / 5 for k in range(6)]
    bulge = (0.1, 0.8, 1.0, 0.8, 0.5, -0.1)
    widths = [
        24 + ease - 9 * share + puff * b + end * (k / 5) ** 3
        for k, (share, b) in enumerate(zip(shares, bulge, strict=True))
    ]
    for joints in body.arms:
        for first, last in _halves(begin, stop):
            steps = [first + (last - first) * k / 3 for k in range(4)]
            path = [along(joints, step) for step in steps]
            pieces.append(Piece(Part(limb(path, np.interp(steps, shares, widths)), tone=0.97)))
    return pieces


def _halves(begin: float, stop: float) -> list[tuple[float, float]]:
    """Return the parts of a sleeve above and below the elbow. Two parts keep a bent sleeve whole."""
    return [(begin, ELBOW + 0.03), (ELBOW - 0.03, stop)] if stop > ELBOW + 0.08 else [(begin, stop)]


def open_front(
    body: Body,
    *,
    hem: float = 500,
    ease: float = 16,
    hem_ease: float | None = None,
    sleeve: str = "long",
    sleeve_ease: float = 11,
    sleeve_end: float = 0,
    gap: float = 24,
    hem_gap: float = 34,
    lapels: float = 0,
) -> Worn:
    """Return the pieces of a garment with an open front, such as a jacket. `lapels` is the height where they meet."""
    hem_ease = ease if hem_ease is None else hem_ease
    side = _side(body, ease, hem, hem_ease, shoulder=True)
    inner: list[Point] = [(hem_gap, hem + 2), (gap, float(WAIST)), (gap, 250.0), (30.0, 158.0)]
    right: list[Point] = [(28.0, 150.0), (44.0, 150.0), *side, *inner]
    worn = Worn(trunk=[Piece(Part(_moved(body, [(s * x, y) for x, y in right]))) for s in (-1, 1)])
    worn.opening = body.both_sides([(0.0, 150.0), (32.0, 150.0), (gap + 2, 250.0), (hem_gap, hem), (0.0, hem)])
    if lapels:
        flap = [(30.0, 146.0), (50.0, 150.0), (68.0, 214.0), (54.0, 226.0), (58.0, 246.0), (gap - 2, lapels)]
        worn.trunk += [Piece(Part(_moved(body, [(s * x, y) for x, y in flap]), tone=0.84)) for s in (-1, 1)]
    if sleeve != "none":
        worn.sleeves += _sleeves(body, SLEEVES[sleeve], sleeve_ease, sleeve_end, 0, dropped=False)
    return worn


def pants(
    body: Body,
    *,
    rise: float = 392,
    length: float = 0.96,
    hip: float = 3,
    knee: float = 6,
    hem: float = 6,
) -> Worn:
    """Return the pieces of trousers or shorts. `hip`, `knee` and `hem` are how far the cloth is from the body."""
    left, right = (
        (part_of(joints, 0.0, min(0.5, length * 0.7), 2)[1], along(joints, length), length) for joints in body.legs
    )

    def leg(side: int, knee_at: Point, hem_at: Point) -> list[Point]:
        """Return the outer edge downwards and the inner edge upwards."""
        knee_half = 26 + knee
        hem_half = 15 + 10 * max(0.0, 1 - length) * 2 + hem
        outer = [(knee_at[0] + side * knee_half, knee_at[1]), (hem_at[0] + side * hem_half, hem_at[1])]
        inner = [(hem_at[0] - side * hem_half, hem_at[1] + 3), (knee_at[0] - side * knee_half * 0.94, knee_at[1])]
        return outer + inner

    waist, hips = body.half(rise) + 3, body.half(HIP) + hip
    outline = [
        (waist + body.middle(rise), rise),
        (hips, float(HIP)),
        *leg(1, right[0], right[1]),
        (0.0, CROTCH + 12.0),
        *reversed(leg(-1, left[0], left[1])),
        (-hips, float(HIP)),
        (-waist + body.middle(rise), rise),
    ]
    seams: list[Sequence[Point]] = [
        [(-waist, rise + 16), (waist, rise + 16)],
        [(0, rise + 16), (2, CROTCH + 10)],
        [(hips - 6, HIP - 10), (hips - 34, rise + 20)],
        [(6 - hips, HIP - 10), (34 - hips, rise + 20)],
    ]
    return Worn(trunk=[Piece(Part(outline, seams))])


def skirt(
    body: Body,
    *,
    rise: float = 386,
    hem: float = 700,
    flare: float = 40,
    pleats: int = 0,
    tiers: int = 0,
    slit: bool = False,
    slant: float = 0,
) -> Worn:
    """Return the pieces of a skirt. `flare` is how much wider than the hips its hem is; `slant` lowers one side."""
    waist, hips = body.half(rise) + 3, body.half(HIP) + 4 + flare * 0.25
    bottom = body.half(HIP) + flare
    right = [(waist, rise), (hips, float(HIP)), (bottom, hem)]
    outline = [(x + body.middle(y), y) for x, y in right]
    waves = 9
    for k in range(waves + 1):
        x = bottom - 2 * bottom * k / waves
        outline.append((x, hem + (10 if k % 2 else 3) + slant * k / waves))
    outline += [(-hips, float(HIP)), (-waist + body.middle(rise), rise)]
    seams: list[Sequence[Point]] = [[(-waist, rise + 14), (waist, rise + 14)]]
    for k in range(1, pleats):
        share = 2 * k / pleats - 1
        seams.append([(share * waist, rise + 14), (share * hips, float(HIP)), (share * bottom, hem + 6)])
    for k in range(1, tiers):
        y = rise + (hem - rise) * k / tiers
        half = hips + (bottom - hips) * max(0.0, (y - HIP) / (hem - HIP))
        seams += [[(-half, y + d), (-half / 2, y + 5 + d), (half / 2, y + 5 + d), (half, y + d)] for d in (0, 6)]
    worn = Worn(trunk=[Piece(Part(outline, seams))])
    if slit:
        cut = [(bottom * 0.42, HIP + 50.0), (bottom * 0.62, hem + 12), (bottom * 0.30, hem + 12)]
        worn.trunk.append(Piece(Part(cut), "skin"))
    return worn


def joined(top: Worn, bottom: Worn) -> Worn:
    """Return a dress or an overall from its upper and its lower half."""
    return Worn(
        [*top.behind, *bottom.behind],
        [*bottom.trunk, *top.trunk],
        [*top.sleeves, *bottom.sleeves],
    )
