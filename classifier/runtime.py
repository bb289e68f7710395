"""The interface of the runtimes, which run a model. TensorFlow and OpenVINO each have one implementation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

RuntimeName = Literal["tensorflow", "openvino"]
RuntimeSetting = Literal["auto", "tensorflow", "openvino"]

BULK_NICENESS = 10
"""Niceness of the threads and processes that decode and predict bulk work. Single pictures and the API therefore go
first when the cores are busy."""


class OutOfDeviceMemory(RuntimeError):
    """The device has too little memory for a batch of this size."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a model to one picture."""

    scores: NDArray[np.float32]
    """Softmax scores: float32 [labels]."""
    embedding: NDArray[np.float32] | None
    """float32 [length], or None if the model has no embedding."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a model to N pictures."""

    scores: NDArray[np.float32]
    """Softmax scores: float32 [N, labels]."""
    embeddings: NDArray[np.float32] | None = None
    """The features on which the scores rest: float32 [N, length] (`classifier.artifact.Embedding`). None if the
    artifact has no such output."""

    def rows(self) -> Iterator[Answer]:
        """Yield the answer to each picture."""
        if self.embeddings is None:
            return (Answer(scores, None) for scores in self.scores)
        return (Answer(*row) for row in zip(self.scores, self.embeddings, strict=True))


class Runtime(Protocol):
    """A model version that is loaded on one device and ready to predict."""

    @property
    def name(self) -> RuntimeName: ...

    @property
    def device(self) -> str: ...

    @property
    def precision(self) -> str: ...

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The batch sizes that the runtime has prepared, ascending. Under load, the batcher fills the largest."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the pixels of one picture: `InputSpec.shape`."""
        ...

    @property
    def slots(self) -> int:
        """The number of batches that the runtime works on at the same time."""
        ...

    @property
    def has_express_slot(self) -> bool:
        """Whether the runtime can predict a single picture beside those batches, so that it need not wait for them."""
        ...

    def infer(self, batch: NDArray[np.uint8], *, lone: bool = False) -> Answers:
        """Return the answers to pixels, uint8 [N, *shape]. N is one of `batch_sizes`.

        `lone`: the runtime may use the whole device for this batch, because the device is idle or because the single
        picture must not wait for the other batches. Any thread may call this.

        Raises:
            OutOfDeviceMemory: the device has too little memory. A smaller batch may work.
        """
        ...

    def activation_maps(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return class activation maps, float32 [height, width, labels], of the pixels, uint8 [*shape].

        A map is large where the picture supports its label. Most heads are linear. For them, the mean of a map over
        height and width, plus a constant of the label, is the logit of the label; `with_activation_maps` says what the
        maps of the other heads mean. Any thread may call this.
        """
        ...

    def close(self) -> None:
        """Free the memory of the model."""
        ...


def predict(runtime: Runtime, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return softmax scores, float32 [N, labels], of pixels, uint8 [N, *shape], for any N of at least 1."""
    return answer(runtime, pixels).scores


def answer(runtime: Runtime, pixels: NDArray[np.uint8]) -> Answers:
    """Return the answers to pixels, uint8 [N, *shape], for any N of at least 1."""
    largest = runtime.batch_sizes[-1]
    parts = []
    for start in range(0, len(pixels), largest):
        part = pixels[start : start + largest]
        size = next(size for size in runtime.batch_sizes if size >= len(part))
        parts.append(first(runtime.infer(padded(part, size)), len(part)))
    return joined(parts)


def first(answers: Answers, count: int) -> Answers:
    """Return the first `count` answers, which leaves out those to the filling of a batch."""
    embeddings = answers.embeddings
    return Answers(answers.scores[:count], None if embeddings is None else embeddings[:count])


def joined(parts: Sequence[Answers]) -> Answers:
    """Return the answers of one or more parts, all of the same model."""
    embeddings = [part.embeddings for part in parts if part.embeddings is not None]
    return Answers(np.concatenate([part.scores for part in parts]), np.concatenate(embeddings) if embeddings else None)


def padded(pictures: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return pictures, uint8 [*shape] each, as a batch uint8 [size, *shape], filled up with zeros."""
    batch = np.empty((size, *pictures[0].shape), np.uint8)
    batch[: len(pictures)] = pictures
    batch[len(pictures) :] = 0
    return batch
