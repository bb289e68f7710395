"""Memory that is shared with the decoder processes. They write pixels into it, and the batcher reads them from it."""

from __future__ import annotations

import ctypes
import math
import threading
from multiprocessing.context import SpawnContext
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PixelSlots:
    """A fixed number of slots for one prepared picture each. Decoder processes get the memory when they start."""

    def __init__(self, context: SpawnContext, count: int, slot_bytes: int) -> None:
        self.slot_bytes = slot_bytes
        """Bytes of the largest input that fits into a slot."""
        # A RawArray is backed by an unnamed file, so no process can leave it behind when it dies.
        self.memory: Any = context.RawArray(ctypes.c_uint8, count * slot_bytes)
        self._free = list(range(count))
        self._lock = threading.Lock()

    def free(self) -> int:
        """Return the number of free slots."""
        return len(self._free)

    def acquire(self, count: int) -> list[int]:
        """Take `count` slots. The caller has checked that they are free, and no other thread acquires meanwhile."""
        with self._lock:
            acquired, self._free = self._free[-count:], self._free[:-count]
            return acquired

    def release(self, slot: int) -> None:
        with self._lock:
            self._free.append(slot)

    def view(self, slot: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return the pixels in a slot, uint8 [*shape]. They are valid until the slot is released."""
        return slot_view(self.memory, slot, self.slot_bytes, shape)


def slot_view(memory: Any, slot: int, slot_bytes: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the pixels uint8 [*shape] at the start of a slot of `slot_bytes`."""
    start = slot * slot_bytes
    return np.frombuffer(memory, np.uint8)[start : start + math.prod(shape)].reshape(shape)
