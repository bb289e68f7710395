"""What runs a model: one interface, with one implementation per library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

RuntimeName = Literal["tensorflow", "openvino"]
RuntimeSetting = Literal["auto", "tensorflow", "openvino"]

BULK_NICENESS = 10
"""Of the threads and processes that decode and predict bulk: one picture that somebody waits for, and the API's
answers, go first when there are not cores for all."""


class OutOfDeviceMemory(RuntimeError):
    """The device has no memory for a batch of this size."""


class Runtime(Protocol):
    """A model version, loaded and warm on one device."""

    @property
    def name(self) -> RuntimeName: ...

    @property
    def device(self) -> str: ...

    @property
    def precision(self) -> str: ...

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The batch sizes that it has prepared, ascending; the batcher fills the largest under load."""
        ...

    @property
    def side(self) -> int:
        """Side in pixels of the pictures that it takes."""
        ...

    @property
    def slots(self) -> int:
        """How many batches it likes to work on at once."""
        ...

    @property
    def has_express_slot(self) -> bool:
        """Whether it takes a lone picture beside those batches, for somebody who would wait for them to end."""
        ...

    def infer(self, batch: NDArray[np.uint8], *, lone: bool = False) -> NDArray[np.float32]:
        """Softmax scores, float32 [N, labels], of pixels uint8 [N, side, side, 3], N one of `batch_sizes`. Any thread.

        `lone` says that the device has nothing else to do: a runtime may give all of it to this one batch.

        Raises:
            OutOfDeviceMemory: a smaller batch may work.
        """
        ...

    def activation_maps(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class activation maps, float32 [height, width, labels], of one picture's pixels uint8 [side, side, 3].

        Each says where in the picture its label was seen: the larger, the more. The mean over height and width, plus a
        constant of the label, is the label's logit. Any thread.
        """
        ...

    def close(self) -> None: ...


def predict(runtime: Runtime, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Softmax scores, float32 [N, labels], of pixels uint8 [N, side, side, 3], for any N of at least 1."""
    largest = runtime.batch_sizes[-1]
    parts = []
    for start in range(0, len(pixels), largest):
        part = pixels[start : start + largest]
        size = next(size for size in runtime.batch_sizes if size >= len(part))
        parts.append(runtime.infer(padded(part, size))[: len(part)])
    return np.concatenate(parts)


def padded(pictures: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Pictures, uint8 [side, side, 3] each, as a batch uint8 [size, side, side, 3]; what is missing is zeros."""
    batch = np.empty((size, *pictures[0].shape), np.uint8)
    batch[: len(pictures)] = pictures
    batch[len(pictures) :] = 0
    return batch
