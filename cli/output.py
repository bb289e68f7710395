"""What the commands that use a service have in common: options, consoles, exit codes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lookbook import Client, Job

# In a pipe nothing is cut off; COLUMNS says otherwise.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 400)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Url = Annotated[
    str, typer.Option("--url", envvar="LOOKBOOK_URL", help="Where the service is.", rich_help_panel="Service")
]
Key = Annotated[
    str,
    typer.Option("--key", envvar="LOOKBOOK_KEY", help="The API key.", rich_help_panel="Service", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id: job_…", show_default=False)]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the predictions and print them.")]


class ExitCode(IntEnum):
    """Exit codes; docs/cli.md lists them."""

    OK = 0
    ERROR = 1
    """The service refused or did not answer, or the job's source could not be read."""
    USAGE = 2
    """The command line was not understood; nothing was sent."""
    ITEMS_FAILED = 3
    """Some of them, or the crawl ended before its time."""
    CANCELED = 4
    INTERRUPTED = 130
    """Ctrl-C."""


@contextmanager
def connect(url: str, key: str) -> Iterator[Client]:
    """The service; a person is told at once if it is not there, while later silence is waited through.

    Raises:
        NotReached: nothing answers at `url`.
    """
    with Client(url, key or None) as client:
        client.ping()
        yield client


@contextmanager
def open_job(job_id: str, url: str, key: str) -> Iterator[Job]:
    """A job of the service, as it stands.

    Raises:
        NotReached: nothing answers at `url`.
        ProblemError: it has no such job.
    """
    with connect(url, key) as client:
        yield client.job(job_id)


def table(*columns: str, wrapping: str = "") -> Table:
    """A table; where it is too wide, the column `wrapping` gives way."""
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, no_wrap=column != wrapping)
    return made


def printable(text: str) -> str:
    """Other people's text for a terminal: control characters of it do nothing."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def print_json(value: object) -> None:
    out.print_json(data=value, ensure_ascii=False)


def print_json_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        typer.echo(json.dumps(row, ensure_ascii=False))
