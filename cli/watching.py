"""Show a job to a person: progress bars while it is sent and while it runs, then its predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TransferSpeedColumn,
)

from cli.crawls import early_end, progress_line, total_lines
from cli.output import ExitCode, err, out, print_json, print_json_lines, printable
from lookbook import Item, Job
from lookbook.multipart import Sent

SHOWN_ITEMS = 200
"""The number of items that `submit` and `watch` print. `lookbook items` lists all."""


@contextmanager
def sending(what: str) -> Iterator[Sent]:
    """Show a progress bar for an upload."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda sent, total: progress.update(task, completed=sent, total=total)


@contextmanager
def interruptible_wait(job: Job) -> Iterator[None]:
    """Let Ctrl-C end the waiting for a job, but not the job, and print how to watch it again."""
    try:
        yield
    except KeyboardInterrupt:
        err.print(f"{job.id} goes on. To watch it again: lookbook watch {job.id}")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def follow(job: Job) -> None:
    """Wait until a job is finished, and show a progress bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    with (
        interruptible_wait(job),
        Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress,
    ):
        task = progress.add_task(job.status, total=None, note="")

        def show(job: Job) -> None:
            counts = job.counts
            done, total = counts.total - counts.pending, counts.total or None
            progress.update(task, description=_activity(job), completed=done, total=total, note=_note(job))

        job.wait(progress=show)


def _activity(job: Job) -> str:
    if job.state.canceling:
        return "stopping"
    if not job.state.discovering:
        return "classifying"
    return "crawling" if job.state.crawl else f"reading the {job.state.source}"


def _note(job: Job) -> str:
    if job.state.crawl is not None and job.state.discovering:
        return escape(progress_line(job.state.crawl))
    if not job.state.rate:
        return ""
    left = "" if job.state.eta_seconds is None or job.state.discovering else f", {job.state.eta_seconds:,} s left"
    return f"{_rate(job.state.rate)}/s{left}"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def report_new_job(job: Job, *, wait: bool, as_json: bool) -> None:
    """Print the id and the page of a new job. Then wait for it and report on it, or print its id at once."""
    with interruptible_wait(job):
        err.print(f"{job.id}  {job.page}", markup=False)
        if wait:
            follow(job)
    if wait:
        report(job, as_json=as_json)
    elif as_json:
        print_json(job.state.raw)
    else:
        typer.echo(job.id)


def follow_and_report(job: Job, *, as_json: bool) -> None:
    """Wait until a job is finished, and report on it."""
    follow(job)
    report(job, as_json=as_json)


def report(job: Job, *, as_json: bool) -> None:
    """Print the items of a finished job and a summary, and end the command with the exit code of the job."""
    if as_json:
        print_json_lines(item.raw for item in job.items())
    else:
        print_items(islice(job.items(), SHOWN_ITEMS))
        if job.counts.total > SHOWN_ITEMS:
            out.print(f"… {job.counts.total - SHOWN_ITEMS:,} more: lookbook items {job.id}")
        _print_totals(job)
    raise typer.Exit(_exit_code(job))


def _print_totals(job: Job) -> None:
    counts, rate = job.counts, job.state.rate
    parts = [f"{counts.succeeded:,} classified", f"{counts.failed:,} failed", f"{counts.reused:,} reused"]
    parts += [f"{counts.canceled:,} canceled"] if counts.canceled else []
    parts += [f"{_rate(rate)} pictures/s"] if rate else []
    out.print(", ".join(parts))
    for line in [] if job.state.crawl is None else total_lines(job.state.crawl):
        out.print(line, markup=False)
    labels = sorted((label for label in job.summary().labels if label.count), key=lambda label: -label.count)
    if labels:
        out.print("  ".join(f"{escape(label.name)} {label.count:,}" for label in labels))


def _exit_code(job: Job) -> ExitCode:
    """Return the exit code for a finished job, and print to standard error why it failed or ended early."""
    if job.status == "failed":
        error = job.state.error
        reason = f": {error.detail} ({error.code})" if error else ""
        err.print(f"lookbook: {job.id} failed{reason}", style="red", markup=False)
        return ExitCode.ERROR
    if job.status == "canceled":
        return ExitCode.CANCELED
    early_reason = job.state.crawl is not None and early_end(job.state.crawl)
    if early_reason:
        err.print(f"lookbook: {job.id}: {early_reason}", style="red", markup=False)
    return ExitCode.ITEMS_FAILED if job.counts.failed or early_reason else ExitCode.OK


def print_items(items: Iterable[Item]) -> None:
    """Print a line per item: confidence, listed label or error, id, name, and the labels of its regions.

    A line says if a person has reviewed the prediction.
    """
    for item in items:
        out.print(_line(item))


def _line(item: Item) -> str:
    confidence, result = "    ", f"[dim]{item.status:<20}[/dim]"
    if item.prediction is not None:
        confidence, result = f"{item.prediction.confidence:.2f}", f"{escape(_listed_label(item)):<20}"
    elif item.error is not None:
        result = f"[red]{escape(item.error.code):<20}[/red]"
    regions = "".join(
        f"  [dim]{escape(printable(region.name))}:[/dim] {escape(region.prediction.label.name)}"
        for region in item.regions
        if region.prediction is not None
    )
    reviewed = ""
    if item.review is not None and item.prediction is not None:
        reviewed = f"  [dim]reviewed, predicted {escape(item.prediction.label.name)}[/dim]"
    return f"{confidence}  {result}  [dim]{item.id}[/dim]  {escape(item.source.name)}{regions}{reviewed}"


def _listed_label(item: Item) -> str:
    return "no label fits" if item.label is None else item.label.name
