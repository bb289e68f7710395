from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from classifier.learning.training.run_folder import Machine, RunCost, RunData, RunFolder, RunRecord, RunState
from cli.main import app


def write_run(
    home: Path, run_id: str, macro_f1: float | None, *, data: str = "a", seconds: float = 60.0, **settings: Any
) -> None:
    figures = ("accuracy", "recall_at_3", "macro_f1", "balanced_accuracy", "group_accuracy")
    metrics = None
    state: RunState = "failed"
    if macro_f1 is not None:
        state = "finished"
        intervals = {name: [macro_f1 - 0.05, macro_f1 + 0.05] for name in figures}
        metrics = {**dict.fromkeys(figures, macro_f1), "calibration_error": 1 - macro_f1, "intervals": intervals}
    record = RunRecord(
        id=run_id,
        model="coats",
        state=state,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        ended_at=datetime(2026, 1, 1, 1, tzinfo=UTC),
        recipe={"name": run_id, "notes": run_id, "backbone": "vgg16", **settings},
        data=RunData(f"Coats <{data}>", data * 64, 80, 20),
        machine=Machine(2, 0, 2**34),
        cost=RunCost(seconds, 2 * seconds, 2**30),
        published=f"coats@{run_id}" if metrics else None,
        metrics=metrics,
    )
    RunFolder.create(home, run_id).write(record)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two runs and a failed one on the same pictures, and the run with the highest figures on others."""
    write_run(tmp_path, "1", 0.6, head={"kind": "straight"}, seconds=10)
    write_run(tmp_path, "2", 0.7, head={"kind": "two_dense"}, seconds=90)
    write_run(tmp_path, "3", None, head={"kind": "straight"})
    write_run(tmp_path, "4", 0.9, data="b")
    return tmp_path


def runs(home: Path, *options: str) -> str:
    done = CliRunner(env={"LOOKBOOK_HOME": str(home), "COLUMNS": "200"}).invoke(app, ["runs", *options])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def test_runs_are_ranked_only_against_runs_on_the_same_pictures(home: Path) -> None:
    boards = json.loads(runs(home, "--json"))
    ranked = {board["data"]["hash"][0]: [(run["place"], run["id"]) for run in board["runs"]] for board in boards}
    assert ranked == {"a": [(1, "2"), (2, "1"), (None, "3")], "b": [(1, "4")]}


@pytest.mark.parametrize(("by", "best"), [("accuracy", "2"), ("calibration_error", "2"), ("seconds", "1")])
def test_a_lower_calibration_error_or_time_is_better_and_a_lower_accuracy_is_not(
    home: Path, by: str, best: str
) -> None:
    board = next(board for board in json.loads(runs(home, "--by", by, "--json")) if board["data"]["hash"][0] == "a")
    assert board["runs"][0]["id"] == best


def test_only_the_settings_that_differ_are_shown_and_a_name_is_no_setting(home: Path) -> None:
    board = next(board for board in json.loads(runs(home, "--json")) if board["data"]["hash"][0] == "a")
    assert [run["differing"] for run in board["runs"][:2]] == [{"head.kind": "two_dense"}, {"head.kind": "straight"}]
    shown = runs(home)
    assert re.search(r"1  coats@2 +0\.700 \(0\.650 to 0\.750\)", shown)
    assert "coats (failed)" in shown


def test_the_page_has_every_run_asks_no_other_host_and_shows_texts_as_they_are(home: Path) -> None:
    runs(home, "--html", str(home / "page.html"))
    page = (home / "page.html").read_text("utf-8")
    for name in ("coats@1", "coats@2", "coats@4", "failed"):
        assert name in page
    assert "Coats &lt;a&gt;" in page
    assert "Coats <a>" not in page
    assert page.count('<section class="board"') == 2
    assert not re.findall(r"""(?:src|href)=|@import|url\(|https?://""", page)


def test_an_empty_home_has_no_runs(tmp_path: Path) -> None:
    assert "no training runs yet" in runs(tmp_path)
    assert json.loads(runs(tmp_path, "--json")) == []
