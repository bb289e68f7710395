"""Backbones as training uses them, and the numbers of their blocks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STEM = -1
"""The block number of the layers before the first block."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network without a head.

    `pixels` is its input, uint8 [N, size, size, 3]. `features` is the output of its last layer, which is called
    FEATURES: float [N, height, width, channels]. Over views, `pixels` is uint8 [N, views, size, size, 3].
    """

    pixels: Any
    features: Any
    blocks: Mapping[str, int]
    """The block number of each layer. Layers after the last block are missing."""
    pretrained: frozenset[str]
    """The names of the layers whose weights were loaded. The weights of other layers are random."""
    has_new_part: bool
    """Whether it has layers of its own on another network, whose weights are random in any case."""
    fused: Any = None
    """The features of all views, [N, channels]. Without views, the head takes the mean of `features`."""

    @property
    def block_count(self) -> int:
        """The number of blocks. They are numbered from 0."""
        return 1 + max(self.blocks.values())

    def block_of(self, layer_name: str) -> int:
        """Return the block number of a layer: STEM before the first block, `block_count` after the last."""
        return self.blocks.get(layer_name, self.block_count)


@dataclass(frozen=True, slots=True)
class BlockNames:
    """How the names of layers show their block.

    Either each layer of a block matches `member`, whose first group is the block, or the last layer of each block
    matches `end`.
    """

    member: str = ""
    end: str = ""


def number_blocks(layers: Sequence[Any], names: BlockNames) -> dict[str, int]:
    """Return the block number of each layer up to the end of the last block. `layers` are in the order of the graph.

    A layer without a telling name belongs to the block of the layer before it.
    """
    return _by_end(layers, names.end) if names.end else _by_member(layers, names.member)


def _by_end(layers: Sequence[Any], end: str) -> dict[str, int]:
    numbers, current = {}, 0
    for layer in layers:
        numbers[layer.name] = current
        current += bool(re.fullmatch(end, layer.name))
    return {name: number for name, number in numbers.items() if number < current}


def _by_member(layers: Sequence[Any], member: str) -> dict[str, int]:
    matches = [re.match(member, layer.name) for layer in layers]
    last = max(index for index, match in enumerate(matches) if match)
    keys: list[str] = []
    numbers, current = {}, STEM
    for layer, match in zip(layers[: last + 1], matches, strict=False):
        if match:
            if match[1] not in keys:
                keys.append(match[1])
            current = keys.index(match[1])
        numbers[layer.name] = current
    return numbers
