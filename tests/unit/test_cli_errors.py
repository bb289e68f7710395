"""The command line's messages and exit codes when something goes wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from classifier.artifact import largest_input
from cli.main import app, main
from cli.output import ExitCode
from core.settings import PROJECT
from tests.answering import JOB_OVER, Reply, answering

UNREACHABLE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit", "gone.jpg"],
        ["submit", "README.md", "--metadata", "[1]"],
        ["submit", "README.md", "--expires-at", "soon"],
        ["review", "itm_1"],
        ["review", "itm_1", "dress", "--reject"],
        ["export", "job_1"],
        ["export", "job_1", "-o", "predictions.xlsx"],
    ],
)
def test_wrong_arguments_have_exit_code_2_and_send_nothing(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, [*arguments, "--url", UNREACHABLE])
    assert done.exit_code == ExitCode.USAGE
    assert "Usage" in done.stderr


def error_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a failing command and return the one line that it writes to standard error."""
    monkeypatch.setattr(sys, "argv", ["lookbook", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == ExitCode.ERROR
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    return line


def test_an_unreachable_service_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = error_line(monkeypatch, capsys, "jobs", "--url", UNREACHABLE)
    assert line.startswith(f"lookbook: {UNREACHABLE} does not answer")
    assert line.endswith("Give its URL with --url or LOOKBOOK_URL")


def test_a_malformed_key_is_refused_before_it_is_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("lb_böse", "lb_x\n"):
        assert "expected a key such as lb_…" in error_line(
            monkeypatch, capsys, "jobs", "--url", UNREACHABLE, "--key", key
        )


def test_a_server_without_lookbooks_paths_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(Reply(404, b"<html>"), Reply(404, b"<html>")) as server:
        line = error_line(monkeypatch, capsys, "jobs", "--url", server.url)
    assert line == "lookbook: Not Found (HTTP 404: is this a Lookbook service?)"


def test_the_error_of_a_missing_key_says_where_to_give_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = Reply(401, {"code": "key_required", "detail": "expected a key"})
    with answering(Reply(), refusal) as server:
        line = error_line(monkeypatch, capsys, "jobs", "--url", server.url)
    assert line == "lookbook: expected a key (key_required, HTTP 401); give the key with --key or LOOKBOOK_KEY"


def test_a_server_with_other_answers_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(Reply(200, b"<html>")) as server:
        assert "is this a Lookbook service?" in error_line(monkeypatch, capsys, "jobs", "--url", server.url)


def test_the_error_names_a_file_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(Reply(), Reply(200, JOB_OVER)) as server:
        target = str(tmp_path / "gone" / "x.csv")
        line = error_line(monkeypatch, capsys, "export", "job_1", "-o", target, "--url", server.url)
    assert line.startswith(f"lookbook: {tmp_path / 'gone'}")
    assert line.endswith("No such file or directory")


def upgrade(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `lookbook db upgrade`, which opens the database and reads all models, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cli", "db", "upgrade"],
        env={**os.environ, "LOOKBOOK_HOME": str(home), **environment},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


def damaged_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:4000] = b"\xff" * 3900
    path.write_bytes(data)


def test_a_damaged_database_and_wrong_urls_are_named_in_one_line(tmp_path: Path) -> None:
    assert upgrade(tmp_path).returncode == ExitCode.OK
    damaged_page(tmp_path / "lookbook.db")
    random = tmp_path / "random" / "lookbook.db"
    random.parent.mkdir()
    random.write_bytes(b"not a database, but long enough to be read as one" * 200)
    for home, environment, expected in (
        (tmp_path, {}, "malformed"),
        (random.parent, {}, "file is not a database"),
        (tmp_path / "a", {"LOOKBOOK_DATABASE_URL": "no url"}, "LOOKBOOK_DATABASE_URL"),
        (tmp_path / "b", {"LOOKBOOK_DATABASE_URL": "mysql://x/y"}, "LOOKBOOK_DATABASE_URL"),
    ):
        done = upgrade(home, **environment)
        (line,) = done.stderr.splitlines()
        assert (done.returncode, expected in line) == (ExitCode.ERROR, True), line


def test_one_invalid_model_does_not_keep_the_others_out(tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(PROJECT / "models", models)
    good = sorted(path.parent.name for path in (models / "garments").glob("*/manifest.json"))
    texts = {"text": "not json", "list": "[]", "null": "null", "empty": "{}", "deep": "[" * 100_000}
    for name, manifest in texts.items():
        (models / name / "1").mkdir(parents=True)
        (models / name / "1" / "manifest.json").write_text(manifest)
        (models / name / "1" / "input.json").write_text(manifest)
    shutil.copytree(models / "garments" / good[-1], models / "garments" / "copied")
    assert largest_input(models) > 1
    done = upgrade(tmp_path / "home", LOOKBOOK_MODELS=str(models))
    assert done.returncode == ExitCode.OK, done.stderr
    assert [f"model garments@{version} is registered" in done.stdout for version in good] == [True] * len(good)
    assert len(done.stderr.splitlines()) == len(texts) + 1
    assert all(line.startswith("a model is left out: ") for line in done.stderr.splitlines())
