"""CONTRIBUTING.md, compared with the folders of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.settings import PROJECT
from tests.contract.project_files import project_files

TEXT = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
FILES = project_files()


def test_the_files_of_a_project_without_git_are_found_in_its_folders(tmp_path: Path) -> None:
    for name in ("a.py", "core/b.py", ".venv/c.py", "frontend/node_modules/d.js", "core/__pycache__/e.pyc", "var/f"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path) for path in project_files(tmp_path)] == ["a.py", "core/b.py"]


def test_it_names_every_top_level_folder() -> None:
    folders = {path.parts[0] for path in FILES if len(path.parts) > 1}
    assert {folder for folder in folders if f"`{folder}/`" not in TEXT} == set()


@pytest.mark.parametrize("package", ["api", "worker", "db"])
def test_it_names_every_room_of_a_package_and_no_other(package: str) -> None:
    rooms = {path.parts[1] for path in FILES if path.parts[0] == package and len(path.parts) > 2}
    table = TEXT.partition(f"| room of `{package}/` | content |\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)/` \|", table, re.MULTILINE)) == rooms
