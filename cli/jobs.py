"""Commands for jobs."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer
from rich.markup import escape

from cli.output import AsJson, JobId, Key, Url, Wait, connect, err, open_job, out, print_json, table
from cli.watching import follow, follow_and_report
from lookbook import DEFAULT_URL, Job


def jobs(
    status: Annotated[
        str,
        typer.Option(
            help="List jobs in this status: queued, running, completed, canceled, failed.", show_default=False
        ),
    ] = "",
    source: Annotated[
        str,
        typer.Option(
            help="List jobs with this source: classification, uploads, archive, manifest, items, crawl, rerun.",
            show_default=False,
        ),
    ] = "",
    q: Annotated[str, typer.Option("--name", help="List jobs whose name contains this text.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, help="The maximum number of jobs.")] = 20,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    Examples:

        lookbook jobs

        lookbook jobs --status running --json

        lookbook jobs --name autumn --limit 100
    """
    with connect(url, key) as client:
        rows = list(islice(client.jobs(status=status or None, source=source or None, q=q or None), limit))
    if as_json:
        print_json([job.state.raw for job in rows])
        return
    shown = table("job", "name", "status", "done", "failed", "created", wrapping="name")
    for job in rows:
        counts = job.counts
        done = f"{counts.total - counts.pending:,}/{counts.total:,}"
        created = f"{job.state.created_at.astimezone():%d %b %H:%M}"
        shown.add_row(job.id, escape(job.name), job.status, done, f"{counts.failed:,}", created)
    out.print(shown)


def watch(job_id: JobId, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """Watch a job until it is finished. Then print its items and a summary.

    Ctrl-C stops the watching, not the job. The exit codes are those of `submit`.

    Examples:

        lookbook watch job_01k…

        lookbook watch $(lookbook submit ~/catalog --no-wait)
    """
    with open_job(job_id, url, key) as job:
        follow_and_report(job, as_json=as_json)


def cancel(
    job_id: JobId,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the job is canceled.")] = True,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Cancel a job. Workers finish the items that they hold; the other pending items are canceled.

    Examples:

        lookbook cancel job_01k…

        lookbook cancel job_01k… --no-wait
    """
    with open_job(job_id, url, key) as job:
        job.cancel()
        if wait:
            follow(job)
    _print_status(job, as_json=as_json)


def retry(
    job_id: JobId,
    wait: Wait = True,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Retry the failed items of a job for which another attempt may help.

    Examples:

        lookbook retry job_01k…

        lookbook retry job_01k… --no-wait
    """
    with open_job(job_id, url, key) as job:
        job.retry()
        if wait:
            follow_and_report(job, as_json=as_json)
        else:
            _print_status(job, as_json=as_json)


def delete(
    job_id: JobId,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Delete a finished job, with its items and the pictures that no other job uses.

    Examples:

        lookbook delete job_01k…

        lookbook delete job_01k… --yes
    """
    with open_job(job_id, url, key) as job:
        if not yes:
            typer.confirm(f"delete {job.name!r} with its {job.counts.total:,} items?", abort=True, err=True)
        job.delete()
    err.print(f"{job.id} is deleted")


def deliveries(
    job_id: JobId,
    replay: Annotated[
        str, typer.Option(metavar="DELIVERY", help="Send this delivery again: dlv_…", show_default=False)
    ] = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List the deliveries to a job's webhook, newest first.

    A delivery is pending, delivered, failed (given up), or disabled (the receiver answered 410).

    Examples:

        lookbook deliveries job_01k…

        lookbook deliveries job_01k… --replay dlv_01k…
    """
    with open_job(job_id, url, key) as job:
        rows = [job.replay(replay)] if replay else list(job.deliveries())
    if as_json:
        print_json([row.raw for row in rows])
        return
    shown = table("delivery", "event", "status", "attempts", "answer", "url", wrapping="answer")
    for row in rows:
        answer = escape(row.last_error or str(row.last_status or ""))
        shown.add_row(row.id, row.event, row.status, str(row.attempts), answer, escape(row.url))
    out.print(shown)


def _print_status(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(job.state.raw)
    else:
        status = "canceling" if job.state.canceling else job.status
        counts = job.counts
        out.print(
            f"{job.id} {status}: {counts.succeeded:,} classified, {counts.failed:,} failed, "
            f"{counts.canceled:,} canceled, {counts.pending:,} pending"
        )
