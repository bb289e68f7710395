"""Commands on items: list, export, review."""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from cli.output import AsJson, JobId, Key, Url, connect, err, out, print_json, print_json_lines
from cli.watching import print_items
from lookbook import DEFAULT_URL
from lookbook.jobs import ItemFilter


class Sort(StrEnum):
    POSITION = "position"
    CONFIDENCE = "confidence"


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


def items(
    job_id: JobId,
    status: Annotated[
        str, typer.Option(help="pending, succeeded, failed or canceled ones only.", show_default=False)
    ] = "",
    label: Annotated[str, typer.Option(help="Only those of this label (its id).", show_default=False)] = "",
    group: Annotated[str, typer.Option(help="Only those of this group (its id).", show_default=False)] = "",
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Only those at least so sure.", show_default=False)
    ] = None,
    max_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Only those at most so sure.", show_default=False)
    ] = None,
    reviewed: Annotated[
        bool | None, typer.Option("--reviewed/--not-reviewed", help="Only those that people judged, or did not.")
    ] = None,
    hide_duplicates: Annotated[
        bool, typer.Option("--hide-duplicates", help="Without those that show the picture of an earlier one.")
    ] = False,
    sort: Annotated[Sort, typer.Option(help="`confidence`: the doubtful ones first.")] = Sort.POSITION,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.", show_default="all")] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List a job's items as they stand: confidence, label or error, id, name. With --json: one item a line.

    Examples:

        lookbook items job_01k… --status failed

        lookbook items job_01k… --max-confidence 0.5 --sort confidence --limit 20

        lookbook items job_01k… --label dress --json > dresses.jsonl
    """
    wanted = ItemFilter(
        status=status or None,
        label=label or None,
        group=group or None,
        min_confidence=min_confidence,
        max_confidence=max_confidence,
        reviewed=reviewed,
        duplicates="hide" if hide_duplicates else None,
        sort=sort.value,
    )
    with connect(url, key) as client:
        rows = islice(client.job(job_id).items(**wanted), limit)
        if as_json:
            print_json_lines(item.raw for item in rows)
        else:
            print_items(rows)


def export(
    job_id: JobId,
    format: Annotated[
        Format | None, typer.Option("--format", "-f", help="Else the ending of FILE says it.", show_default=False)
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="`-` is standard output.", show_default=False)
    ] = "-",
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Write all items of a job as CSV, JSONL or Parquet. FILE changes only once all of it is there.

    Examples:

        lookbook export job_01k… -o predictions.csv

        lookbook export job_01k… -f jsonl | jq -r .label

        lookbook export job_01k… -o predictions.parquet
    """
    target = None if output == "-" else Path(output)
    ending = target.suffix.removeprefix(".").lower() if target else ""
    chosen = format or next((known for known in Format if known.value == ending), None)
    if chosen is None:
        raise typer.BadParameter(f"expected one of {', '.join(Format)}", param_hint="--format")
    with connect(url, key) as client:
        job = client.job(job_id)
        if target is not None:
            size = job.export(target, chosen.value)
            err.print(f"{target}: {size:,} bytes", markup=False)
            return
        with job.export_blocks(chosen.value) as blocks:
            for block in blocks:
                sys.stdout.buffer.write(block)


def review(
    item_id: Annotated[str, typer.Argument(metavar="ITEM", help="The item's id: itm_…", show_default=False)],
    label: Annotated[
        str, typer.Argument(metavar="[LABEL]", help="The label it shows (its id).", show_default=False)
    ] = "",
    reject: Annotated[bool, typer.Option("--reject", help="No label of the model fits.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was said of it.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Say what an item shows: another label than the predicted one, the same, or that none fits. The last one counts.

    Examples:

        lookbook review itm_01k… dress

        lookbook review itm_01k… --reject

        lookbook review itm_01k… --undo
    """
    if [bool(label), reject, undo].count(True) != 1:
        raise typer.BadParameter("expected one of a label, --reject and --undo")
    with connect(url, key) as client:
        if undo:
            client.unreview(item_id)
            err.print(f"{item_id} is not reviewed any more")
            return
        given = client.reject(item_id) if reject else client.review(item_id, label)
    if as_json:
        print_json(given.raw)
    else:
        verdict = given.label.name if given.label is not None else "no label fits"
        out.print(f"{item_id}: {verdict} (predicted {given.predicted.name}, {given.confidence:.2f})", markup=False)
