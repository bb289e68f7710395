"""The drawn person: joints, body outline and pose.

Coordinates are figure units: y runs from 0 at the crown to 1000 at the soles, and x is 0 on the middle line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.learning.data.synthesis.drawing import Colour, Point

SKINS: Sequence[Colour] = ((247, 220, 198), (238, 202, 174), (222, 180, 148), (184, 134, 100), (128, 86, 62))
HAIRS: Sequence[Colour] = ((34, 28, 28), (62, 42, 34), (104, 70, 46), (150, 108, 66), (196, 160, 104))
HAIR_CUTS = ("long", "bob", "bun", "short")

NECK, SHOULDER, CHEST, WAIST, HIP, CROTCH = 148, 170, 262, 385, 490, 522
"""Heights of the body, in figure units from the crown."""
_HEIGHTS = (NECK, SHOULDER, CHEST, WAIST, HIP, CROTCH)
_HALF_WIDTHS = (24, 88, 72, 57, 82, 84)
_UPPER_ARM, _FOREARM, _THIGH, _SHIN = 168.0, 152.0, 222.0, 212.0

ELBOW = _UPPER_ARM / (_UPPER_ARM + _FOREARM)
"""Where the elbow is, as a share of the arm."""

_ARMS = {"down": (0.13, 0.05), "on hip": (0.66, -0.78), "in pocket": (0.34, -0.34), "away": (0.36, 0.30)}
"""Angles of upper arm and forearm from straight down, in radians; positive is away from the body."""
_PHONE_ARM = (0.42, -2.75)
_LEGS = {
    "standing": ((0.035, 0.02), (0.035, 0.02)),
    "apart": ((0.12, 0.08), (0.12, 0.08)),
    "on one leg": ((0.02, 0.0), (0.16, 0.02)),
    "walking": ((0.10, -0.08), (0.10, 0.16)),
}
"""Angles of thigh and shin, for the left and the right leg."""


@dataclass(frozen=True, slots=True)
class Body:
    """A posed body. Arms and legs are lists of joints, first the left one (in the picture), then the right one."""

    arms: tuple[list[Point], list[Point]]
    legs: tuple[list[Point], list[Point]]
    lean: float
    """How far the shoulders are beside the hips."""
    shoulders: float
    """Factor of the width of shoulders and waist."""

    def middle(self, y: float) -> float:
        """Return x of the middle line at a height."""
        return self.lean * (HIP - y) / HIP if y < HIP else 0.0

    def half(self, y: float) -> float:
        """Return half the width of the trunk at a height."""
        width = float(np.interp(y, _HEIGHTS, _HALF_WIDTHS))
        return width * (self.shoulders if y < HIP else 1.0)

    def both_sides(self, right: Sequence[Point]) -> list[Point]:
        """Return the outline of something symmetric from its right half, along the leaning middle line."""
        halves = [*right, *((-x, y) for x, y in reversed(right))]
        return [(x + self.middle(y), y) for x, y in halves]


def pose(random: np.random.Generator, *, phone: bool) -> Body:
    """Return a body in a random pose. With `phone`, it holds a phone before its face, as before a mirror."""
    lean, shoulders = float(random.normal(0, 7)), float(random.uniform(0.95, 1.08))
    arms = [_ARMS[str(name)] for name in random.choice(list(_ARMS), 2)]
    if phone:
        arms[1] = _PHONE_ARM
    legs = _LEGS[str(random.choice(list(_LEGS)))]
    if random.random() < 0.5:
        legs = (legs[1], legs[0])
    top = (float(random.normal(0, 0.03)), float(random.normal(0, 0.03)))
    return Body(
        (
            _arm(-1, arms[0], lean, shoulders, top[0]),
            _arm(1, arms[1], lean, shoulders, top[1]),
        ),
        (_leg(-1, legs[0]), _leg(1, legs[1])),
        lean,
        shoulders,
    )


def _walk(start: Point, side: int, steps: Sequence[tuple[float, float]]) -> list[Point]:
    joints = [start]
    for angle, length in steps:
        x, y = joints[-1]
        joints.append((x + side * length * float(np.sin(angle)), y + length * float(np.cos(angle))))
    return joints


def _arm(side: int, angles: tuple[float, float], lean: float, shoulders: float, shake: float) -> list[Point]:
    shoulder = (side * 80 * shoulders + lean * (HIP - SHOULDER) / HIP, SHOULDER + 10.0)
    return _walk(shoulder, side, [(angles[0] + shake, _UPPER_ARM), (angles[1] + shake, _FOREARM)])


def _leg(side: int, angles: tuple[float, float]) -> list[Point]:
    return _walk((side * 41, CROTCH - 16.0), side, [(angles[0], _THIGH), (angles[1], _SHIN)])


def limb(joints: Sequence[Point], widths: Sequence[float] | NDArray[np.float64]) -> list[Point]:
    """Return the outline of a limb or a sleeve, from its joints and half its width at each."""
    points = np.asarray(joints, float)
    steps = np.diff(points, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True) + 1e-9
    along = np.vstack([steps[:1], (steps[:-1] + steps[1:]) / 2, steps[-1:]])
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    across = np.column_stack([-along[:, 1], along[:, 0]]) * np.asarray(widths, float)[:, None]
    outline = np.vstack([points + across, (points - across)[::-1]])
    return [(float(x), float(y)) for x, y in outline]


def along(joints: Sequence[Point], share: float) -> Point:
    """Return the point after a share (0 to 1) of the way along the joints."""
    points = np.asarray(joints, float)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = share * lengths[-1]
    return float(np.interp(at, lengths, points[:, 0])), float(np.interp(at, lengths, points[:, 1]))


def part_of(joints: Sequence[Point], begin: float, end: float, steps: int = 5) -> list[Point]:
    """Return joints for the part of a limb between two shares of its way."""
    return [along(joints, share) for share in np.linspace(begin, end, steps)]


def trunk(body: Body) -> list[Point]:
    """Return the outline of neck and trunk."""
    right = [
        (20.0, 104.0),
        (20.0, 138.0),
        (44.0, 154.0),
        (body.half(SHOULDER), SHOULDER),
        (body.half(CHEST), float(CHEST)),
        (body.half(WAIST), float(WAIST)),
        (body.half(HIP), float(HIP)),
        (60.0, 540.0),
    ]
    return body.both_sides(right)


def bare_arm(joints: Sequence[Point]) -> list[list[Point]]:
    """Return the outlines of an upper arm and of a forearm with its hand. Two outlines keep a bent elbow whole."""
    shoulder, elbow, wrist = joints
    direction = (np.asarray(wrist) - np.asarray(elbow)) / _FOREARM
    palm, tip = np.asarray(wrist) + 20 * direction, np.asarray(wrist) + 44 * direction
    over = np.asarray(elbow) - 8 * direction
    forearm = [(over[0], over[1]), wrist, (palm[0], palm[1]), (tip[0], tip[1])]
    return [limb([shoulder, elbow], (21, 16)), limb(forearm, (16, 11, 14, 6))]


def bare_leg(joints: Sequence[Point]) -> list[Point]:
    """Return the outline of a leg, without its foot."""
    hip, knee, ankle = joints
    calf = part_of([knee, ankle], 0.3, 0.3, 1)[0]
    return limb([hip, knee, calf, ankle], (40, 25, 25, 13))
