"""The data folder belongs to one user: it holds pictures, and the secrets that sign sessions and webhooks."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_OTHERS = 0o077
"""The permission bits of the group and of all other users."""


def create_only_private_files() -> None:
    """Let this process and its children create files that only their user can read, write or list."""
    os.umask(_OTHERS)


def make_private(folder: Path) -> None:
    """Create a folder that only this user can open. If it is there and open to others, close it and all that it holds.

    Raises:
        PermissionError: another user owns the folder or something in it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_open(folder):
        return
    # The folder first: with it, everything in it is out of reach, however long the rest takes.
    folder.chmod(0o700)
    close_files(folder)


def close_files(folder: Path) -> None:
    """Close all files and folders in a folder to other users. Files that vanish meanwhile are left out."""
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(parent, name)
            with suppress(FileNotFoundError):
                if not path.is_symlink() and _is_open(path):
                    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & _OTHERS)
