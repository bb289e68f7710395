"""The commands that use a running service."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from samples import broken
from tests.conftest import SAMPLES, RunningService

Run = Callable[..., Result]


@pytest.fixture
def run(service: RunningService) -> Run:
    def run_(*arguments: str) -> Result:
        return CliRunner(env={"LOOKBOOK_URL": service.url, "COLUMNS": "200"}).invoke(app, list(arguments))

    return run_


def test_a_folder_is_submitted_and_its_predictions_are_printed(run: Run) -> None:
    done = run("submit", str(SAMPLES), "--name", "from the command line")
    assert done.exit_code == 0, done.output
    assert "26 classified, 0 failed" in done.stdout
    assert "dress-green.jpg" in done.stdout
    listed = run("jobs")
    assert "from the command line" in listed.stdout
    assert "26/26" in listed.stdout


def test_json_is_one_item_a_line_and_a_failure_is_exit_code_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(broken.truncated_jpeg())
    (tmp_path / "notes.txt").write_bytes(b"not picked up from a folder")
    done = run("submit", str(tmp_path), str(SAMPLES / "t-shirt-red.jpg"), "--json")
    assert done.exit_code == 3
    items = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item["source"]["name"] for item in items] == ["cut.jpg", "t-shirt-red.jpg"]
    assert items[0]["error"]["code"] == "truncated_image"


def test_an_empty_folder_is_said_so(run: Run, tmp_path: Path) -> None:
    done = run("submit", str(tmp_path))
    assert done.exit_code == 2
    assert "no pictures" in done.stderr
    assert ".jpg" in done.stderr


def test_an_unknown_model_is_the_services_own_sentence(run: Run) -> None:
    done = run("submit", str(SAMPLES / "t-shirt-red.jpg"), "--model", "nobody")
    assert "got 'nobody'" in str(done.exception)


def test_a_service_that_is_not_there_is_named() -> None:
    done = CliRunner().invoke(app, ["jobs", "--url", "http://127.0.0.1:9"])
    assert "http://127.0.0.1:9" in str(done.exception)


def test_models_are_listed_with_their_figures(run: Run) -> None:
    (model,) = json.loads(run("models", "--json").stdout)
    assert model["aliases"] == ["production"]
    assert f"{model['metrics']['accuracy']:.4f}" in run("models").stdout
