"""How the C library keeps memory: glibc gives what is freed back at once, and every page of it costs a fault when it is
needed again. For pictures that was a quarter of all decoding."""

from __future__ import annotations

import ctypes
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
