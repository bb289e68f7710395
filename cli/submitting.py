"""`lookbook submit`."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.output import AsJson, ExitCode, Key, Url, Wait, connect, err
from cli.sources import Kind, Source, read_source
from cli.watching import report_new_job, sending
from core.sources.manifests.columns import known_fields
from lookbook import DEFAULT_URL, Client, Job
from lookbook.multipart import Sent
from lookbook.options import JobOptions


class Priority(StrEnum):
    NORMAL = "normal"
    LOW = "low"


def _metadata(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise typer.BadParameter(f'expected a JSON object such as {{"season": "autumn"}}, got {text!r}')
    return value


def _column(text: str) -> tuple[str, str]:
    column, _, field = text.rpartition("=")
    if not column or field not in known_fields():
        fields = ", ".join(sorted(known_fields()))
        raise typer.BadParameter(f"expected COLUMN=FIELD with one of the fields {fields}; got {text!r}")
    return column, field


def _time(text: str) -> datetime:
    try:
        # A time without a zone is in the zone of this machine.
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise typer.BadParameter(
            f"expected a date or time such as 2027-01-31 or 2027-01-31T12:00Z, got {text!r}"
        ) from None


def submit(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Pictures, folders and patterns, or an archive, or a manifest, or URLs. `-` reads a list of paths or "
            "URLs, or a manifest, from standard input.",
            show_default=False,
        ),
    ],
    name: Annotated[str, typer.Option(help="The name of the job.", show_default=False)] = "",
    model: Annotated[str, typer.Option(help="The model: name, name@version or alias.")] = "production",
    top_k: Annotated[
        int | None, typer.Option(min=1, help="The number of labels to keep for each picture.", show_default="5")
    ] = None,
    priority: Annotated[Priority, typer.Option(help="`low` lets other bulk work go first.")] = Priority.NORMAL,
    metadata: Annotated[
        Any,
        typer.Option(parser=_metadata, metavar="JSON", help="A JSON object to store with the job.", show_default=False),
    ] = None,
    columns: Annotated[
        list[Any] | None,
        typer.Option(
            parser=_column,
            metavar="COLUMN=FIELD",
            help="What a column of the manifest means, such as `Bild=url` or `Nr=sku`. May be repeated. Columns with "
            "usual names need none.",
            show_default=False,
        ),
    ] = None,
    webhook: Annotated[
        str, typer.Option(metavar="URL", help="Notify this URL when the job ends.", show_default=False)
    ] = "",
    expires_at: Annotated[
        Any,
        typer.Option(
            parser=_time, metavar="TIME", help="Keep the job until this time, then delete it.", show_default=False
        ),
    ] = None,
    vectors: Annotated[
        bool | None,
        typer.Option(
            "--vectors/--no-vectors",
            help="Store the vectors of the pictures, for searching by likeness and for teaching.",
            show_default="the setting of the service",
        ),
    ] = None,
    resume: Annotated[
        str,
        typer.Option(
            metavar="JOB_ID",
            help="Go on with an upload that broke off: send the pictures that this job does not have yet.",
            show_default=False,
        ),
    ] = "",
    wait: Wait = True,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Classify pictures: submit them as one job, watch it, and print the predictions.

    A job has one source: pictures, an archive (.zip .tar .tar.gz …), a manifest (.csv .tsv .xlsx .xml .jsonl .txt) or
    URLs. The exit code is 3 if some pictures failed and 4 if the job was canceled. With `--no-wait`, standard output
    has only the id of the job.

    Many pictures are sent in several requests, and the service classifies the first ones meanwhile. If the line breaks
    for longer than the retries last, the message names the job with which `--resume` goes on.

    Examples:

        lookbook submit dress.jpg

        lookbook submit ~/catalog --name "Autumn catalog"

        lookbook submit ~/catalog --resume job_01j9z3k8m2q4w6e8r0t2y4u6i8

        lookbook submit catalog.zip --priority low --no-wait

        lookbook submit products.csv --webhook https://shop.example/hooks/lookbook

        lookbook submit katalog.xlsx --columns Bild=url --columns Nummer=sku

        lookbook submit google-merchant.xml

        lookbook submit https://shop.example/1.jpg https://shop.example/2.jpg

        find ~/catalog -name '*.jpg' -newer last-run | lookbook submit -

        lookbook submit ~/catalog --json > predictions.jsonl
    """
    source = read_source(sources, sys.stdin.buffer.read)
    if resume and source.kind is not Kind.PICTURES:
        raise typer.BadParameter(f"only an upload of pictures can be resumed, got {source.kind.value}")
    options = JobOptions(
        name=name or None,
        model=model,
        top_k=top_k,
        priority=priority.value,
        metadata=metadata,
        webhook={"url": webhook} if webhook else None,
        expires_at=expires_at,
        vectors=vectors,
        # A small job is finished within a second. The service then answers once, and no poll is needed.
        prefer_wait=1 if wait else None,
    )
    with connect(url, key) as client:
        columns_by_field = dict(columns or ())
        job = _resume(client, resume, source) if resume else _send(client, source, options, columns_by_field)
        report_new_job(job, wait=wait, as_json=as_json)


def _send(client: Client, source: Source, options: JobOptions, columns: dict[str, str]) -> Job:
    if columns and source.kind not in (Kind.MANIFEST, Kind.ARCHIVE):
        raise typer.BadParameter(f"expected --columns only with a manifest or an archive, got {source.kind.value}")
    if source.kind is Kind.URLS:
        return client.submit_items(source.urls, **options)
    count = f"{len(source.files):,} pictures" if source.kind is Kind.PICTURES else source.kind.value
    with sending(f"sending {count}") as sent:
        if source.kind is Kind.ARCHIVE:
            return client.submit_archive(source.files[0], columns=columns, sent=sent, **options)
        if source.kind is Kind.MANIFEST:
            return client.submit_manifest(source.files[0], columns=columns, sent=sent, **options)
        return _send_pictures(client, source, options, sent)


def _send_pictures(client: Client, source: Source, options: JobOptions, sent: Sent) -> Job:
    opened: list[Job] = []
    try:
        return client.submit_uploads(source.files, sent=sent, opened=opened.append, **options)
    except KeyboardInterrupt:
        if not opened:
            raise
        err.print(f"interrupted: to go on, repeat the command with --resume {opened[0].id}", markup=False)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _resume(client: Client, job_id: str, source: Source) -> Job:
    with sending("sending the other pictures") as sent:
        return client.resume_uploads(job_id, source.files, sent=sent)
