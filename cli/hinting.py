"""`lookbook hints`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from cli.output import AsJson, JobId, Key, Url, open_job, out, print_json, table
from lookbook import DEFAULT_URL
from lookbook.hint_answers import Hints

_PAUSE_SECONDS = 0.5


def hints(
    job_id: JobId,
    again: Annotated[
        bool, typer.Option("--again", help="Have them computed again, for example after reviews, and wait for it.")
    ] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Show how many items of a job deserve a look first, and why.

    `lookbook items --sort` lists them in the order of a hint, and `--hint` only those that it flags.

    Examples:

        lookbook hints job_01k…

        lookbook hints job_01k… --again --json
    """
    with open_job(job_id, url, key) as job:
        found = job.compute_hints() if again else job.hints()
        while again and found.computed_at is None:
            time.sleep(_PAUSE_SECONDS)
            found = job.hints()
    if as_json:
        print_json(found.raw)
    else:
        _print_hints(found)


def _print_hints(found: Hints) -> None:
    if found.requested_at is None:
        out.print("no hints yet: a worker computes them when the job has ended; --again asks for them")
        return
    shown = table("hint", "flagged", "in order", "why not", wrapping="why not")
    for hint in found.hints:
        numbers = ("–", "–") if hint.missing else (f"{hint.flagged:,}", f"{hint.listed:,}")
        shown.add_row(hint.kind, *numbers, hint.missing or "")
    out.print(shown)
    if found.computed_at is None:
        out.print("a worker is computing them")
    elif found.changed_reviews:
        out.print(f"{found.changed_reviews:,} reviews have changed since; --again takes them into account")
