"""Memory that is shared with the decoder processes. They write pixels into it, and the batcher reads them from it."""

from __future__ import annotations

import ctypes
import threading
from multiprocessing.context import SpawnContext
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PixelSlots:
    """A fixed number of slots for one prepared picture each. Decoder processes get the memory when they start."""

    def __init__(self, context: SpawnContext, count: int, side: int) -> None:
        self.side = side
        """Side in pixels of the largest picture that fits into a slot."""
        # A RawArray is backed by an unnamed file, so no process can leave it behind when it dies.
        self.memory: Any = context.RawArray(ctypes.c_uint8, count * side * side * 3)
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

    def view(self, slot: int, side: int) -> NDArray[np.uint8]:
        """Return the pixels in a slot, uint8 [side, side, 3]. They are valid until the slot is released."""
        return slot_view(self.memory, slot, self.side, side)


def slot_view(memory: Any, slot: int, slot_side: int, side: int) -> NDArray[np.uint8]:
    """Return the pixels uint8 [side, side, 3] at the start of a slot that has room for a picture of `slot_side`."""
    size = slot_side * slot_side * 3
    whole = np.frombuffer(memory, np.uint8)
    return whole[slot * size : slot * size + side * side * 3].reshape(side, side, 3)
