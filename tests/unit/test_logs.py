"""Logs: JSON lines of a chosen severity, and files of bounded size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from cli.log_files import OLDER_FILES, LogFile, readable_line
from core.settings import PROJECT

FIELDS = {"time", "level", "logger", "event", "process", "pid"}

LOG_FROM_ALL_SIDES = """
import logging, warnings, structlog
from gunicorn.config import Config
from api.connections.log import Log
from core.logs import bind_ids, configure_logging
configure_logging("warning", "api")
gunicorn = Log(Config())
gunicorn.info("too low")
gunicorn.warning("from gunicorn")
scrapy = logging.getLogger("scrapy.core")
scrapy.setLevel(logging.DEBUG)
scrapy.debug("too low")
warnings.warn("two\\nlines")
bind_ids(request_id="r", job="j", chunk=None)
structlog.get_logger("ours").info("too low")
structlog.get_logger("ours").warning("from us", job="other")
"""


def test_every_logger_of_a_process_writes_json_lines_of_the_chosen_severity() -> None:
    command = [sys.executable, "-c", LOG_FROM_ALL_SIDES]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["logger"] for line in lines] == ["gunicorn.error", "py.warnings", "ours"]
    assert all(line.keys() >= FIELDS and line["process"] == "api" and line["level"] == "warning" for line in lines)
    assert lines[-1].items() >= {"event": "from us", "request_id": "r", "job": "other"}.items()
    assert "chunk" not in lines[-1]


def write(file: LogFile, lines: Iterable[str]) -> None:
    """Send lines as a process prints them, and wait until they are in the file."""
    reading, writing = os.pipe()
    file.follow(os.fdopen(reading, "rb"), 42)
    with os.fdopen(writing, "w") as output:
        output.writelines(f"{line}\n" for line in lines)
    file.wait(30)


def read(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def test_a_log_file_of_the_largest_size_is_followed_by_another_and_the_oldest_is_removed(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "worker.log", 1000)
    write(file, (json.dumps({"event": f"line {number}", "level": "info"}) for number in range(200)))
    file.close()
    names = ["worker.log", *(f"worker.log.{number}" for number in range(1, OLDER_FILES + 1))]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    kept = [json.loads(line)["event"] for name in reversed(names) for line in read(tmp_path / name)]
    assert kept == [f"line {number}" for number in range(200 - len(kept), 200)]
    assert len(kept) > 4 * 20


def test_plain_text_becomes_json_and_lines_of_another_process_follow(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "redis.log", 10_000)
    plain = ["1:M # WARNING overcommit \x1b[31m", "{broken", '{"no": "event"}', "[1]"]
    write(file, [*plain, "", "  "])
    write(file, ['{"event": "last", "level": "error", "time": "2026-01-02T03:04:05Z", "job": "job_1"}'])
    lines = [json.loads(line) for line in read(tmp_path / "redis.log")]
    assert [line["event"] for line in lines] == [*plain, "last"]
    assert all(line.keys() == FIELDS and line["process"] == "redis" and line["pid"] == 42 for line in lines[:-1])
    assert file.tail(1)[0].endswith("error last job=job_1")
    file.close()


def test_a_full_disk_does_not_keep_a_process_from_printing() -> None:
    file = LogFile(Path("/dev/full"), 10_000)
    write(file, ["x" * 1000] * 200)
    file.close()


def test_a_person_reads_the_time_the_event_and_the_error_itself() -> None:
    traceback = "Traceback (most recent call last):\n  File x\nValueError: wrong"
    line = {"event": "failed", "level": "error", "logger": "a.b", "pid": 1, "chunk": "chk_1", "exception": traceback}
    assert readable_line(json.dumps(line)) == "error failed chunk=chk_1 ValueError: wrong"
    assert readable_line("plain text") == "plain text"
