"""A style as drawn figures wear it, its fabrics, and the colours that several styles share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from classifier.learning.data.synthesis.drawing import Colour


@dataclass(frozen=True, slots=True)
class Fabric:
    """A pattern in its two colours."""

    pattern: str
    ground: Colour
    print: Colour


@dataclass(frozen=True, slots=True)
class Style:
    """The garments of the figures of a style."""

    id: str
    group: str
    looks: Sequence[tuple[str, ...]]
    """Garments that are worn together, by their names in the wardrobe, from the inside to the outside."""
    loud: Sequence[Fabric]
    """Fabrics of the garment that catches the eye."""
    quiet: Sequence[Fabric]
    """Fabrics of the other garments."""
    shoes: Sequence[str]
    extras: Sequence[str] = ()
    leather: Colour = (36, 33, 35)
    suede: Colour = (156, 104, 62)
    denim: Colour = (76, 104, 150)


WHITE, IVORY, BLACK, INK = (246, 245, 242), (240, 230, 210), (28, 27, 30), (20, 19, 22)
NAVY, CAMEL, CHARCOAL, STONE = (32, 42, 84), (196, 154, 104), (70, 73, 80), (150, 154, 160)
OLIVE, RED, WINE, GOLD = (94, 98, 58), (198, 34, 40), (122, 22, 52), (226, 178, 50)


def fabric(pattern: str, ground: Colour, print_: Colour = WHITE) -> Fabric:
    return Fabric(pattern, ground, print_)
