"""The outlines of garments, as polygons on a canvas of 1000 x 1000.

A garment is a list of parts that are drawn in order. Each part has an outline, whose corners are rounded into curves,
the seams that are drawn on it, and a tone, which is dark for the inside of a collar, for example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of cloth."""

    outline: Sequence[Point]
    seams: Sequence[Sequence[Point]] = ()
    tone: float = 1.0
    """Brightness: below 1 the part is darker than its cloth, above 1 lighter."""
    dots: Sequence[Point] = ()
    """Centres of buttons or eyelets."""


def mirrored(points: Sequence[Point]) -> list[Point]:
    """Return the outline of a garment from its right half, by adding the mirrored left half."""
    return [*points, *((1000 - x, y) for x, y in reversed(points))]


def _neck(depth: float, width: float = 90) -> Part:
    """Return the inside of the collar at the back, which is visible through the neck opening."""
    return Part(mirrored([(500, 178), (500 + width, 165), (500 + width * 0.6, 165 + depth * 0.8)]), tone=0.62)


def t_shirt() -> list[Part]:
    body = mirrored(
        [
            (500, 232),
            (545, 222),
            (590, 165),
            (690, 190),
            (860, 345),
            (775, 440),
            (705, 390),
            (700, 620),
            (708, 860),
            (600, 872),
        ]
    )
    seams = [
        [(690, 195), (715, 300), (705, 390)],
        [(310, 195), (285, 300), (295, 390)],
        [(295, 838), (500, 850), (705, 838)],
    ]
    return [_neck(60), Part(body, [*seams, [(398, 190), (440, 248), (500, 262), (560, 248), (602, 190)]])]


def longsleeve() -> list[Part]:
    body = mirrored(
        [
            (500, 225),
            (545, 215),
            (588, 162),
            (680, 182),
            (790, 330),
            (868, 640),
            (905, 800),
            (818, 826),
            (760, 640),
            (705, 430),
            (700, 640),
            (706, 868),
            (600, 880),
        ]
    )
    seams = [
        [(682, 188), (712, 300), (705, 430)],
        [(318, 188), (288, 300), (295, 430)],
        [(896, 768), (810, 794)],
        [(104, 768), (190, 794)],
        [(296, 842), (500, 856), (704, 842)],
    ]
    return [_neck(55), Part(body, [*seams, [(400, 186), (440, 240), (500, 254), (560, 240), (600, 186)]])]


def shirt() -> list[Part]:
    body = mirrored(
        [
            (500, 300),
            (520, 260),
            (585, 160),
            (690, 190),
            (800, 340),
            (866, 640),
            (895, 790),
            (812, 812),
            (758, 640),
            (708, 440),
            (702, 640),
            (716, 850),
            (600, 905),
            (540, 880),
        ]
    )
    collar_right = [(500, 262), (590, 150), (640, 172), (618, 300), (545, 255)]
    collar_left = [(1000 - x, y) for x, y in collar_right]
    buttons = [(500, y) for y in range(330, 880, 88)]
    placket = [[(478, 275), (478, 880)], [(522, 275), (522, 880)]]
    pocket = [[(570, 400), (570, 500), (618, 522), (664, 500), (664, 400), (570, 400)]]
    cuffs = [[(884, 738), (802, 760)], [(116, 738), (198, 760)]]
    return [
        _neck(90, 84),
        Part(body, [*placket, *pocket, *cuffs], dots=buttons),
        Part(collar_left, tone=1.07),
        Part(collar_right, tone=1.07),
    ]


def dress() -> list[Part]:
    body = mirrored(
        [
            (500, 262),
            (560, 235),
            (600, 120),
            (650, 118),
            (668, 250),
            (640, 380),
            (632, 470),
            (690, 640),
            (790, 905),
            (640, 945),
            (560, 948),
        ]
    )
    seams = [
        [(368, 470), (500, 486), (632, 470)],
        [(450, 490), (410, 720), (380, 940)],
        [(550, 490), (590, 720), (620, 940)],
        [(500, 492), (500, 720), (496, 946)],
    ]
    return [Part(body, seams)]


def sleeved_dress() -> list[Part]:
    body = mirrored(
        [
            (500, 215),
            (550, 205),
            (592, 130),
            (680, 152),
            (790, 290),
            (730, 370),
            (660, 320),
            (640, 470),
            (700, 700),
            (740, 930),
            (600, 950),
        ]
    )
    seams = [
        [(360, 470), (500, 484), (640, 470)],
        [(500, 240), (500, 470)],
        [(430, 490), (400, 940)],
        [(570, 490), (600, 940)],
    ]
    return [_neck(45), Part(body, seams, dots=[(500, y) for y in range(262, 470, 52)])]


def coat() -> list[Part]:
    body = mirrored(
        [
            (500, 330),
            (540, 250),
            (600, 110),
            (700, 150),
            (800, 300),
            (872, 640),
            (890, 780),
            (790, 800),
            (740, 620),
            (715, 440),
            (735, 700),
            (752, 930),
            (600, 948),
        ]
    )
    lapel_right = [(500, 420), (600, 108), (668, 140), (690, 240), (640, 262), (660, 300)]
    lapel_left = [(1000 - x, y) for x, y in lapel_right]
    seams = [
        [(500, 420), (500, 946)],
        [(600, 620), (700, 600)],
        [(400, 620), (300, 600)],
        [(878, 720), (780, 742)],
        [(122, 720), (220, 742)],
    ]
    buttons = [(x, y) for y in (520, 630, 740) for x in (452, 548)]
    inside = Part(mirrored([(500, 120), (600, 110), (560, 300)]), tone=0.5)
    return [inside, Part(body, seams, dots=buttons), Part(lapel_left, tone=0.9), Part(lapel_right, tone=0.9)]


def jacket() -> list[Part]:
    body = mirrored(
        [
            (500, 240),
            (540, 215),
            (590, 150),
            (700, 185),
            (800, 330),
            (858, 600),
            (876, 730),
            (786, 752),
            (748, 600),
            (712, 430),
            (708, 640),
            (712, 770),
            (600, 780),
        ]
    )
    collar = Part(mirrored([(500, 236), (560, 232), (596, 148), (556, 130), (500, 140)]), tone=0.8)
    seams = [
        [(500, 240), (500, 778)],
        [(290, 716), (710, 716)],
        [(560, 380), (660, 380)],
        [(340, 380), (440, 380)],
        [(868, 690), (780, 712)],
        [(132, 690), (220, 712)],
        [(560, 520), (640, 640)],
        [(440, 520), (360, 640)],
    ]
    return [Part(body, seams, dots=[(512, y) for y in (300, 400, 500, 600, 690)]), collar]


def pants() -> list[Part]:
    body = mirrored([(500, 345), (524, 420), (545, 930), (668, 936), (700, 520), (678, 240), (662, 110), (500, 116)])
    seams = [
        [(338, 160), (500, 168), (662, 160)],
        [(500, 168), (500, 345)],
        [(640, 170), (600, 250)],
        [(360, 170), (400, 250)],
        [(604, 300), (612, 930)],
        [(396, 300), (388, 930)],
    ]
    return [Part(body, seams, dots=[(500, 140)])]


def shorts() -> list[Part]:
    body = mirrored([(500, 470), (530, 540), (560, 760), (770, 730), (712, 440), (680, 250), (500, 256)])
    seams = [
        [(322, 308), (500, 316), (678, 308)],
        [(500, 316), (500, 470)],
        [(668, 320), (624, 410)],
        [(332, 320), (376, 410)],
        [(560, 730), (764, 700)],
        [(440, 730), (236, 700)],
    ]
    return [Part(body, seams, dots=[(500, 282)])]


def skirt() -> list[Part]:
    body = mirrored([(500, 262), (625, 252), (640, 330), (720, 560), (800, 800), (640, 838), (500, 846)])
    seams = [[(366, 312), (500, 322), (634, 312)]] + [
        [(500 + k * 40, 322), (500 + k * 84, 846 - abs(k) * 10)] for k in (-3, -2, -1, 0, 1, 2, 3)
    ]
    return [Part(body, seams)]


def hat() -> list[Part]:
    crown = mirrored([(500, 300), (620, 290), (690, 400), (712, 585), (500, 610)])
    band = mirrored([(500, 560), (706, 528), (712, 590), (500, 624)])
    brim = mirrored([(500, 560), (720, 548), (930, 610), (850, 690), (640, 716), (500, 720)])
    return [
        Part(brim, [[(90, 640), (300, 690), (500, 700), (700, 690), (910, 640)]]),
        Part(crown, tone=1.04),
        Part(band, tone=0.5),
    ]


def cap() -> list[Part]:
    crown = [(200, 600), (215, 440), (320, 320), (480, 280), (640, 310), (730, 420), (750, 590), (500, 640)]
    visor = [(560, 560), (740, 560), (880, 610), (930, 680), (800, 690), (640, 650), (540, 640)]
    seams = [
        [(480, 280), (440, 440), (430, 636)],
        [(480, 280), (600, 420), (640, 618)],
        [(480, 280), (300, 440), (280, 620)],
    ]
    return [Part(crown, seams, dots=[(480, 284)]), Part(visor, [[(570, 590), (740, 590), (890, 660)]], tone=0.85)]


def sneaker() -> list[Part]:
    upper = [
        (150, 470),
        (190, 380),
        (300, 372),
        (345, 450),
        (470, 520),
        (640, 590),
        (800, 620),
        (870, 690),
        (860, 740),
        (160, 740),
        (140, 600),
    ]
    sole = [(135, 720), (500, 726), (880, 715), (895, 775), (800, 802), (200, 802), (130, 780)]
    laces = [[(345 + k * 44, 470 + k * 26), (420 + k * 44, 430 + k * 36)] for k in range(5)]
    seams = [
        [(300, 380), (330, 560), (300, 735)],
        [(640, 595), (600, 660), (620, 735)],
        [(160, 500), (300, 520)],
        *laces,
    ]
    return [Part(upper, seams), Part(sole, [[(140, 760), (890, 755)]], tone=1.6)]


def shoe() -> list[Part]:
    upper = [(170, 560), (210, 400), (330, 390), (380, 500), (520, 570), (720, 610), (880, 680), (890, 745), (180, 745)]
    sole = [(160, 738), (420, 740), (900, 738), (896, 775), (430, 776), (420, 812), (165, 812)]
    inside = [(212, 412), (330, 394), (360, 450), (240, 470)]
    return [
        Part(
            upper,
            [[(380, 500), (430, 620), (400, 742)], [(640, 600), (620, 680), (660, 742)], [(430, 580), (540, 600)]],
        ),
        Part(inside, tone=0.5),
        Part(sole, tone=0.4),
    ]
