"""Options, consoles, tables and exit codes that the commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.highlighter import JSONHighlighter
from rich.segment import Segment
from rich.table import Table

from core.safe_json import to_json
from lookbook import Client, Job


class SafeConsole(Console):
    """A console whose texts cannot change the terminal, whichever file names and shops they come from."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the segments of anything that is printed, with each control character of a text replaced."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable_lines(segment.text))


def printable(text: str) -> str:
    """Return foreign text with each control character replaced, so that it cannot change the terminal."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def printable_lines(text: str) -> str:
    """Return `printable` text that keeps its line breaks."""
    return "\n".join(map(printable, text.split("\n")))


# Output to a pipe has no terminal width, so a large width keeps long lines whole. COLUMNS overrides it.
out = SafeConsole(
    highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 400
)
err = SafeConsole(stderr=True, highlight=False, soft_wrap=True)

Url = Annotated[
    str, typer.Option("--url", envvar="LOOKBOOK_URL", help="The URL of the service.", rich_help_panel="Service")
]
Key = Annotated[
    str,
    typer.Option(
        "--key",
        envvar="LOOKBOOK_KEY",
        help="The API key. Other users of this machine can see it here, so prefer LOOKBOOK_KEY.",
        rich_help_panel="Service",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of the job: job_…", show_default=False)]
Wait = Annotated[
    bool,
    typer.Option(
        "--wait/--no-wait", help="Wait until the job is finished and print its predictions, or print its id at once."
    ),
]


class ExitCode(IntEnum):
    """The exit codes of `lookbook`. docs/cli.md lists them for users."""

    OK = 0
    ERROR = 1
    """The service refused the request or did not answer, or the source of the job could not be read."""
    USAGE = 2
    """The command line is wrong, and nothing was sent. Click exits with this code."""
    ITEMS_FAILED = 3
    """Some items of the job failed, or its crawl ended early."""
    CANCELED = 4
    INTERRUPTED = 130
    """Ctrl-C was pressed."""


@contextmanager
def connect(url: str, key: str) -> Iterator[Client]:
    """Open a client, and check at once that the service answers.

    Later requests wait for a service that does not answer. A wrong URL should fail without that wait.

    Raises:
        NotReached: no service answers at `url`.
    """
    with Client(url, key or None) as client:
        client.ping()
        yield client


@contextmanager
def open_job(job_id: str, url: str, key: str) -> Iterator[Job]:
    """Open a client and read the job.

    Raises:
        NotReached: no service answers at `url`.
        ProblemError: the service has no such job.
    """
    with connect(url, key) as client:
        yield client.job(job_id)


def table(*columns: str, wrapping: str = "") -> Table:
    """Make a table. If it is too wide for the terminal, only the column `wrapping` breaks its lines."""
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, no_wrap=column != wrapping)
    return made


def print_json(value: object) -> None:
    """Print one JSON value, indented."""
    out.print(JSONHighlighter()(to_json(value, indent=2)))


def print_json_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON object per line."""
    for row in rows:
        typer.echo(to_json(row))
