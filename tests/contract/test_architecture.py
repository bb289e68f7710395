"""docs/architecture.md leads a newcomer to files and names that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from core.settings import PROJECT

PAGE = (PROJECT / "docs" / "architecture.md").read_text("utf-8")
PLACES = sorted(set(re.findall(r"`([\w/.-]+\.(?:py|js))`(?: · `([\w.]+)`)?", PAGE)))
"""Pairs of a file and a name in it, written as `path/of/file.py` · `name` or `Class.method`."""
FOLDERS = sorted(set(re.findall(r"`([\w/.-]+/)`", PAGE)))


def names_in_python(path: Path) -> set[str]:
    """Return the functions, classes, methods and module constants of a file; methods as `Class.method`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names.add(node.name)
            members = (part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef))
            names.update(f"{node.name}.{member.name}" for member in members)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def names_in_script(path: Path) -> set[str]:
    """Return the functions, classes and constants that a JavaScript module declares at its top level."""
    declared = r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)"
    return set(re.findall(declared, path.read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize(("file", "name"), PLACES)
def test_a_place_that_the_page_names_is_in_the_code(file: str, name: str) -> None:
    path = PROJECT / file
    assert path.is_file(), f"docs/architecture.md names {file}, which does not exist"
    if name:
        names = names_in_python(path) if path.suffix == ".py" else names_in_script(path)
        assert name in names, f"docs/architecture.md names {name} in {file}, which does not define it"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_that_the_page_names_exists(folder: str) -> None:
    assert (PROJECT / folder).is_dir()


@pytest.mark.parametrize("word", ["submit", "store", "queue", "fetch", "decode", "batch", "predict", "record", "poll"])
def test_the_page_leads_to_each_step_of_the_way_of_a_picture(word: str) -> None:
    row = re.search(rf"^\| \**{word}\** \|(.*)$", PAGE, re.MULTILINE)
    assert row is not None
    assert re.search(r"`[\w/]+\.(?:py|js)` · `[\w.]+`", row[1])
