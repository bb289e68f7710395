"""Draws one picture of a dressed figure, and says where its garments are."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from classifier.learning.data.synthesis.canvas import Canvas, Frame
from classifier.learning.data.synthesis.cloths import cloth_of
from classifier.learning.data.synthesis.cuts import Piece, Worn
from classifier.learning.data.synthesis.drawing import Colour, Part, Point, grain, plain
from classifier.learning.data.synthesis.extras import (
    draw_at_neck,
    draw_back_hair,
    draw_carried,
    draw_head,
    draw_shoes,
)
from classifier.learning.data.synthesis.figure import Body, bare_arm, bare_leg, pose, trunk
from classifier.learning.data.synthesis.outfits import Dressed, Outfit, choose_outfit
from classifier.learning.data.synthesis.scenes import Format, draw_scene
from classifier.learning.data.synthesis.wardrobe import WARDROBE, Slot

_LEAST_AREA = 0.004
"""A garment that shows in less than this share of the picture is left out of the label file."""
_LEAST_SHARE = 0.12
"""A visible part of a garment has a polygon of its own if it has this share of the largest part's area."""
_TOLERANCE = 0.9
"""How far a polygon may be from the garment's edge, in pixels."""
_QUALITY = 88
_TIGHT = {"skinny", "ripped skinny", "leggings"}
_OUTFIT, _SHOT, _COPY = 1, 2, 3
"""The streams of random numbers of a product, of one of its shots, and of a copy of a shot."""


@dataclass(frozen=True, slots=True)
class Shot:
    """The content of a picture. The same shot always gives the same bytes."""

    seed: int
    product: int
    number: int
    main: str
    sub: str | None
    format: Format
    hue: float
    """The tint of the ground, 0 to 1."""
    difficulty: float
    size: int
    """The height of the picture in pixels."""
    copy: int = 0
    """0 for the shot itself; 1, 2, … for near-duplicates of it, which differ in crop and brightness."""

    def random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.product, *stream])


@dataclass(frozen=True, slots=True)
class SeenGarment:
    """A garment of the outfit as a picture shows it."""

    dressed: Dressed
    polygons: list[list[tuple[int, int]]]
    """The outlines of its visible parts in pixels, the largest first."""
    box: tuple[int, int, int, int]
    """Left, top, width and height of all parts in pixels."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The file of a picture, and what it shows."""

    data: bytes
    width: int
    height: int
    garments: list[SeenGarment]


def draw_shot(shot: Shot) -> Drawn:
    """Return the JPEG file of a shot, with the polygons of its garments."""
    outfit = choose_outfit(shot.random(_OUTFIT), shot.main, shot.sub, shot.difficulty)
    random = shot.random(_SHOT, shot.number)
    phone = shot.format is Format.MIRROR
    body = pose(random, phone=phone)
    width = round(shot.size * random.choice([0.72, 0.75, 0.8]))
    frame = _frame(random, (width, shot.size), shot.difficulty)
    ground = draw_scene((width, shot.size), shot.format, shot.hue, random)
    _cast_shadow(ground, frame)
    canvas = Canvas(ground, frame, random)
    openings = draw_figure(canvas, body, outfit, phone=phone)
    picture, owners = _photographed(canvas, shot.difficulty, random)
    if shot.copy:
        picture, owners, openings = _copied(picture, owners, openings, shot)
    garments = find_garments(np.asarray(owners), outfit, openings)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=_QUALITY)
    return Drawn(out.getvalue(), picture.width, picture.height, garments)


def _frame(random: np.random.Generator, size: tuple[int, int], difficulty: float) -> Frame:
    """Return a framing: the whole figure, from the head to the knees, or without head."""
    width, height = size
    kind = random.random()
    close = 0.25 + 0.35 * difficulty
    if kind < close / 2:
        scale, top = height / random.uniform(760, 860), random.uniform(0.03, 0.06)
    elif kind < close:
        scale, top = height / random.uniform(820, 900), -0.11
    else:
        scale, top = height / random.uniform(1060, 1150), random.uniform(0.03, 0.06)
    x = width * random.uniform(0.47 - 0.06 * difficulty, 0.53 + 0.06 * difficulty)
    return Frame(scale, x, height * top)


def _cast_shadow(ground: Image.Image, frame: Frame) -> None:
    shadow = Image.new("L", ground.size, 0)
    x, y = frame.place([(0, 1000)])[0]
    half = 150 * frame.scale
    ImageDraw.Draw(shadow).ellipse((x - half, y - half * 0.22, x + half, y + half * 0.16), fill=110)
    ground.paste((24, 22, 22), (0, 0), shadow.filter(ImageFilter.GaussianBlur(12 * frame.scale)))


def draw_figure(canvas: Canvas, body: Body, outfit: Outfit, *, phone: bool) -> list[list[Point] | None]:
    """Draw the person in the outfit. Return the open front of each garment in pixels, or None where it is closed."""
    worn = [WARDROBE[dressed.garment].wear(body) for dressed in outfit.garments]
    cloths = [
        canvas.weave(cloth_of(d.fabric.pattern, d.fabric.ground, d.fabric.print, outfit.contrast))
        for d in outfit.garments
    ]
    skin = canvas.weave(plain(outfit.skin))

    def paint(index: int, pieces: list[Piece]) -> None:
        canvas.paint(pieces, cloths[index], _dyes(outfit, outfit.garments[index]), index + 1)

    draw_back_hair(canvas, body, outfit)
    for index, garment in enumerate(worn):
        paint(index, garment.behind)
    canvas.paint([Piece(Part(bare_leg(joints))) for joints in body.legs], skin)
    canvas.paint([Piece(Part(trunk(body)))], skin)
    order = _order(outfit)
    boots_over = any(dressed.garment in _TIGHT for dressed in outfit.garments)
    if not boots_over:
        draw_shoes(canvas, body, outfit)
    for index in order:
        if _is_outer(outfit.garments[index]):
            draw_at_neck(canvas, body, outfit)
        paint(index, worn[index].trunk)
    if boots_over:
        draw_shoes(canvas, body, outfit)
    if not any(map(_is_outer, outfit.garments)):
        draw_at_neck(canvas, body, outfit)
    canvas.paint([Piece(Part(outline)) for joints in body.arms for outline in bare_arm(joints)], skin)
    covered = any(worn[index].sleeves and _is_outer(outfit.garments[index]) for index in order)
    for index in order:
        # The sleeves of a jacket hide the others, which may be wider.
        if not covered or _is_outer(outfit.garments[index]):
            paint(index, worn[index].sleeves)
    draw_head(canvas, body, outfit)
    draw_carried(canvas, body, outfit, phone=phone)
    return [_opening(garment, canvas) for garment in worn]


def _is_outer(dressed: Dressed) -> bool:
    return WARDROBE[dressed.garment].slot is Slot.OUTER


def _dyes(outfit: Outfit, dressed: Dressed) -> dict[str, Colour]:
    return {"print": dressed.fabric.print, "skin": outfit.skin, "white": (244, 244, 242), "gold": (222, 180, 70)}


def _order(outfit: Outfit) -> list[int]:
    """Return the positions of the garments from the inside to the outside. Some tops are tucked in."""
    slots = [WARDROBE[dressed.garment].slot for dressed in outfit.garments]
    tucked = any(dressed.garment in {"shirt", "silk blouse", "blouse", "turtleneck"} for dressed in outfit.garments)
    ranks = {Slot.TOP: 0 if tucked else 2, Slot.BOTTOM: 1, Slot.DRESS: 2, Slot.OUTER: 3}
    if Slot.DRESS in slots and Slot.TOP in slots:
        ranks[Slot.TOP] = 0
    return sorted(range(len(slots)), key=lambda index: ranks[slots[index]])


def _opening(garment: Worn, canvas: Canvas) -> list[Point] | None:
    return None if garment.opening is None else canvas.frame.place(garment.opening)


def _photographed(canvas: Canvas, difficulty: float, random: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Return the picture as a camera saw it (light, cast, noise), and its owners."""
    pixels = np.asarray(canvas.picture, np.float32)
    cast = random.normal(1, 0.008 + 0.05 * difficulty, 3)
    light = float(np.clip(random.normal(1, 0.03 + 0.12 * difficulty), 0.6, 1.4))
    lit = Image.fromarray(np.clip(pixels * (cast * light), 0, 255).astype(np.uint8))
    if random.random() < 0.5 * difficulty:
        lit = lit.filter(ImageFilter.GaussianBlur(lit.height / 260))
    return grain(lit, random, 1.2 + 9 * difficulty * float(random.random())), canvas.owners


def copy_strength(shot: Shot) -> dict[str, float]:
    """Return how a near-duplicate differs from its shot: the shares that are cropped, and the factor of brightness.

    Some copies are almost the same, and others clearly differ, so that a search for duplicates finds a part of them.
    """
    random = shot.random(_COPY, shot.number, shot.copy)
    strength = float(random.random())
    sides = {side: round(strength * float(random.uniform(0, 0.035)), 4) for side in ("left", "top", "right", "bottom")}
    return {**sides, "brightness": round(1 + strength * float(random.uniform(-0.06, 0.07)), 4)}


def _copied(
    picture: Image.Image, owners: Image.Image, openings: list[list[Point] | None], shot: Shot
) -> tuple[Image.Image, Image.Image, list[list[Point] | None]]:
    change = copy_strength(shot)
    left, top = round(change["left"] * picture.width), round(change["top"] * picture.height)
    box = (
        left,
        top,
        picture.width - round(change["right"] * picture.width),
        picture.height - round(change["bottom"] * picture.height),
    )
    moved = [None if points is None else [(x - left, y - top) for x, y in points] for points in openings]
    return ImageEnhance.Brightness(picture.crop(box)).enhance(change["brightness"]), owners.crop(box), moved


def find_garments(owners: NDArray[np.uint8], outfit: Outfit, openings: list[list[Point] | None]) -> list[SeenGarment]:
    """Return the garments that the picture shows, each with the outlines of its visible parts.

    The outline of an open garment includes its open front, as people draw it.
    """
    seen = []
    for index, dressed in enumerate(outfit.garments):
        mask = owners == index + 1
        opening = openings[index]
        if opening is not None:
            front = Image.new("1", (owners.shape[1], owners.shape[0]))
            ImageDraw.Draw(front).polygon(opening, fill=1)
            mask |= np.asarray(front) & (owners > 0)
        if mask.sum() < _LEAST_AREA * mask.size:
            continue
        polygons = _outlines(mask)
        if polygons:
            xs, ys = ([point[axis] for polygon in polygons for point in polygon] for axis in (0, 1))
            box = (min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1)
            seen.append(SeenGarment(dressed, polygons, box))
    return seen


def _outlines(mask: NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """Return the outlines of the large parts of a mask as (x, y), the largest first."""
    from skimage.measure import approximate_polygon, find_contours

    height, width = mask.shape
    contours = sorted(find_contours(np.pad(mask, 1).astype(np.float32), 0.5), key=_area, reverse=True)
    polygons = []
    for contour in contours:
        # A contour around a hole runs the other way, and its area is negative.
        if _area(contour) < _LEAST_SHARE * _area(contours[0]):
            break
        simple = approximate_polygon(contour, _TOLERANCE)[:-1] - 1
        points = [
            (int(np.clip(round(x), 0, width - 1)), int(np.clip(round(y), 0, height - 1))) for y, x in simple.tolist()
        ]
        if len(points) >= 3:
            polygons.append(points)
    return polygons


def _area(contour: NDArray[np.float64]) -> float:
    """Return the area inside a closed contour (Gauss's area formula); it is negative around a hole."""
    y, x = contour[:, 0], contour[:, 1]
    return float(np.dot(y, np.roll(x, 1)) - np.dot(x, np.roll(y, 1))) / 2
