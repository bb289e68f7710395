"""Memory shared with the decoder processes: pixels are written there once, and read from there by the batcher."""

from __future__ import annotations

import ctypes
import threading
from multiprocessing.context import SpawnContext
from typing import Any

import numpy as np
from numpy.typing import NDArray


class PixelSlots:
    """A fixed number of places for one prepared picture each. Its memory goes to decoder processes as they start."""

    def __init__(self, context: SpawnContext, count: int, side: int) -> None:
        self.side = side
        """Largest side in pixels of a picture that fits."""
        # Backed by a file that has no name any more: whatever dies, nothing is left behind.
        self.memory: Any = context.RawArray(ctypes.c_uint8, count * side * side * 3)
        self._free = list(range(count))
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many are free."""
        return len(self._free)

    def acquire(self, count: int) -> list[int]:
        """Take `count` places; the caller has seen that they are free, and is the only one who takes."""
        with self._lock:
            taken, self._free = self._free[-count:], self._free[:-count]
            return taken

    def release(self, slot: int) -> None:
        with self._lock:
            self._free.append(slot)

    def view(self, slot: int, side: int) -> NDArray[np.uint8]:
        """The pixels in a place, uint8 [side, side, 3]: valid until it is released."""
        return slot_view(self.memory, slot, self.side, side)


def slot_view(memory: Any, slot: int, largest: int, side: int) -> NDArray[np.uint8]:
    """The pixels uint8 [side, side, 3] at the beginning of place `slot`, each place of `largest` x `largest` pixels."""
    size = largest * largest * 3
    whole = np.frombuffer(memory, np.uint8)
    return whole[slot * size : slot * size + side * side * 3].reshape(side, side, 3)
