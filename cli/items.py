"""Commands on items: list, export, review."""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from cli.output import AsJson, JobId, Key, Url, connect, err, open_job, out, print_json, print_json_lines
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


Status = Annotated[str, typer.Option(help="Only these: pending, succeeded, failed, canceled.", show_default=False)]
Label = Annotated[str, typer.Option(help="Only those of this label (its id).", show_default=False)]
Group = Annotated[str, typer.Option(help="Only those of this group (its id).", show_default=False)]
AtLeast = Annotated[float | None, typer.Option(min=0, max=1, help="Only those at least so sure.", show_default=False)]
AtMost = Annotated[float | None, typer.Option(min=0, max=1, help="Only those at most so sure.", show_default=False)]
Reviewed = Annotated[
    bool | None, typer.Option("--reviewed/--not-reviewed", help="Only those that people judged, or did not.")
]
HideDuplicates = Annotated[
    bool, typer.Option("--hide-duplicates", help="Without those that show the picture of an earlier one.")
]


def items(
    job_id: JobId,
    status: Status = "",
    label: Label = "",
    group: Group = "",
    min_confidence: AtLeast = None,
    max_confidence: AtMost = None,
    reviewed: Reviewed = None,
    hide_duplicates: HideDuplicates = False,
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
    wanted = _filter(status, label, group, min_confidence, max_confidence, reviewed, hide_duplicates)
    with open_job(job_id, url, key) as job:
        rows = islice(job.items(sort=sort.value, **wanted), limit)
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
    status: Status = "",
    label: Label = "",
    group: Group = "",
    min_confidence: AtLeast = None,
    max_confidence: AtMost = None,
    reviewed: Reviewed = None,
    hide_duplicates: HideDuplicates = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Write the items of a job as CSV, JSONL or Parquet. FILE changes only once all of it is there.

    Examples:

        lookbook export job_01k… -o predictions.csv

        lookbook export job_01k… -f jsonl | jq -r .label

        lookbook export job_01k… -o doubtful.parquet --max-confidence 0.5
    """
    target = None if output == "-" else Path(output)
    ending = target.suffix.removeprefix(".").lower() if target else ""
    chosen = format or next((known for known in Format if known.value == ending), None)
    if chosen is None:
        raise typer.BadParameter(
            f"expected one of {', '.join(Format)}, or a file that ends so; got {output!r}", param_hint="--format"
        )
    wanted = _filter(status, label, group, min_confidence, max_confidence, reviewed, hide_duplicates)
    with open_job(job_id, url, key) as job:
        if target is not None:
            size = job.export(target, chosen.value, **wanted)
            so_far = "" if job.over else f", the job is {job.status}: these are its items so far"
            err.print(f"{target}: {size:,} bytes{so_far}", markup=False)
            return
        with job.export_blocks(chosen.value, **wanted) as blocks:
            for block in blocks:
                sys.stdout.buffer.write(block)


def _filter(
    status: str,
    label: str,
    group: str,
    min_confidence: float | None,
    max_confidence: float | None,
    reviewed: bool | None,
    hide_duplicates: bool,
) -> ItemFilter:
    return ItemFilter(
        status=status or None,
        label=label or None,
        group=group or None,
        min_confidence=min_confidence,
        max_confidence=max_confidence,
        reviewed=reviewed,
        duplicates="hide" if hide_duplicates else None,
    )


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
