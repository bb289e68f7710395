"""Memory settings for processes that run for a long time.

glibc returns freed memory to the system at once, and the process pays a page fault for every page that it needs again.
For pictures, these faults took a quarter of the decoding time. Python's garbage collector scans all objects again and
again, including those that live as long as the process.
"""

from __future__ import annotations

import ctypes
import gc
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""


def keep_freed_memory(max_kept: int, largest_block: int) -> bool:
    """Let this process keep up to `max_kept` bytes of freed memory for later use. Return whether the C library agreed.

    Blocks of more than `largest_block` bytes still return to the system at once. glibc accepts at most 32 MiB for
    `largest_block`. The answer is False for any other C library.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all((mallopt(_TRIM_THRESHOLD, max_kept), mallopt(_MMAP_THRESHOLD, largest_block)))


def freeze_heap() -> None:
    """Exclude all present objects from garbage collection: modules, classes, and everything that startup created.

    A scan of the 140,000 objects of a worker takes about 100 ms, and no thread runs meanwhile. This function scans them
    a last time first, because garbage that startup left behind would otherwise stay for ever.
    """
    gc.collect()
    gc.freeze()
