"""Texts of clients and shops in logs, on terminals and in spreadsheets: they stay text."""

from __future__ import annotations

import io
import json
import subprocess
import sys

from rich.markup import escape
from rich.table import Table

from api.answers.export_formats import escape_formula
from cli.output import SafeConsole
from core.safe_json import to_json
from core.settings import PROJECT

HOSTILE = [
    'a\n{"event": "forged", "level": "info"}',
    "a\r\nforged",
    "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "\x9b31m",
    "\x85forged",
    "\u2028forged\u2029",
    "\u202egnp.exe",
    "\ud800",
    "\0",
    "가을 셔츠 👗",
]
LOGGING = """
import logging, sys, threading, structlog
from core.logs import configure_logging
configure_logging("INFO", "worker")
for text in eval(sys.argv[1]):
    structlog.get_logger("x").info(text, name=text)
    logging.getLogger("y").warning("%s", text)
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("y").exception("failed")
def fail():
    raise ValueError(eval(sys.argv[1])[0])
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""


def test_no_text_ends_a_line_of_the_log_or_controls_a_terminal() -> None:
    command = [sys.executable, "-c", LOGGING, ascii(HOSTILE)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    assert len(lines) == 3 * len(HOSTILE) + 2
    assert all(line.isprintable() for line in lines if "👗" not in line)
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events[:-2:3]] == HOSTILE
    assert all(event["event"] == "uncaught_exception" and "forged" in event["exception"] for event in events[-2:])
    assert done.returncode == 1


def test_the_command_line_prints_json_that_can_be_read_back() -> None:
    for text in HOSTILE:
        line = to_json({"name": text})
        assert line.isprintable() or "👗" in text
        assert json.loads(line) == {"name": text}


def test_no_text_controls_the_terminal_of_the_command_line() -> None:
    written = io.StringIO()
    console = SafeConsole(file=written, force_terminal=True, color_system=None, width=200)
    table = Table("name")
    for text in HOSTILE:
        table.add_row(escape(text))
        console.print(f"[bold]{escape(text)}[/bold]")
        console.print(text, markup=False)
    console.print(table)
    shown = written.getvalue()
    assert "가을 셔츠" in shown
    # Only the console itself writes escape sequences, and those are about style.
    assert all(part.startswith(("[1m", "[0m")) for part in shown.split("\x1b")[1:])
    assert not set(shown) & set("\x07\x9b\x85\u2028\u2029\u202e\ud800\0\r")


def test_no_cell_of_an_export_runs_as_a_formula() -> None:
    for before in ("", " ", "\u3000", "\u00a0", "\u200b", "\ufeff", "\0", "\x1f", "\u200e \ufeff"):
        for sign in "=+-@＝＋－＠﹦﹢﹣﹫−":
            assert escape_formula(f"{before}{sign}1+cmd|'/c calc'!A1").startswith("'"), (before, sign)
    for before in "\t\r\n":
        assert escape_formula(f"{before}1").startswith("'")
    for harmless in ("", "셔츠", "a=b", "1-2", "(=)", "'=x", "\u3000가을"):
        assert escape_formula(harmless) == harmless
