"""What makes written files survive a power failure, for one file or for thousands at the cost of a few.

`fsync` of each of 2,000 pictures and of its folder took longer than all the rest of storing them; `syncfs`, which makes
everything on the file system durable at once, takes next to nothing (docs/adr/0013-blob-stores.md). It is used where it
gives the same promise: on Linux from 5.8 on, which reports errors of earlier writes through it, and on file systems of
this machine that are known to pass it on to the disk. And not for a few files: those would wait for whatever else is
being written to the same disk.
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

FEW = 16
"""Up to so many files are synced one by one."""

_KNOWN = {0xEF53, 0x58465342, 0x9123683E}
"""`f_type` of ext2/3/4, XFS and Btrfs (statfs(2))."""

_REPORTS_ERRORS = (5, 8)
"""The first Linux whose `syncfs` reports that an earlier write has failed (syncfs(2))."""


def sync_files(root: Path, files: Sequence[str]) -> None:
    """Make the bytes of files under `root`, which are closed, durable.

    Raises:
        OSError: some could not be written.
    """
    if len(files) > FEW and _syncs_at_once(root):
        _syncfs(root)
    else:
        for file in files:
            _fsync(file)


def sync_folders(root: Path, folders: Sequence[str]) -> None:
    """Make the names in folders, which lie under `root`, durable.

    Raises:
        OSError: some could not be written.
    """
    if len(folders) > FEW and _syncs_at_once(root):
        _syncfs(root)
    else:
        for folder in folders:
            _fsync(folder)


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
def _syncs_at_once(root: Path) -> bool:
    if sys.platform != "linux" or _linux_version() < _REPORTS_ERRORS or not hasattr(_libc(), "syncfs"):
        return False
    # `struct statfs` begins with f_type on every architecture, in a word; 512 bytes are more than any has.
    answer = ctypes.create_string_buffer(512)
    if _libc().statfs(os.fsencode(root), answer) != 0:
        return False
    return ctypes.c_ulong.from_buffer(answer).value & 0xFFFFFFFF in _KNOWN


def _linux_version() -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    return tuple(int(part) for part in found.groups()) if found else (0, 0)
