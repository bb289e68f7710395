"""Inception-v4 (Szegedy et al. 2016, "Inception-v4, Inception-ResNet and the Impact of Residual Connections on
Learning", figures 3 to 9) with a choice of how many blocks of each kind it has.
"""

from __future__ import annotations

from typing import Any

import keras

from classifier.learning.networks.backbone import BlockNames, number_blocks
from classifier.learning.networks.catalogue import Preprocessing

Blocks = tuple[int, int, int]
"""The number of Inception-A, -B and -C blocks."""

FULL: Blocks = (4, 7, 3)
"""The blocks of the paper."""
SMALL: Blocks = (2, 3, 1)
"""The blocks of `inception_v4_small`: about half of the paper's. All are as wide as there."""

_Conv = tuple[int, int | tuple[int, int]]
"""Filters and kernel of a convolution."""


def build(size: int, width: float, blocks: Blocks = SMALL, preprocessing: Preprocessing = "own") -> Any:
    """Return the network without a head and with random weights: uint8 [N, size, size, 3] to its last feature map."""
    pixels = keras.Input((size, size, 3), dtype="uint8", name="pixels")
    # The authors scale pixels to [-1, 1], as for Inception v3.
    scale, offset = (1 / 127.5, -1.0) if preprocessing == "own" else (1.0, 0.0)
    x = keras.layers.Rescaling(scale, offset=offset, name="normalise")(pixels)
    graph = _Graph(width)
    x = graph.stem(x)
    count_a, count_b, count_c = blocks
    for _ in range(count_a):
        x = graph.block_a(x)
    x = graph.reduction_a(x)
    for _ in range(count_b):
        x = graph.block_b(x)
    x = graph.reduction_b(x)
    for _ in range(count_c):
        x = graph.block_c(x)
    return keras.Model(pixels, x, name="inception_v4")


def block_numbers(model: Any) -> dict[str, int]:
    """Return the block number of each layer. A reduction counts as a block."""
    return number_blocks(model.layers, BlockNames(member=r"(block\d+)_"))


class _Graph:
    """Adds layers, and names them after the current block."""

    def __init__(self, width: float) -> None:
        self._width = width
        self._block = "stem"
        self._blocks = self._layers = 0

    def stem(self, x: Any) -> Any:
        x = self._conv(x, 32, 3, 2, "valid")
        x = self._chain(self._conv(x, 32, 3, 1, "valid"), (64, 3))
        x = self._join(self._max_pool(x), self._conv(x, 96, 3, 2, "valid"))
        one = self._conv(self._chain(x, (64, 1)), 96, 3, 1, "valid")
        other = self._conv(self._chain(x, (64, 1), (64, (1, 7)), (64, (7, 1))), 96, 3, 1, "valid")
        x = self._join(one, other)
        return self._join(self._conv(x, 192, 3, 2, "valid"), self._max_pool(x))

    def block_a(self, x: Any) -> Any:
        self._start()
        return self._join(
            self._chain(x, (96, 1)),
            self._chain(x, (64, 1), (96, 3)),
            self._chain(x, (64, 1), (96, 3), (96, 3)),
            self._chain(self._mean_pool(x), (96, 1)),
        )

    def reduction_a(self, x: Any) -> Any:
        self._start()
        longer = self._conv(self._chain(x, (192, 1), (224, 3)), 256, 3, 2, "valid")
        return self._join(self._conv(x, 384, 3, 2, "valid"), longer, self._max_pool(x))

    def block_b(self, x: Any) -> Any:
        self._start()
        return self._join(
            self._chain(x, (384, 1)),
            self._chain(x, (192, 1), (224, (1, 7)), (256, (7, 1))),
            self._chain(x, (192, 1), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)), (256, (1, 7))),
            self._chain(self._mean_pool(x), (128, 1)),
        )

    def reduction_b(self, x: Any) -> Any:
        self._start()
        short = self._conv(self._chain(x, (192, 1)), 192, 3, 2, "valid")
        longer = self._conv(self._chain(x, (256, 1), (256, (1, 7)), (320, (7, 1))), 320, 3, 2, "valid")
        return self._join(short, longer, self._max_pool(x))

    def block_c(self, x: Any) -> Any:
        self._start()
        short = self._chain(x, (384, 1))
        longer = self._chain(x, (384, 1), (448, (3, 1)), (512, (1, 3)))
        ends = [self._chain(part, (256, kernel)) for part in (short, longer) for kernel in ((1, 3), (3, 1))]
        return self._join(self._chain(x, (256, 1)), *ends, self._chain(self._mean_pool(x), (256, 1)))

    def _start(self) -> None:
        self._block = f"block{self._blocks}"
        self._blocks += 1
        self._layers = 0

    def _name(self, kind: str) -> str:
        self._layers += 1
        return f"{self._block}_{kind}{self._layers}"

    def _chain(self, x: Any, *convs: _Conv) -> Any:
        for filters, kernel in convs:
            x = self._conv(x, filters, kernel, 1, "same")
        return x

    def _conv(self, x: Any, filters: int, kernel: int | tuple[int, int], stride: int, padding: str) -> Any:
        channels = max(1, round(filters * self._width))
        x = keras.layers.Conv2D(channels, kernel, stride, padding=padding, use_bias=False, name=self._name("conv"))(x)
        x = keras.layers.BatchNormalization(epsilon=1e-3, name=self._name("bn"))(x)
        return keras.layers.ReLU(name=self._name("relu"))(x)

    def _max_pool(self, x: Any) -> Any:
        return keras.layers.MaxPooling2D(3, 2, name=self._name("pool"))(x)

    def _mean_pool(self, x: Any) -> Any:
        return keras.layers.AveragePooling2D(3, 1, padding="same", name=self._name("pool"))(x)

    def _join(self, *parts: Any) -> Any:
        return keras.layers.Concatenate(name=self._name("join"))(list(parts))
