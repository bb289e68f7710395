"""What runs a model: one interface, one implementation per engine."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

RuntimeName = Literal["tensorflow", "openvino"]
Setting = Literal["auto", "tensorflow", "openvino"]
Precision = Literal["f32", "bf16"]


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
    def slots(self) -> int:
        """How many batches it likes to work on at once."""
        ...

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Softmax scores, float32 [N, labels], of pixels uint8 [N, size, size, 3]. Any N; any thread."""
        ...

    def close(self) -> None: ...
