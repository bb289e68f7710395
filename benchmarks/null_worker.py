"""A worker with decoded pictures and a model that costs nothing, to measure the rest: queue, batching and database.

`python -m benchmarks.null_worker`, with the settings of any worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

import worker.parts
import worker.predicting.models
from classifier.artifact import Artifact
from classifier.prepare import InputSpec
from core.settings import Settings
from core.types import PictureInfo, PictureKey
from worker.app import CLASSIFY_QUEUES, run_worker
from worker.decoding.pool import PICTURES_PER_CALL, DecodedPicture

_SIDE = 8
_PIXELS = np.zeros((_SIDE, _SIDE, 3), np.uint8)


class NullRuntime:
    """Gives every picture the same scores, at once."""

    name = "openvino"
    device = "none"
    precision = "none"
    batch_sizes = (1, 8, 32, 128)
    shape = _PIXELS.shape
    slots = 1
    has_express_slot = False

    def __init__(self, labels: int) -> None:
        self._scores = np.full((self.batch_sizes[-1], labels), 1 / labels, np.float32)

    def infer(self, batch: NDArray[np.uint8], *, lone: bool = False) -> NDArray[np.float32]:
        return self._scores[: len(batch)]

    def close(self) -> None:
        return


def _info(picture: PictureKey) -> PictureInfo:
    """Return a description with a fingerprint that no other picture has."""
    return PictureInfo("jpeg", 400, 300, bytes.fromhex(picture[0]) + b"\x80\x80\x80")


class NullDecoderPool:
    """Returns the same pixels for every picture."""

    def __init__(self, *_: Any) -> None:
        return

    def decode(
        self, pictures: Sequence[PictureKey], _spec: InputSpec, _job: str, *, interactive: bool
    ) -> Iterator[list[tuple[PictureKey, DecodedPicture]]]:
        for start in range(0, len(pictures), PICTURES_PER_CALL):
            call = pictures[start : start + PICTURES_PER_CALL]
            yield [(picture, DecodedPicture(_PIXELS, _info(picture), None, lambda: None)) for picture in call]

    def close(self) -> None:
        return


def open_null_runtime(artifact: Artifact, *_: Any) -> NullRuntime:
    return NullRuntime(len(artifact.taxonomy.labels))


def main() -> None:
    with (
        patch.object(worker.predicting.models, "open_runtime", open_null_runtime),
        patch.object(worker.parts, "DecoderPool", NullDecoderPool),
    ):
        run_worker(Settings.read(), CLASSIFY_QUEUES, concurrency=4)


if __name__ == "__main__":
    main()
