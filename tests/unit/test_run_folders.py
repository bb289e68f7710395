from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from classifier.learning.training.run_folder import (
    RECORD,
    Machine,
    Meter,
    RunCost,
    RunData,
    RunFolder,
    RunRecord,
)
from core.errors import RunInvalid, RunUnknown

RECORD_OF_TODAY = RunRecord(
    id="",
    model="garments",
    state="running",
    started_at=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    ended_at=None,
    recipe={"name": "garments"},
    data=RunData("some pictures", "ab" * 32, 24, 8),
    machine=Machine.here(gpus=0),
    cost=RunCost(),
)


def new_run(home: Path, **changes: object) -> RunFolder:
    folder = RunFolder.create(home, "garments-1")
    folder.write(replace(RECORD_OF_TODAY, id=folder.path.name, **changes))  # type: ignore[arg-type]
    return folder


def test_runs_are_listed_from_the_newest_to_the_oldest(tmp_path: Path) -> None:
    new_run(tmp_path, state="finished", published="garments@1", metrics={"accuracy": 0.5})
    new_run(tmp_path, state="failed", started_at=datetime(2026, 2, 1, tzinfo=UTC))
    newest, oldest = RunFolder.list(tmp_path)
    assert (newest.id, newest.state) == ("garments-1-2", "failed")
    assert (oldest.id, oldest.published, oldest.metrics) == ("garments-1", "garments@1", {"accuracy": 0.5})
    assert RunFolder.find(tmp_path, "garments-1").read() == oldest
    assert RunFolder.list(tmp_path / "elsewhere") == ()


def test_a_run_that_no_process_trains_is_interrupted(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    with folder.held():
        assert folder.read().state == "running"
        with pytest.raises(RunInvalid, match="running in another process"), folder.held():
            pass
    assert folder.read().state == "interrupted"


def test_an_unknown_run_and_a_damaged_record_are_named(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    for unknown in ("garments-9", "..", ""):
        with pytest.raises(RunUnknown, match="no training run"):
            RunFolder.find(tmp_path, unknown)
    content = json.loads((folder.path / RECORD).read_text())
    (folder.path / RECORD).write_text(json.dumps(content | {"state": "lost"}))
    with pytest.raises(RunInvalid, match=r"run\.json: expected the record of a training run"):
        RunFolder.list(tmp_path)


def test_a_resumed_run_adds_to_its_earlier_cost() -> None:
    earlier = RunCost(seconds=100.0, cpu_seconds=200.0, peak_memory_bytes=2**60)
    cost = Meter(earlier).read()
    assert cost.seconds >= 100.0
    assert cost.cpu_seconds >= 200.0
    assert cost.peak_memory_bytes == 2**60
    assert 2**20 < Meter(RunCost()).read().peak_memory_bytes < 2**40
