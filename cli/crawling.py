"""`lookbook crawl` and `lookbook urls`."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from cli.output import AsJson, JobId, Key, Url, Wait, connect, err, open_job, out, print_json_lines, printable
from cli.watching import report_new_job
from lookbook import DEFAULT_URL
from lookbook.crawl_answers import CrawlUrl
from lookbook.options import CrawlLimits, JobOptions


class UrlState(StrEnum):
    QUEUED = "queued"
    DONE = "done"
    NOT_MODIFIED = "not_modified"
    MOVED = "moved"
    GONE = "gone"
    FAILED = "failed"
    BLOCKED_BY_ROBOTS = "blocked_by_robots"
    BLOCKED_ADDRESS = "blocked_address"
    NOT_ALLOWED = "not_allowed"
    LEFT_OUT = "left_out"


class UrlKind(StrEnum):
    PAGE = "page"
    PICTURE = "picture"
    SITEMAP = "sitemap"
    FEED = "feed"
    ROBOTS = "robots"


def crawl(
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="URL", help="Pages, lists, sitemaps or feeds to start from.", show_default=False),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="The site recipe to use. By default, each page is read by the recipe that matches it.",
            show_default=False,
        ),
    ] = "",
    query: Annotated[
        str, typer.Option(help="The word to search for, if the recipe supports a search.", show_default=False)
    ] = "",
    pages: Annotated[
        int | None, typer.Option("--max-pages", min=1, help="The maximum number of pages.", show_default="200")
    ] = None,
    pictures: Annotated[
        int | None, typer.Option("--max-pictures", min=1, help="The maximum number of pictures.", show_default="2000")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=0, help="The maximum number of links from a start URL.", show_default="3")
    ] = None,
    minutes: Annotated[
        int | None, typer.Option(min=1, help="The maximum duration in minutes.", show_default="30")
    ] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Option("--host", help="Another host whose pages may be visited. Can be repeated.", show_default=False),
    ] = None,
    since: Annotated[
        str,
        typer.Option(
            metavar="JOB",
            help="Repeat this crawl. Unchanged pages and pictures are not downloaded again.",
            show_default=False,
        ),
    ] = "",
    name: Annotated[str, typer.Option(help="The name of the job.", show_default=False)] = "",
    model: Annotated[str, typer.Option(help="The model: name, name@version or alias.")] = "production",
    wait: Wait = True,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Crawl a shop and classify its pictures. Then print the predictions and the outcome of the crawl.

    The exit codes are those of `submit`. In addition, the code is 1 if the crawl found no picture and 3 if it ended
    early; standard error has the reason. With `--no-wait`, standard output has only the id of the job.

    Examples:

        lookbook crawl https://shop.example/

        lookbook crawl https://shop.example/sitemap.xml --max-pages 1000 --minutes 60 --name "Autumn at shop.example"

        lookbook crawl https://shop.example/ --recipe my-shop --query coat --json > coats.jsonl

        lookbook crawl --since job_01k…
    """
    if not urls and not since:
        raise typer.BadParameter("expected a URL to start from, or --since with a crawl to repeat", param_hint="URL")
    limits = CrawlLimits(pages=pages, pictures=pictures, depth=depth, minutes=minutes, hosts=hosts or None)
    options = JobOptions(name=name or None, model=model)
    with connect(url, key) as client:
        job = client.crawl(
            urls or [],
            recipe=recipe or None,
            query=query or None,
            limits=_limits_or_none(limits),
            since=since or None,
            **options,
        )
        report_new_job(job, wait=wait, as_json=as_json)


def _limits_or_none(limits: CrawlLimits) -> CrawlLimits | None:
    """Return None if no limit is given, so that the limits of the repeated crawl apply."""
    return limits if any(value is not None for value in limits.values()) else None


def urls(
    job_id: JobId,
    state: Annotated[UrlState | None, typer.Option(help="List URLs in this state.", show_default=False)] = None,
    kind: Annotated[UrlKind | None, typer.Option(help="List URLs of this kind.", show_default=False)] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The maximum number of URLs.", show_default="all")] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List the URLs that a crawl found, in the order in which it found them.

    Each line has state, kind, HTTP status, URL and reason. With `--json`, each line is a JSON object.

    Examples:

        lookbook urls job_01k…

        lookbook urls job_01k… --state failed

        lookbook urls job_01k… --state left_out --kind picture --json
    """
    with open_job(job_id, url, key) as job:
        if job.state.crawl is None:
            err.print(f"{job.id} is not a crawl and has no URLs: its source is {job.state.source}")
        rows = islice(job.urls(state=state and state.value, kind=kind and kind.value), limit)
        if as_json:
            print_json_lines(row.raw for row in rows)
            return
        for row in rows:
            out.print(_line(row), markup=False)


def _line(row: CrawlUrl) -> str:
    reason = "" if row.reason is None else f"  {row.reason.code}"
    if row.reason is not None and row.reason.detail:
        reason += f": {row.reason.detail}"
    return printable(f"{row.state:<17}  {row.kind:<7}  {row.status or '':>3}  {row.url}{reason}")
