"""`lookbook products`."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Annotated

import typer
from rich.markup import escape

from cli.items import ExportFormat, Format, MaxConfidence, MinConfidence, export_target
from cli.output import AsJson, JobId, Key, Url, err, open_job, out, print_json_lines, printable
from lookbook import DEFAULT_URL
from lookbook.filters import ProductFilter
from lookbook.jobs import Job
from lookbook.product_answers import ProductVerdict


def products(
    job_id: JobId,
    label: Annotated[str, typer.Option(help="Take products with this verdict (its id).", show_default=False)] = "",
    contradicts: Annotated[
        bool | None,
        typer.Option(
            "--contradicts/--agrees", help="Take products whose verdict contradicts, or fits, the shop's own category."
        ),
    ] = None,
    set_apart: Annotated[
        bool | None,
        typer.Option("--set-apart/--all-alike", help="Take products with, or without, a photo of something else."),
    ] = None,
    min_confidence: MinConfidence = None,
    max_confidence: MaxConfidence = None,
    product: Annotated[str, typer.Option(help="Take the product with this id.", show_default=False)] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, help="The maximum number of products.", show_default="all")
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write one row a product to a CSV, JSONL or Parquet file; `-` is standard output.",
            show_default=False,
        ),
    ] = "",
    format: ExportFormat = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List the products of a job, each with the label that its photos vote for.

    Each line has the confidence of the verdict, the verdict, the product id, the title and the number of photos. It
    says how many photos show something else, and if the verdict contradicts the shop's own category. Reviews win over
    predictions. With `--json`, each line is a JSON object.

    Examples:

        lookbook products job_01k…

        lookbook products job_01k… --contradicts --json

        lookbook products job_01k… --label dress --max-confidence 0.6

        lookbook products job_01k… -o products.csv
    """
    wanted: ProductFilter = {
        "product_id": product or None,
        "label": label or None,
        "contradicts": contradicts,
        "set_apart": set_apart,
        "min_confidence": min_confidence,
        "max_confidence": max_confidence,
    }
    if format is not None and not output:
        raise typer.BadParameter("expected --output with a format", param_hint="--format")
    with open_job(job_id, url, key) as job:
        if output:
            _export(job, output, format, wanted)
            return
        rows = islice(job.products(**wanted), limit)
        if as_json:
            print_json_lines(row.raw for row in rows)
            return
        for row in rows:
            out.print(_line(row))


def _export(job: Job, output: str, format: ExportFormat, wanted: ProductFilter) -> None:
    target, chosen = export_target(output, format, Format)
    if target is not None:
        err.print(f"{target}: {job.export_products(target, chosen.value, **wanted):,} bytes", markup=False)
        return
    with job.export_product_blocks(chosen.value, **wanted) as blocks:
        for block in blocks:
            sys.stdout.buffer.write(block)


def _line(row: ProductVerdict) -> str:
    confidence = "    " if row.confidence is None else f"{row.confidence:.2f}"
    verdict = "no verdict" if row.verdict is None else row.verdict.name
    notes = [f"{row.pictures:,} photo{'' if row.pictures == 1 else 's'}"]
    if row.by_review:
        notes.append("reviewed")
    if row.set_apart:
        notes.append(f"{len(row.set_apart):,} set apart")
    if row.contradicts_category:
        notes.append(f"contradicts {row.product.category or 'the category of the shop'}")
    title = printable(row.product.title or "")
    described = f"{escape(verdict):<20}  [dim]{escape(row.product.product_id or '')}[/dim]  {escape(title)}"
    return f"{confidence}  {described}  [dim]{escape(', '.join(notes))}[/dim]"
