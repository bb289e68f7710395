"""CONTRIBUTING.md, compared with the folders of the repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import PurePosixPath

import pytest

from core.settings import PROJECT

TEXT = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
FILES = [
    PurePosixPath(name)
    for name in subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    if name
]


def test_it_names_every_top_level_folder() -> None:
    folders = {path.parts[0] for path in FILES if len(path.parts) > 1}
    assert {folder for folder in folders if f"`{folder}/`" not in TEXT} == set()


@pytest.mark.parametrize("package", ["api", "worker", "db"])
def test_it_names_every_room_of_a_package_and_no_other(package: str) -> None:
    rooms = {path.parts[1] for path in FILES if path.parts[0] == package and len(path.parts) > 2}
    table = TEXT.partition(f"| room of `{package}/` | content |\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)/` \|", table, re.MULTILINE)) == rooms
