"""Make written files survive a power failure, thousands of files at the cost of a few.

`fsync` of each of 2,000 pictures and of its folder took longer than all the rest of storing them. `syncfs` makes
everything on a file system durable at once and takes next to nothing (docs/adr/0013-blob-stores.md). It is used only
where it gives the same guarantee: on Linux from 5.8 on, where it also reports that an earlier write has failed, and on
local file systems that are known to pass it on to the disk. A few files are synced one by one, because `syncfs` would
also wait for everything else that is being written to the same file system.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

_MAX_SINGLE_SYNCS = 16
"""Up to this number, files and folders are synced one by one."""

_LOCAL_FILE_SYSTEMS = {0xEF53, 0x58465342, 0x9123683E}
"""`f_type` of ext2/3/4, XFS and Btrfs (statfs(2))."""

_FIRST_LINUX = (5, 8)
"""The first Linux whose `syncfs` reports that an earlier write has failed (syncfs(2))."""


def sync_paths(root: Path, paths: Sequence[str]) -> None:
    """Make closed files durable, or the names in folders. All of them lie on the file system of `root`.

    Raises:
        OSError: Some could not be written.
    """
    if len(paths) > _MAX_SINGLE_SYNCS and _can_use_syncfs(root):
        _syncfs(root)
    else:
        for path in paths:
            _fsync(path)


def _fsync(path: str) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _syncfs(root: Path) -> None:
    file = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc().syncfs(file) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(file)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def _can_use_syncfs(root: Path) -> bool:
    if sys.platform != "linux" or _linux_version() < _FIRST_LINUX or not hasattr(_libc(), "syncfs"):
        return False
    # On every architecture `struct statfs` starts with f_type, in one word, and is smaller than 512 bytes.
    answer = ctypes.create_string_buffer(512)
    if _libc().statfs(os.fsencode(root), answer) != 0:
        return False
    return ctypes.c_ulong.from_buffer(answer).value & 0xFFFFFFFF in _LOCAL_FILE_SYSTEMS


def _linux_version() -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return tuple(int(part) for part in found.groups()) if found else (0, 0)
