"""Details of garments: pockets, buttons, stripes, frills and prints. Each function adds its pieces in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from classifier.learning.data.synthesis.cuts import Piece, Worn
from classifier.learning.data.synthesis.drawing import Part, Point
from classifier.learning.data.synthesis.figure import HIP, WAIST, Body, along, limb, part_of

Detail = Callable[[Body, Worn], None]


def _box(body: Body, x: float, y: float, half: float, high: float) -> list[Point]:
    middle = x + body.middle(y)
    return [(middle - half, y), (middle + half, y), (middle + half, y + high), (middle - half, y + high)]


def _hem(worn: Worn) -> float:
    """Return the height of the lowest point of a garment's trunk."""
    return max(y for piece in worn.trunk for _, y in piece.part.outline)


def buttons(body: Body, worn: Worn) -> None:
    hem = min(_hem(worn), HIP)
    spots = [(body.middle(y), y) for y in range(206, int(hem) - 14, 40)]
    line = [(body.middle(196), 196.0), (body.middle(hem), hem - 6)]
    worn.trunk.append(Piece(Part(_box(body, 0, 196, 7, hem - 202), [line], 1.05, spots)))


def double_breasted(body: Body, worn: Worn) -> None:
    for y in (330, 372, 414):
        spots = [(s * 44 + body.middle(y), float(y)) for s in (-1, 1)]
        worn.trunk.append(Piece(Part(_box(body, -44, y - 3, 5, 6), (), 1.0, spots)))


def chest_pockets(body: Body, worn: Worn) -> None:
    for side in (-1, 1):
        box = _box(body, side * 47, 248, 21, 44)
        worn.trunk.append(Piece(Part(box, [_box(body, side * 47, 248, 21, 13)], 0.88)))


def hip_pockets(body: Body, worn: Worn) -> None:
    for side in (-1, 1):
        box = _box(body, side * 60, 418, 24, 54)
        worn.trunk.append(Piece(Part(box, [_box(body, side * 60, 418, 24, 15)], 0.88)))


def cargo_pockets(body: Body, worn: Worn) -> None:
    for side, joints in ((-1, body.legs[0]), (1, body.legs[1])):
        x, y = along(joints, 0.4)
        box = [(x + side * a, y + b) for a, b in ((6, 0), (42, 0), (42, 62), (6, 62))]
        worn.trunk.append(Piece(Part(box, [[(x + side * 6, y + 18), (x + side * 42, y + 18)]], 0.84)))


def zip_front(body: Body, worn: Worn) -> None:
    hem = _hem(worn)
    worn.trunk.append(Piece(Part(_box(body, 0, 160, 4, hem - 166)), "white"))


def belt(body: Body, worn: Worn) -> None:
    half = body.half(WAIST) + 14
    worn.trunk.append(Piece(Part(_box(body, 0, WAIST - 8, half, 20), (), 0.72, [(body.middle(WAIST), WAIST + 2.0)])))


def tied_belt(body: Body, worn: Worn) -> None:
    belt(body, worn)
    for side in (4, 18):
        worn.trunk.append(Piece(Part(_box(body, side, WAIST + 8, 6, 86), (), 0.78)))


def sash(body: Body, worn: Worn) -> None:
    worn.trunk.append(Piece(Part(_box(body, 0, WAIST - 22, body.half(WAIST) + 15, 46)), "print"))


def ribbing(body: Body, worn: Worn) -> None:
    hem = _hem(worn)
    worn.trunk.append(Piece(Part(_box(body, 0, hem - 20, body.half(min(hem, HIP)) + 8, 24), (), 0.74)))
    for joints in body.arms:
        worn.sleeves.append(Piece(Part(limb(part_of(joints, 0.93, 1.02, 2), (19, 17)), (), 0.74)))


def side_stripes(body: Body, worn: Worn) -> None:
    for side, joints in ((-1, body.legs[0]), (1, body.legs[1])):
        hip = [(side * (body.half(HIP) - 4), float(HIP)), *part_of(joints, 0.35, 0.94, 3)]
        hip[1:] = [(x + side * 21, y) for x, y in hip[1:]]
        worn.trunk.append(Piece(Part(limb(hip, (6, 6, 6, 6))), "white"))


def sleeve_stripes(_: Body, worn: Worn) -> None:
    for piece in list(worn.sleeves):
        outline = piece.part.outline
        half = len(outline) // 2
        path = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in zip(outline[:half], outline[::-1], strict=False)]
        worn.sleeves.append(Piece(Part(limb(path, [5.0] * len(path))), "white"))


def logo(body: Body, worn: Worn) -> None:
    """Add a block of two bars and a disc in the colour of the print, as a printed slogan looks from afar."""
    worn.trunk += [
        Piece(Part(_box(body, 0, 246, 46, 20)), "print"),
        Piece(Part(_box(body, 0, 276, 34, 12)), "print"),
        Piece(Part(_box(body, 0, 300, 22, 34)), "print"),
    ]


def number(body: Body, worn: Worn) -> None:
    worn.trunk += [
        Piece(Part(_box(body, -26, 248, 8, 92)), "print"),
        Piece(Part(_box(body, 22, 248, 24, 14)), "print"),
        Piece(Part(_box(body, 38, 262, 8, 78)), "print"),
        Piece(Part(_box(body, 0, 400, 98, 14)), "print"),
    ]


def emblem(body: Body, worn: Worn) -> None:
    worn.trunk.append(Piece(Part(_box(body, 48, 244, 13, 26)), "gold"))


def fringe(body: Body, worn: Worn) -> None:
    hem = _hem(worn)
    half = body.half(min(hem, HIP)) + 10
    for y, reach in ((250.0, body.half(262) + 6), (hem - 12, half)):
        edge: list[Point] = [(-reach, y), (reach, y)]
        for k in range(17):
            x = reach - 2 * reach * k / 16
            edge.append((x, y + (44 if k % 2 else 14)))
        worn.trunk.append(Piece(Part([(x + body.middle(y), yy) for x, yy in edge], (), 0.82)))


def ruffles(body: Body, worn: Worn) -> None:
    for y in (236.0, 284.0):
        half = body.half(y) + 2
        edge: list[Point] = [(-half, y - 8), (half, y - 8)]
        edge += [(half - 2 * half * k / 10, y + (26 if k % 2 else 15)) for k in range(11)]
        worn.trunk.append(Piece(Part([(x + body.middle(y), yy) for x, yy in edge], (), 1.08)))


def bow(body: Body, worn: Worn) -> None:
    for side in (-1, 1):
        loop = [(0.0, 176.0), (side * 36.0, 160.0), (side * 40.0, 196.0)]
        tail = [(0.0, 178.0), (side * 12.0, 250.0), (side * 24.0, 246.0)]
        worn.trunk += [
            Piece(Part([(x + body.middle(y), y) for x, y in shape], (), 0.9), "print") for shape in (tail, loop)
        ]


def studs(body: Body, worn: Worn) -> None:
    for side in (-1, 1):
        spots = [(side * (42 + 9 * k) + body.middle(176), 172.0 + 4 * k) for k in range(4)]
        spots += [(side * 38 + body.middle(260), 236.0 + 22 * k) for k in range(4)]
        worn.trunk.append(Piece(Part(_box(body, side * 60, 174, 2, 2), (), 1.0, spots)))


def rips(body: Body, worn: Worn) -> None:
    for joints in body.legs:
        for share, half in ((0.34, 17), (0.5, 20), (0.66, 12)):
            x, y = along(joints, share)
            hole = [(x - half, y), (x, y - 9), (x + half, y + 1), (x, y + 11)]
            worn.trunk.append(Piece(Part(hole), "skin"))


def knots(body: Body, worn: Worn) -> None:
    """Add the knotted closures of a qipao, along a slanted front."""
    for k in range(3):
        x, y = 10.0 + 24 * k, 176.0 + 26 * k
        knot = _box(body, x, y, 13, 7)
        worn.trunk.append(Piece(Part(knot), "print"))


def crossed_front(body: Body, worn: Worn) -> None:
    for side in (1, -1):
        band = [(side * 44.0, 148.0), (side * 28.0, 148.0), (-side * 44.0, 384.0), (-side * 26.0, 384.0)]
        worn.trunk.append(Piece(Part([(x + body.middle(y), y) for x, y in band]), "print"))


def one_sided_panel(body: Body, worn: Worn) -> None:
    """Add a sharp panel that hangs from one shoulder."""
    panel = [(-70.0, 172.0), (24.0, 190.0), (118.0, 620.0), (40.0, 560.0), (-20.0, 420.0)]
    worn.trunk.append(Piece(Part([(x + body.middle(y), y) for x, y in panel], (), 1.35), "print"))


def half_and_half(body: Body, worn: Worn) -> None:
    """Dye the right half of the trunk in the colour of the print."""
    first = worn.trunk[0].part.outline
    right = [(max(x, body.middle(y)), y) for x, y in first]
    worn.trunk.append(Piece(Part(right), "print"))


def bib(body: Body, worn: Worn) -> None:
    """Add the bib and the straps of an overall."""
    shape = [(48.0, 270.0), (62.0, WAIST + 10.0)]
    worn.trunk.append(Piece(Part(body.both_sides([(0, 270), *shape, (0, WAIST + 10)]), [_box(body, 0, 300, 24, 40)])))
    for side in (-1, 1):
        strap = [(side * 50.0, 276.0), (side * 52.0, 150.0), (side * 38.0, 150.0), (side * 36.0, 276.0)]
        spot = [(side * 43 + body.middle(282), 282.0)]
        worn.trunk.append(Piece(Part([(x + body.middle(y), y) for x, y in strap], (), 0.92, spot)))


def quilting(body: Body, worn: Worn) -> None:
    hem = _hem(worn)
    for y in range(214, int(hem) - 10, 44):
        half = body.half(min(y, HIP)) + 30
        for side in (-1, 1):
            seam = [(side * 26 + body.middle(y), float(y)), (side * half + body.middle(y), y + 6.0)]
            worn.trunk.append(Piece(Part(_box(body, side * 30, y, 2, 2), [seam])))


def turned_up(body: Body, worn: Worn) -> None:
    for joints in body.legs:
        worn.trunk.append(Piece(Part(limb(part_of(joints, 0.86, 0.93, 2), (28, 28)), (), 1.22)))


DETAILS: Mapping[str, tuple[Detail, str]] = {
    "buttons": (buttons, "단추"),
    "double-breasted": (double_breasted, "더블브레스티드"),
    "chest pockets": (chest_pockets, "포켓"),
    "hip pockets": (hip_pockets, "포켓"),
    "cargo pockets": (cargo_pockets, "포켓"),
    "zip": (zip_front, "집업"),
    "belt": (belt, "버클"),
    "tied belt": (tied_belt, "스트링"),
    "sash": (sash, "리본"),
    "ribbing": (ribbing, "스티치"),
    "side stripes": (side_stripes, "스티치"),
    "sleeve stripes": (sleeve_stripes, "스티치"),
    "logo": (logo, "자수"),
    "number": (number, "패치워크"),
    "emblem": (emblem, "자수"),
    "fringe": (fringe, "프린지"),
    "ruffles": (ruffles, "러플"),
    "bow": (bow, "리본"),
    "studs": (studs, "스터드"),
    "rips": (rips, "디스트로이드"),
    "knots": (knots, "스티치"),
    "crossed front": (crossed_front, "X스트랩"),
    "one-sided panel": (one_sided_panel, "비대칭"),
    "half and half": (half_and_half, "패치워크"),
    "bib": (bib, "포켓"),
    "quilting": (quilting, "퀄팅"),
    "turned up": (turned_up, "롤업"),
}
"""The details by name, each with its value of 디테일 in a label file."""
