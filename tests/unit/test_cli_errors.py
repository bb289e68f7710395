"""What the command line says, and with which exit code it ends, when something goes wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app, main
from cli.output import ExitCode
from tests.answering import JOB_OVER, Reply, answering

NOBODY = "http://127.0.0.1:9"


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
def test_what_is_not_understood_is_exit_code_2_and_nothing_is_sent(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, [*arguments, "--url", NOBODY])
    assert done.exit_code == ExitCode.USAGE
    assert "Usage" in done.stderr


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a failing command writes to standard error."""
    monkeypatch.setattr(sys, "argv", ["lookbook", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == ExitCode.ERROR
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    return line


def test_a_service_that_is_not_there_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = said(monkeypatch, capsys, "jobs", "--url", NOBODY)
    assert line.startswith(f"lookbook: {NOBODY} does not answer")
    assert line.endswith("--url or LOOKBOOK_URL says where")


def test_a_key_that_cannot_be_one_is_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in ("lb_böse", "lb_x\n"):
        assert "expected a key such as lb_…" in said(monkeypatch, capsys, "jobs", "--url", NOBODY, "--key", key)


def test_what_answers_without_being_a_lookbook_is_doubted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(Reply(404, b"<html>"), Reply(404, b"<html>")) as server:
        line = said(monkeypatch, capsys, "jobs", "--url", server.url)
    assert line == "lookbook: Not Found (HTTP 404: is this a Lookbook service?)"


def test_a_missing_key_is_said_with_where_it_belongs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = Reply(401, {"code": "key_required", "detail": "expected a key"})
    with answering(Reply(), refusal) as server:
        line = said(monkeypatch, capsys, "jobs", "--url", server.url)
    assert line == "lookbook: expected a key (key_required, HTTP 401); --key or LOOKBOOK_KEY is the key"


def test_what_answers_but_is_no_lookbook_is_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(Reply(200, b"<html>")) as server:
        assert "is this a Lookbook service?" in said(monkeypatch, capsys, "jobs", "--url", server.url)


def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(Reply(), Reply(200, JOB_OVER)) as server:
        target = str(tmp_path / "gone" / "x.csv")
        line = said(monkeypatch, capsys, "export", "job_1", "-o", target, "--url", server.url)
    assert line.startswith(f"lookbook: {tmp_path / 'gone'}")
    assert line.endswith("No such file or directory")
