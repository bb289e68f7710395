"""A worker with decoded pictures and a model that costs nothing, to measure the rest: queue, batching and database.

`python -m benchmarks.null_worker`, with the settings of any worker. `--batch-size 8 --batch-seconds 0.02` simulates a
device that takes this time for each batch of this size: the thread of the device sleeps and takes no processor time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from functools import partial
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

BATCH_SIZES = (1, 8, 32, 128)
_SIDE = 8
_PIXELS = np.zeros((_SIDE, _SIDE, 3), np.uint8)


class NullRuntime:
    """Gives every picture the same scores, after a fixed time for each batch."""

    name = "openvino"
    device = "none"
    precision = "none"
    shape = _PIXELS.shape
    slots = 1
    has_express_slot = False

    def __init__(self, labels: int, batch_sizes: tuple[int, ...], batch_seconds: float) -> None:
        self.batch_sizes = batch_sizes
        self._seconds = batch_seconds
        self._scores = np.full((self.batch_sizes[-1], labels), 1 / labels, np.float32)

    def infer(self, batch: NDArray[np.uint8], *, lone: bool = False) -> NDArray[np.float32]:
        if self._seconds:
            time.sleep(self._seconds)
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


def open_null_runtime(artifact: Artifact, *_: Any, batch_sizes: tuple[int, ...], batch_seconds: float) -> NullRuntime:
    return NullRuntime(len(artifact.taxonomy.labels), batch_sizes, batch_seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.null_worker", description=__doc__)
    parser.add_argument("--batch-size", type=int, help="the only batch size of the device (default: 1, 8, 32 and 128)")
    parser.add_argument("--batch-seconds", type=float, default=0.0, help="seconds that a batch takes (default: 0)")
    chosen = parser.parse_args()
    batch_sizes = (chosen.batch_size,) if chosen.batch_size else BATCH_SIZES
    opened = partial(open_null_runtime, batch_sizes=batch_sizes, batch_seconds=chosen.batch_seconds)
    with (
        patch.object(worker.predicting.models, "open_runtime", opened),
        patch.object(worker.parts, "DecoderPool", NullDecoderPool),
    ):
        run_worker(Settings.read(), CLASSIFY_QUEUES, concurrency=4)


if __name__ == "__main__":
    main()
