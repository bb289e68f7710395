"""Find the person or the garments of a picture with a segmenter: a pretrained network from an ONNX or TFLite file.

OpenVINO runs it on one thread, because pictures are decoded in several threads or processes at a time.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier.garments import GARMENT_NAMES
from core.errors import ArtifactInvalid

PERSON = "person"
"""The name of a segment that is no single garment."""

SUFFIXES = (".onnx", ".tflite")
_THRESHOLD = 0.5
"""Score from which a pixel belongs to the only channel of a segmenter."""
_LEAST_SHARE = 0.01
"""Share of the picture below which a segment counts as not found."""


@dataclass(frozen=True, slots=True)
class SegmenterFile:
    """The file of a segmenter, and how to use it.

    Its input is one RGB picture, float32 [1, height, width, 3] or [1, 3, height, width] of a fixed size, with
    (x / 255 - mean) / std for pixels x. Its output has the same layout, with one channel of scores from 0 to 1, or with
    several channels, of which the largest one wins at each pixel.
    """

    path: Path = field(compare=False)
    sha256: str
    channels: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """The channels that mean a garment or PERSON. If empty, the only channel, or every one but the first, is PERSON."""
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    @classmethod
    def of(
        cls,
        path: Path,
        channels: Mapping[str, tuple[int, ...]] | None = None,
        mean: tuple[float, ...] = (0.0, 0.0, 0.0),
        std: tuple[float, ...] = (1.0, 1.0, 1.0),
    ) -> Self:
        """Return the description of a file on this machine.

        Raises:
            ArtifactInvalid: the file cannot be read, or an option has another form.
        """
        if path.suffix not in SUFFIXES:
            raise ArtifactInvalid(f"expected a segmenter in a file {' or '.join(SUFFIXES)}, got {path.name}")
        unknown = sorted(set(channels or {}) - {*GARMENT_NAMES, PERSON})
        if unknown:
            expected = ", ".join((*GARMENT_NAMES, PERSON))
            raise ArtifactInvalid(f"segmenter: expected channels of {expected}; got {', '.join(unknown)}")
        if len(mean) != 3 or len(std) != 3 or 0.0 in std:
            raise ArtifactInvalid(f"segmenter: expected three means and three std above 0, got {mean} and {std}")
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise ArtifactInvalid(f"cannot read the segmenter {path}: {error.strerror}") from error
        return cls(path, digest, _sorted(channels or {}), mean, std)

    @property
    def finds_garments(self) -> bool:
        """Whether it tells garments apart."""
        return any(name in GARMENT_NAMES for name, _ in self.channels)

    def to_json(self) -> dict[str, Any]:
        """Return the member `segmenter` of `input.json`, which names the file without its folder."""
        channels = {name: list(of) for name, of in self.channels}
        return {
            "file": self.path.name,
            "sha256": self.sha256,
            "channels": channels,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], folder: Path) -> Self:
        """Return the segmenter of an `input.json` in a folder."""
        return cls(
            folder / data["file"], data["sha256"], _sorted(data["channels"]), tuple(data["mean"]), tuple(data["std"])
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """The pixels of a garment or a person: bool [height, width] at the resolution of the segmenter."""

    name: str
    mask: NDArray[np.bool_]

    def bounds(self) -> tuple[float, float, float, float]:
        """Return the box of the mask as shares of the picture: left, top, right, bottom.

        Rows and columns with less than 2 % of the pixels of the fullest one count as specks and are left out.
        """
        (left, right), (top, bottom) = (_extent(self.mask.sum(axis)) for axis in (0, 1))
        height, width = self.mask.shape
        return left / width, top / height, right / width, bottom / height


def segment(image: Image.Image, file: SegmenterFile) -> list[Segment]:
    """Return the segments of a picture in mode RGB. The list is empty if nothing is found.

    Any thread may call this. The first call of a thread loads the segmenter.

    Raises:
        ArtifactInvalid: the file is no segmenter of the form that `SegmenterFile` describes.
    """
    segments = _loaded(file).run(image)
    return [found for found in segments if found.mask.mean() >= _LEAST_SHARE]


def warm_up(file: SegmenterFile) -> None:
    """Load a segmenter in this thread, so that the next call of `segment` allocates little.

    Raises:
        ArtifactInvalid: as `segment`.
    """
    segment(Image.new("RGB", (8, 8)), file)


class _Segmenter:
    """A segmenter that one thread has loaded."""

    def __init__(self, file: SegmenterFile) -> None:
        import openvino as ov
        from openvino.frontend import ConversionExtension

        self._file = file
        core = ov.Core()
        core.add_extension(ConversionExtension("Convolution2DTransposeBias", _transposed_convolution))
        try:
            model = core.read_model(file.path)
            shape = model.input(0).get_partial_shape()
            sides = [None if length.is_dynamic else length.get_length() for length in shape]
            self._channels_first = len(sides) == 4 and sides[1] == 3
            height, width = sides[2:] if self._channels_first else sides[1:3]
            if len(sides) != 4 or not height or not width or 3 not in (sides[1], sides[3]):
                raise ValueError(f"an input {shape}")
            model.reshape([1, 3, height, width] if self._channels_first else [1, height, width, 3])
            options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
            self._request = core.compile_model(model, "CPU", options).create_infer_request()
            self._size = (width, height)
            self._check_output(model.output(0).get_partial_shape())
        except (RuntimeError, ValueError, IndexError) as error:
            raise ArtifactInvalid(
                f"{file.path.name}: expected a segmenter with an input [1, height, width, 3] or [1, 3, height, width] "
                f"of a fixed size and scores of the same layout, got {error}"
            ) from error

    def _check_output(self, shape: Any) -> None:
        if len(shape) != 4:
            raise ValueError(f"an output {shape}")
        count = shape[1 if self._channels_first else 3].get_length()
        used = [number for _, numbers in self._file.channels for number in numbers]
        if any(number >= count or number < 0 for number in used):
            raise ValueError(f"an output of {count} channels, where the recipe names {used}")

    def run(self, image: Image.Image) -> list[Segment]:
        pixels = np.asarray(image.resize(self._size, Image.Resampling.BILINEAR), np.float32) / 255.0
        values = ((pixels - np.array(self._file.mean, np.float32)) / np.array(self._file.std, np.float32))[None]
        scores = self._request.infer({0: values.transpose(0, 3, 1, 2) if self._channels_first else values})[0][0]
        if self._channels_first:
            scores = scores.transpose(1, 2, 0)
        count = scores.shape[-1]
        winner = scores.argmax(axis=-1) if count > 1 else np.where(scores[..., 0] > _THRESHOLD, 0, -1)
        channels = self._file.channels or ((PERSON, (0,) if count == 1 else tuple(range(1, count))),)
        return [Segment(name, np.isin(winner, numbers)) for name, numbers in channels]


def _sorted(channels: Mapping[str, Sequence[int]]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((name, tuple(numbers)) for name, numbers in sorted(channels.items()))


_threads = threading.local()


def _loaded(file: SegmenterFile) -> _Segmenter:
    """Return the segmenter of this thread, which keeps those that it has used."""
    known: dict[SegmenterFile, _Segmenter] | None = getattr(_threads, "segmenters", None)
    if known is None:
        known = _threads.segmenters = {}
    if file not in known:
        known[file] = _Segmenter(file)
    return known[file]


def _transposed_convolution(node: Any) -> list[Any]:
    """Convert MediaPipe's custom operation: a transposed convolution with stride 2 and a bias, pixels in NHWC.

    The weights [output channels, 2, 2, input channels] are those of TFLite's TransposeConv. The kernel is as large as
    the stride, so that no padding is needed.
    """
    import openvino.opset13 as ops

    pixels, weights, bias = (node.get_input(number) for number in range(3))
    strides = list(weights.get_shape()[1:3])
    result = ops.convolution_backprop_data(
        ops.transpose(pixels, np.array([0, 3, 1, 2])),
        ops.transpose(weights, np.array([3, 0, 1, 2])),
        strides=strides,
    )
    return [ops.add(ops.transpose(result, np.array([0, 2, 3, 1])), bias).output(0)]


def _extent(counts: NDArray[np.int64]) -> tuple[int, int]:
    """Return the first position that is no speck, and the one after the last."""
    kept = np.flatnonzero(counts > 0.02 * counts.max(initial=0))
    return (int(kept[0]), int(kept[-1]) + 1) if len(kept) else (0, 0)
