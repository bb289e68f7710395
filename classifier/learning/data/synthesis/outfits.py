"""Dresses a figure: chooses garments, fabrics, shoes and extras of a style, as clearly as the difficulty allows."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from classifier.learning.data.synthesis.drawing import Colour
from classifier.learning.data.synthesis.figure import HAIR_CUTS, HAIRS, SKINS
from classifier.learning.data.synthesis.style import Fabric, Style
from classifier.learning.data.synthesis.styles import BASICS, BY_ID, STYLES, mates
from classifier.learning.data.synthesis.wardrobe import WARDROBE, Slot

T = TypeVar("T")

_OTHER_STYLE, _GROUP_MATE, _BASIC = 0.16, 0.24, 0.26
"""At difficulty 1, the shares of garments and fabrics that come from any style, from a style of the same group, and
from the basics. The rest comes from the picture's style. At difficulty 0, everything does."""


@dataclass(frozen=True, slots=True)
class Dressed:
    """A garment of an outfit, with its fabric."""

    garment: str
    fabric: Fabric
    style: str
    """The style for which it was chosen: the main style or the sub-style."""


@dataclass(frozen=True, slots=True)
class Outfit:
    """The garments and the looks of a figure."""

    garments: tuple[Dressed, ...]
    shoes: str
    shoe_colour: Colour
    extras: tuple[str, ...]
    accent: Colour
    """The colour of extras such as a bag or a scarf."""
    skin: Colour
    hair: Colour
    hair_cut: str
    contrast: float
    """How strongly prints differ from their ground, 0 to 1."""


def choose_outfit(random: np.random.Generator, main: str, sub: str | None, difficulty: float) -> Outfit:
    """Return an outfit of a style. With a sub-style, one or two garments and an extra come from that style instead."""
    style = BY_ID[main]
    names = list(_pick(random, _blurred(random, style, difficulty).looks))
    owners = [style] * len(names)
    if sub is not None:
        _mix_in(random, names, owners, BY_ID[sub])
    garments = _with_fabrics(random, names, owners, difficulty)
    last = owners[0]
    source = _blurred(random, last, difficulty)
    extras = [extra for owner in dict.fromkeys(owners) for extra in _some(random, owner.extras, difficulty)]
    return Outfit(
        tuple(garments),
        str(_pick(random, source.shoes)),
        _shaken(random, garments[0].fabric.ground if random.random() < 0.3 else (58, 48, 46), difficulty),
        tuple(extras),
        garments[-1].fabric.print,
        _pick(random, SKINS),
        _pick(random, HAIRS),
        str(_pick(random, HAIR_CUTS)),
        1 - 0.55 * difficulty * float(random.random()),
    )


def _pick(random: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(random.integers(len(choices)))]


def _blurred(random: np.random.Generator, style: Style, difficulty: float) -> Style:
    """Return the style itself, or the more often another one, the greater the difficulty."""
    drawn = float(random.random())
    if drawn < _OTHER_STYLE * difficulty:
        return _pick(random, STYLES)
    others = mates(style)
    if drawn < (_OTHER_STYLE + _GROUP_MATE) * difficulty and others:
        return _pick(random, others)
    return style


def _mix_in(random: np.random.Generator, names: list[str], owners: list[Style], sub: Style) -> None:
    """Replace one garment of the look by the sub-style's garment for the same part of the body, or add one."""
    look = _pick(random, sub.looks)
    own_slots = [WARDROBE[name].slot for name in names]
    order = [int(k) for k in random.permutation(len(look))]
    for k in order:
        slot = WARDROBE[look[k]].slot
        if slot in own_slots and len(names) > 1:
            names[own_slots.index(slot)] = look[k]
            owners[own_slots.index(slot)] = sub
            return
    outers = [look[k] for k in order if WARDROBE[look[k]].slot is Slot.OUTER] or ["cardigan"]
    if Slot.OUTER not in own_slots:
        names.append(outers[0])
        owners.append(sub)
    else:
        owners[own_slots.index(Slot.OUTER)] = sub


def _with_fabrics(
    random: np.random.Generator, names: Sequence[str], owners: Sequence[Style], difficulty: float
) -> list[Dressed]:
    """Return the garments with fabrics: the largest garment of each style is loud, the others are quiet."""
    loud = {owner.id: _largest(names, owners, owner) for owner in owners}
    return [
        Dressed(name, _fabric(random, name, owner, difficulty, loud=loud[owner.id] == k), owner.id)
        for k, (name, owner) in enumerate(zip(names, owners, strict=True))
    ]


def _largest(names: Sequence[str], owners: Sequence[Style], owner: Style) -> int:
    """Return the position of the garment that catches the eye: a dress, an outer garment, a top, a bottom."""
    order = (Slot.DRESS, Slot.OUTER, Slot.TOP, Slot.BOTTOM)
    free = [k for k, other in enumerate(owners) if other is owner and not WARDROBE[names[k]].pattern]
    own = free or [k for k, other in enumerate(owners) if other is owner]
    return min(own, key=lambda k: order.index(WARDROBE[names[k]].slot))


def _fabric(random: np.random.Generator, name: str, owner: Style, difficulty: float, *, loud: bool) -> Fabric:
    style = _blurred(random, owner, difficulty)
    own_pattern = WARDROBE[name].pattern
    if own_pattern:
        colour = {"leather": style.leather, "suede": style.suede, "denim": style.denim}[own_pattern]
        light: Colour = (200, 198, 202) if own_pattern == "leather" else (90, 56, 34)
        fabric = Fabric(own_pattern, colour, light)
    elif random.random() < _BASIC * difficulty:
        fabric = _pick(random, BASICS)
    else:
        fabric = _pick(random, style.loud if loud else style.quiet)
    if not own_pattern and random.random() < 0.35 * difficulty:
        fabric = replace(fabric, pattern="plain")
    return replace(
        fabric,
        ground=_shaken(random, fabric.ground, difficulty),
        print=_shaken(random, fabric.print, difficulty),
    )


def _some(random: np.random.Generator, extras: Sequence[str], difficulty: float) -> list[str]:
    keep = 0.75 - 0.4 * difficulty
    return [extra for extra in extras if random.random() < keep]


def _shaken(random: np.random.Generator, colour: Colour, difficulty: float) -> Colour:
    """Return the colour with other hue, saturation and lightness; the more, the greater the difficulty."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour))
    spread = 0.012 + 0.05 * difficulty
    hue = (hue + random.normal(0, spread * 0.7)) % 1
    saturation = float(np.clip(saturation * (1 - 0.35 * difficulty * random.random()) + random.normal(0, spread), 0, 1))
    value = float(np.clip(value + random.normal(0, spread * 1.6), 0.04, 1))
    red, green, blue = (round(channel * 255) for channel in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue
