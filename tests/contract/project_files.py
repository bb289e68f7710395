"""The files of the project: those that git tracks, or without git those in its folders."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from core.settings import PROJECT

_NOT_OF_THE_PROJECT = {"node_modules", "var", "runs", "__pycache__"}
"""Names of folders that git ignores. Hidden folders and `*.egg-info` are left out as well."""


def project_files(root: Path = PROJECT) -> list[PurePosixPath]:
    """Return the paths of the project's files, relative to `root`.

    An unpacked archive has no `.git`, and an image has no git. All files in the folders then count as the project's.
    """
    if (root / ".git").exists() and shutil.which("git"):
        command = ["git", "ls-files", "-z"]
        listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
        return [PurePosixPath(name) for name in listed.split("\0") if name]
    return sorted(_walk(root))


def _walk(root: Path) -> Iterator[PurePosixPath]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if _is_of_the_project(name)]
        for name in names:
            yield PurePosixPath(Path(folder, name).relative_to(root).as_posix())


def _is_of_the_project(folder: str) -> bool:
    return not (folder.startswith(".") or folder.endswith(".egg-info") or folder in _NOT_OF_THE_PROJECT)
