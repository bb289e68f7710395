"""Commands that use a running service."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cli.main import app
from cli.output import ExitCode
from core.settings import PROJECT
from lookbook import ProblemError
from samples import broken
from tests.conftest import SAMPLES, RunningService, suspended_worker

Run = Callable[..., Result]


@pytest.fixture
def run(service: RunningService) -> Run:
    def run_(*arguments: str, input: str | None = None) -> Result:
        runner = CliRunner(env={"LOOKBOOK_URL": service.url, "COLUMNS": "200"})
        return runner.invoke(app, list(arguments), input=input)

    return run_


def test_the_version_is_that_of_the_api(run: Run, http: httpx.Client) -> None:
    version = http.get("/openapi.json").json()["info"]["version"]
    assert run("--version").stdout == f"lookbook {version}\n"


def test_a_folder_is_submitted_and_its_predictions_are_printed(run: Run) -> None:
    done = run("submit", str(SAMPLES), "--name", "from the command line")
    assert done.exit_code == 0, done.output
    assert "26 classified, 0 failed" in done.stdout
    assert "dress-green.jpg" in done.stdout
    listed = run("jobs")
    assert "from the command line" in listed.stdout
    assert "26/26" in listed.stdout


def test_a_map_is_made_printed_and_drawn(run: Run, tmp_path: Path) -> None:
    job = run("submit", str(SAMPLES), "--no-wait").stdout.split()[-1]
    run("watch", job)
    target = tmp_path / "map.png"
    done = run("map", job, "--png", str(target))
    assert done.exit_code == 0, done.output
    assert "26 points" in done.stdout
    with Image.open(target) as drawn:
        colours = drawn.convert("RGB").getcolors(2**16)
    assert colours is not None
    # White, black, and at least one colour for each of the ten labels.
    assert len(colours) > 12
    points = json.loads(run("map", job, "--json").stdout)
    assert len(points["id"]) == len(set(points["id"])) == 26
    assert max(points["x"] + points["y"]) == 65_535
    everything = "1_0-0_65535-0_65535-65535_0-65535"
    assert len(run("items", job, "--area", everything).stdout.splitlines()) in range(24, 27)
    (tmp_path / "two").mkdir()
    for name in ("t-shirt-red.jpg", "dress-green.jpg"):
        shutil.copy(SAMPLES / name, tmp_path / "two")
    small = run("submit", str(tmp_path / "two"), "--no-wait").stdout.split()[-1]
    run("watch", small)
    refused = run("map", small).exception
    assert isinstance(refused, ProblemError)
    assert refused.code == "too_few_pictures"


def test_json_has_one_item_per_line_and_a_failed_item_gives_exit_code_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(broken.truncated_jpeg())
    (tmp_path / "notes.txt").write_bytes(b"not picked up from a folder")
    done = run("submit", str(tmp_path), str(SAMPLES / "t-shirt-red.jpg"), "--json")
    assert done.exit_code == 3
    items = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item["source"]["name"] for item in items] == ["cut.jpg", "t-shirt-red.jpg"]
    assert items[0]["error"]["code"] == "truncated_image"


def test_a_folder_without_pictures_is_refused(run: Run, tmp_path: Path) -> None:
    done = run("submit", str(tmp_path))
    assert done.exit_code == 2
    assert "no pictures" in done.stderr
    assert ".jpg" in done.stderr


def test_the_error_of_an_unknown_model_is_the_services_sentence(run: Run) -> None:
    done = run("submit", str(SAMPLES / "t-shirt-red.jpg"), "--model", "nobody")
    assert "got 'nobody'" in str(done.exception)


def test_models_are_listed_with_their_metrics(run: Run) -> None:
    # Other tests may have registered further versions.
    (model,) = [row for row in json.loads(run("models", "--json").stdout) if row["aliases"] == ["production"]]
    assert f"{model['metrics']['accuracy']:.4f}" in run("models").stdout


def test_a_job_can_be_watched_reviewed_and_deleted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(broken.truncated_jpeg())
    sent = run("submit", str(tmp_path / "cut.jpg"), str(SAMPLES / "dress-green.jpg"), "--no-wait", "--top-k", "2")
    job_id = sent.stdout.strip()
    assert sent.stderr.startswith(job_id)
    watched = run("watch", job_id)
    assert watched.exit_code == ExitCode.ITEMS_FAILED
    assert "1 classified, 1 failed" in watched.stdout
    (dress,) = (
        json.loads(line) for line in run("items", job_id, "--status", "succeeded", "--json").stdout.splitlines()
    )
    assert len(dress["prediction"]["labels"]) == 2
    assert "Outerwear (predicted Dress" in run("review", dress["id"], "outwear").stdout
    assert dress["id"] in run("items", job_id, "--reviewed").stdout
    assert "no label fits" in run("review", dress["id"], "--reject").stdout
    assert run("review", dress["id"], "--undo").exit_code == ExitCode.OK
    assert run("items", job_id, "--reviewed").stdout == ""
    assert "got 1 that would happen again" in str(run("retry", job_id).exception)
    asked = run("delete", job_id, input="n\n")
    assert (asked.exit_code, "with its 2 items?" in asked.stderr) == (ExitCode.ERROR, True)
    assert run("delete", job_id, "--yes").exit_code == ExitCode.OK
    assert "There is no job" in str(run("watch", job_id).exception)


def test_two_jobs_are_compared_and_a_part_is_classified_again(run: Run) -> None:
    jobs = []
    for pictures in (["dress-green.jpg", "hat-straw.jpg", "shoe-brown.jpg"], ["hat-straw.jpg", "dress-green.jpg"]):
        submitted = run("submit", *(str(SAMPLES / name) for name in pictures), "--json")
        jobs.append([json.loads(line) for line in submitted.stdout.splitlines()])
    first, second = (items[0]["job_id"] for items in jobs)
    assert run("review", jobs[0][0]["id"], "skirt").exit_code == 0
    lines = run("compare", first, second).stdout.splitlines()
    assert lines[:2] == ["1 the same, 1 changed", f"1 only in {first}, 0 only in {second}"]
    assert lines[-1].split() == ["1", "skirt", "dress"]
    body = json.loads(run("compare", second, first, "--json").stdout)
    assert body["changes"] == [{"from": "dress", "to": "skirt", "count": 1}]
    assert (body["only_here"], body["only_there"]) == (0, 1)
    again = run("rerun", first, "--predicted", "dress", "--search", "GREEN", "--json")
    assert [json.loads(line)["source"]["name"] for line in again.stdout.splitlines()] == ["dress-green.jpg"]
    assert isinstance(run("compare", first, "job_x").exception, ProblemError)


def test_failed_downloads_are_retried(run: Run) -> None:
    failed = run("submit", "http://shop.invalid/coat.jpg")
    assert failed.exit_code == ExitCode.ITEMS_FAILED
    again = run("retry", failed.stderr.split()[0])
    assert (again.exit_code, "fetch_failed" in again.stdout) == (ExitCode.ITEMS_FAILED, True)


@pytest.fixture
def idle_worker(service: RunningService) -> Iterator[None]:
    """Suspends the worker, so that no picture is classified during the test."""
    with suspended_worker(service):
        yield


def test_watching_a_canceled_job_gives_exit_code_4(run: Run, idle_worker: None) -> None:
    job_id = run("submit", str(SAMPLES / "dress-green.jpg"), "--no-wait", "--name", "stopped").stdout.strip()
    stopped = run("cancel", job_id)
    assert stopped.exit_code == ExitCode.OK
    assert f"{job_id} canceled: 0 classified, 0 failed, 1 canceled" in stopped.stdout
    assert run("watch", job_id).exit_code == ExitCode.CANCELED


def test_ctrl_c_ends_the_wait_and_prints_how_to_watch_again(service: RunningService, idle_worker: None) -> None:
    # A shell lets its background processes ignore SIGINT, and children inherit that. This restores the default.
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from cli.main import main; main()"
    command = [sys.executable, "-c", start, "submit", str(SAMPLES / "dress-green.jpg"), "--url", service.url]
    with subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        job_id = process.stderr.readline().split()[0]
        process.send_signal(signal.SIGINT)
        messages = process.stderr.read()
    assert process.returncode == ExitCode.INTERRUPTED
    assert f"{job_id} goes on. To watch it again: lookbook watch {job_id}" in messages


def test_pictures_in_folders_are_named_by_their_paths(run: Run, tmp_path: Path) -> None:
    for folder in ("coats", "dresses"):
        (tmp_path / folder).mkdir()
        shutil.copy(SAMPLES / "coat-camel.jpg", tmp_path / folder / "1.jpg")
    done = run("submit", str(tmp_path), "--json")
    assert [json.loads(line)["source"]["name"] for line in done.stdout.splitlines()] == ["coats/1.jpg", "dresses/1.jpg"]


def test_a_source_that_cannot_be_read_gives_exit_code_1_and_the_reason(run: Run, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "empty.zip", "w"):
        pass
    done = run("submit", str(tmp_path / "empty.zip"), "--name", "nothing")
    assert done.exit_code == ExitCode.ERROR
    assert "(empty_source)" in done.stderr


def test_an_archive_and_a_manifest_are_read_by_workers(run: Run, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "catalog.zip", "w") as archive:
        archive.write(SAMPLES / "dress-green.jpg", "summer/dress.jpg")
    done = run("submit", str(tmp_path / "catalog.zip"), "--json")
    assert [json.loads(line)["source"]["name"] for line in done.stdout.splitlines()] == ["summer/dress.jpg"]
    refused = run("submit", "-", "--json", input="url;id\nhttp://127.0.0.1/1.jpg;sku-1\n")
    assert refused.exit_code == ExitCode.ITEMS_FAILED
    (item,) = (json.loads(line) for line in refused.stdout.splitlines())
    assert (item["custom_id"], item["error"]["code"]) == ("sku-1", "blocked_address")


def test_exports_are_written_to_a_file_or_to_standard_output(run: Run, tmp_path: Path) -> None:
    job_id = run("submit", str(SAMPLES), "--no-wait").stdout.strip()
    assert run("watch", job_id).exit_code == ExitCode.OK
    written = run("export", job_id, "-o", str(tmp_path / "predictions.csv"))
    table = (tmp_path / "predictions.csv").read_bytes()
    assert f"{len(table):,} bytes" in written.stderr
    assert run("export", job_id, "-f", "csv").stdout_bytes == table
    dresses = run("export", job_id, "-f", "jsonl", "--label", "dress").stdout.splitlines()
    assert {json.loads(line)["label"] for line in dresses} == {"dress"}
