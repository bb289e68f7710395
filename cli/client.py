"""Commands that use a running service."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table

from cli.http import ServiceError, body_of, connect
from cli.multipart import MultipartBody

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".avif", ".bmp"}
"""What is picked up from folders. A file that is named itself is sent whatever it is called."""
POLL_SECONDS = 0.5

Url = Annotated[str, typer.Option("--url", envvar="LOOKBOOK_URL", help="Where the service is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
DEFAULT_URL = "http://127.0.0.1:8000"

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)


def submit(
    paths: Annotated[list[Path], typer.Argument(help="Pictures, and folders of pictures.", exists=True)],
    name: Annotated[str, typer.Option(help="Name of the job.")] = "",
    model: Annotated[str, typer.Option(help="Model: name, name@version or alias.")] = "production",
    wait: Annotated[bool, typer.Option(help="Wait for the predictions.")] = True,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Classify pictures: upload them as one job, watch it, and print what came of it.

    Examples:

        lookbook submit dress.jpg

        lookbook submit ~/catalog --name "Autumn catalog"

        lookbook submit ~/catalog --json > predictions.jsonl
    """
    files = list(_pictures(paths))
    if not files:
        raise ServiceError(
            f"no pictures in {', '.join(map(str, paths))}: "
            f"expected files ending in {' '.join(sorted(PICTURE_SUFFIXES))}"
        )
    with connect(url) as http:
        fields = {"model": model, **({"name": name} if name else {})}
        job = _upload(http, MultipartBody(fields, "images", files), len(files))
        page = url.rstrip("/") + job["links"]["page"]
        err.print(f"{job['id']}  {page}")
        if not wait:
            if as_json:
                out.print_json(data=job)
            return
        job = _watch(http, job)
        _print_items(http, job, as_json=as_json)
    if job["counts"]["failed"]:
        raise typer.Exit(3)


def _pictures(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = (file for file in path.rglob("*") if file.suffix.lower() in PICTURE_SUFFIXES)
            yield from sorted(file for file in found if file.is_file())
        else:
            yield path


def _upload(http: httpx.Client, body: MultipartBody, count: int) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(f"uploading {count:,}", total=body.length)

        def counted() -> Iterator[bytes]:
            for block in body:
                yield block
                progress.advance(task, len(block))

        headers = {"Content-Type": body.content_type, "Content-Length": str(body.length)}
        return body_of(http.post("/v1/jobs", content=counted(), headers=headers))


def _watch(http: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    etag = ""
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("classifying", total=job["counts"]["total"])
        while job["status"] in {"queued", "running"}:
            time.sleep(POLL_SECONDS)
            response = http.get(job["links"]["self"], headers={"If-None-Match": etag} if etag else {})
            if response.status_code == httpx.codes.NOT_MODIFIED:
                continue
            job = body_of(response)
            etag = response.headers.get("ETag", "")
            counts = job["counts"]
            progress.update(task, completed=counts["total"] - counts["pending"])
    return job


def _items(http: httpx.Client, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        query = {"limit": "200", **({"cursor": cursor} if cursor else {})}
        page = body_of(http.get(job["links"]["items"], params=query))
        yield from page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _print_items(http: httpx.Client, job: dict[str, Any], *, as_json: bool) -> None:
    labels: Counter[str] = Counter()
    table = Table("picture", "label", "confidence", box=None, header_style="bold")
    for item in _items(http, job):
        if as_json:
            out.print(json.dumps(item, ensure_ascii=False), markup=False)
        elif item["prediction"]:
            labels[item["prediction"]["label"]["name"]] += 1
            table.add_row(
                item["source"]["name"], item["prediction"]["label"]["name"], f"{item['prediction']['confidence']:.2f}"
            )
        elif item["error"]:
            table.add_row(item["source"]["name"], f"[red]{item['error']['code']}[/red]", "")
    if not as_json:
        out.print(table)
        counts = job["counts"]
        rate = f", {job['rate']:.0f} pictures/s" if job["rate"] else ""
        out.print(f"{counts['succeeded']:,} classified, {counts['failed']:,} failed, {counts['reused']:,} reused{rate}")
        out.print("  ".join(f"{label} {count:,}" for label, count in labels.most_common()))


def jobs(
    status: Annotated[str, typer.Option(help="Only jobs in this status.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    Examples:

        lookbook jobs

        lookbook jobs --status running --json
    """
    with connect(url) as http:
        query = {"limit": str(limit), **({"status": status} if status else {})}
        rows = body_of(http.get("/v1/jobs", params=query))["data"]
    if as_json:
        out.print_json(data=rows)
        return
    table = Table(
        Column("job", no_wrap=True),
        "name",
        "status",
        "done",
        "failed",
        "model",
        "created",
        box=None,
        header_style="bold",
    )
    for job in rows:
        counts = job["counts"]
        done = f"{counts['total'] - counts['pending']:,}/{counts['total']:,}"
        model = f"{job['model']['name']}@{job['model']['version']}"
        table.add_row(job["id"], job["name"], job["status"], done, str(counts["failed"]), model, job["created_at"])
    out.print(table)
