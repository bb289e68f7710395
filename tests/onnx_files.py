"""Write a small ONNX file without the package onnx: a pointwise convolution of a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_FLOAT = 1
"""TensorProto.DataType.FLOAT of onnx.proto."""


def write_pointwise(path: Path, weights: NDArray[np.float32], side: int) -> Path:
    """Write a network with the input [1, 3, side, side] and weights [channels, 3], whose output has the same layout.

    The numbers of the fields are those of onnx.proto.
    """
    channels = len(weights)
    shape = b"".join(_integer(1, length) for length in (channels, 3, 1, 1))
    values = weights.astype("<f4").tobytes()
    initializer = shape + _integer(2, _FLOAT) + _text(8, "weights") + _message(9, values)
    node = _text(1, "pixels") + _text(1, "weights") + _text(2, "scores") + _text(4, "Conv")
    graph = _message(1, node) + _text(2, "pointwise") + _message(5, initializer)
    graph += _message(11, _tensor("pixels", (1, 3, side, side))) + _message(
        12, _tensor("scores", (1, channels, side, side))
    )
    path.write_bytes(_integer(1, 8) + _message(7, graph) + _message(8, _integer(2, 13)))
    return path


def _tensor(name: str, shape: tuple[int, ...]) -> bytes:
    dimensions = b"".join(_message(1, _integer(1, length)) for length in shape)
    return _text(1, name) + _message(2, _message(1, _integer(1, _FLOAT) + _message(2, dimensions)))


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])
