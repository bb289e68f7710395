"""How a process that runs for long keeps memory: what it has freed, and what it will never free.

glibc gives back at once what is freed, and every page of it costs a fault when it is needed again; for pictures that
was a quarter of all decoding. And Python's garbage collector looks through everything that there is, again and again.
"""

from __future__ import annotations

import ctypes
import gc
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""


def keep_freed_memory(most: int, largest: int) -> bool:
    """Have this process keep up to `most` bytes that it has freed, for what it needs next.

    Blocks of more than `largest` bytes (up to 32 MiB: glibc refuses more) go back at once, whatever is kept. Whether
    the C library could be told so: False where it is not glibc.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all((mallopt(_TRIM_THRESHOLD, most), mallopt(_MMAP_THRESHOLD, largest)))


def freeze_heap() -> None:
    """Have the garbage collector leave alone what is there now: modules, classes, what a process has set up.

    Looking through it (140,000 objects in a worker) takes some 100 ms each time, in which no thread can run. That is
    done once more here: what was left lying by starting would stay.
    """
    gc.collect()
    gc.freeze()
