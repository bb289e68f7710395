"""The decision records, their index and the changelog: each has one form, and nothing is there twice."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from core.settings import PROJECT

RECORDS = PROJECT / "docs" / "adr"
CHANGELOG = PROJECT / "CHANGELOG.md"


def record_paths() -> list[Path]:
    """Return the files of the records, in the order of their numbers."""
    return sorted(RECORDS.glob("[0-9]*.md"))


def test_the_index_lists_each_record_once_and_in_order() -> None:
    index = (RECORDS / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| \[(\d+)\]\(([^)]+)\) \| .+ \|$", index, re.MULTILINE)
    assert rows == [(path.name[:4], path.name) for path in record_paths()]
    assert len(rows) == len(re.findall(r"^\| \[", index, re.MULTILINE))


def test_no_number_is_used_for_two_records() -> None:
    numbers = Counter(path.name[:4] for path in record_paths())
    assert [number for number, count in numbers.items() if count > 1] == []


@pytest.mark.parametrize("path", record_paths(), ids=lambda path: path.name)
def test_a_record_has_its_number_in_its_title_and_says_decision_reasons_and_costs(path: Path) -> None:
    headings = re.findall(r"^#+ .*$", path.read_text("utf-8"), re.MULTILINE)
    assert re.fullmatch(rf"# {path.name[:4]}\. [A-Z`].*[^.]", headings[0])
    reasons = ["## Decision and reasons"], ["## Decision", "## Why"]
    assert headings[1:] in [[*part, "## What it costs"] for part in reasons]


def test_the_changelog_has_no_repeated_line_and_no_merge_marker() -> None:
    lines = [line.strip() for line in CHANGELOG.read_text("utf-8").splitlines() if line.strip()]
    assert [line for line, count in Counter(lines).items() if count > 1] == []
    assert [line for line in lines if re.match(r"<{7}|={7}|>{7}|\|{7}", line)] == []


def test_each_line_of_the_changelog_belongs_to_an_entry() -> None:
    text = CHANGELOG.read_text("utf-8")
    assert text.startswith("# Changelog\n")
    entries = [entry.splitlines() for entry in re.split(r"^(?=- |#)", text, flags=re.MULTILINE) if entry.strip()]
    bodies = [[line for line in entry if line.strip()] for entry in entries if entry[0].startswith("- ")]
    assert [body[0] for body in bodies if not body[-1].endswith(".")] == []
    assert [line for body in bodies for line in body[1:] if not re.match(r"  \S", line)] == []
    # A line of lower case after a full stop is what a merge left of another version of the entry.
    pairs = [pair for body in bodies for pair in pairwise(body)]
    assert [line for before, line in pairs if before.endswith(".") and line.strip()[0].islower()] == []
