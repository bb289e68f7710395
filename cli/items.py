"""Commands for items: list, export, review."""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from cli.output import AsJson, JobId, Key, Url, connect, err, open_job, out, print_json, print_json_lines
from cli.watching import print_items
from lookbook import DEFAULT_URL
from lookbook.jobs import ItemFilter
from lookbook.options import Rectangle


class Sort(StrEnum):
    POSITION = "position"
    CONFIDENCE = "confidence"


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


ExportFormat = Annotated[
    Format | None,
    typer.Option("--format", "-f", help="The format. By default, the ending of FILE decides.", show_default=False),
]
Output = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="FILE", help="The file to write; `-` is standard output.", show_default=False
    ),
]
Status = Annotated[
    str, typer.Option(help="Take items in this status: pending, succeeded, failed, canceled.", show_default=False)
]
Label = Annotated[
    str,
    typer.Option(help="Take items listed under this label (its id).", show_default=False),
]
Group = Annotated[str, typer.Option(help="Take items with a label of this group (its id).", show_default=False)]
MinConfidence = Annotated[
    float | None, typer.Option(min=0, max=1, help="Take items with at least this confidence.", show_default=False)
]
MaxConfidence = Annotated[
    float | None, typer.Option(min=0, max=1, help="Take items with at most this confidence.", show_default=False)
]
Reviewed = Annotated[
    bool | None, typer.Option("--reviewed/--not-reviewed", help="Take only items with a review, or only items without.")
]
Predicted = Annotated[
    str, typer.Option(help="Take items with this predicted label (its id), whatever a review says.", show_default=False)
]
Rejected = Annotated[
    bool | None,
    typer.Option("--rejected/--not-rejected", help="Take only items of which a review says that no label fits."),
]
ErrorCode = Annotated[str, typer.Option("--error", help="Take items with this error code.", show_default=False)]
Search = Annotated[
    str,
    typer.Option(
        "--search",
        "-q",
        help="Take items with this text in file name, id, URL, or title, brand or number of the product.",
        show_default=False,
    ),
]
ProductId = Annotated[
    str, typer.Option("--product", help="Take items that show the product with this id.", show_default=False)
]
Sku = Annotated[str, typer.Option(help="Take items whose product has this SKU.", show_default=False)]
HideDuplicates = Annotated[
    bool, typer.Option("--hide-duplicates", help="Leave out items that show the same picture as an earlier item.")
]


def items(
    job_id: JobId,
    status: Status = "",
    label: Label = "",
    group: Group = "",
    predicted: Predicted = "",
    min_confidence: MinConfidence = None,
    max_confidence: MaxConfidence = None,
    reviewed: Reviewed = None,
    rejected: Rejected = None,
    error: ErrorCode = "",
    search: Search = "",
    product: ProductId = "",
    sku: Sku = "",
    hide_duplicates: HideDuplicates = False,
    sort: Annotated[Sort, typer.Option(help="`confidence` lists the least confident items first.")] = Sort.POSITION,
    limit: Annotated[int | None, typer.Option(min=1, help="The maximum number of items.", show_default="all")] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List the items of a job.

    Each line has confidence, label or error, id and name. The label of a review wins over the predicted one. With
    `--json`, each line is a JSON object.

    Examples:

        lookbook items job_01k… --status failed

        lookbook items job_01k… --max-confidence 0.5 --sort confidence --limit 20

        lookbook items job_01k… --label dress --json > dresses.jsonl

        lookbook items job_01k… --predicted shirt --label dress

        lookbook items job_01k… --search SKU-1047

        lookbook items job_01k… --product C-17
    """
    item_filter = read_filter(
        status=status,
        label=label,
        group=group,
        predicted=predicted,
        min_confidence=min_confidence,
        max_confidence=max_confidence,
        reviewed=reviewed,
        rejected=rejected,
        error=error,
        q=search,
        product_id=product,
        sku=sku,
        duplicates="hide" if hide_duplicates else None,
    )
    with open_job(job_id, url, key) as job:
        rows = islice(job.items(sort=sort.value, **item_filter), limit)
        if as_json:
            print_json_lines(item.raw for item in rows)
        else:
            print_items(rows)


def export(
    job_id: JobId,
    format: ExportFormat = None,
    output: Output = "-",
    status: Status = "",
    label: Label = "",
    group: Group = "",
    predicted: Predicted = "",
    min_confidence: MinConfidence = None,
    max_confidence: MaxConfidence = None,
    reviewed: Reviewed = None,
    rejected: Rejected = None,
    error: ErrorCode = "",
    search: Search = "",
    product: ProductId = "",
    sku: Sku = "",
    hide_duplicates: HideDuplicates = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Write the items of a job as CSV, JSONL or Parquet. FILE is replaced only when the export is complete.

    The column `label` has the label of the review, else the predicted one; `predicted_label` has the predicted one.

    Examples:

        lookbook export job_01k… -o predictions.csv

        lookbook export job_01k… -f jsonl | jq -r .label

        lookbook export job_01k… -o doubtful.parquet --max-confidence 0.5
    """
    target, chosen = export_target(output, format)
    item_filter = read_filter(
        status=status,
        label=label,
        group=group,
        predicted=predicted,
        min_confidence=min_confidence,
        max_confidence=max_confidence,
        reviewed=reviewed,
        rejected=rejected,
        error=error,
        q=search,
        product_id=product,
        sku=sku,
        duplicates="hide" if hide_duplicates else None,
    )
    with open_job(job_id, url, key) as job:
        if target is not None:
            size = job.export(target, chosen.value, **item_filter)
            so_far = "" if job.over else f"; the job is {job.status}, so these are its items so far"
            err.print(f"{target}: {size:,} bytes{so_far}", markup=False)
            return
        with job.export_blocks(chosen.value, **item_filter) as blocks:
            for block in blocks:
                sys.stdout.buffer.write(block)


def export_target(output: str, format: Format | None) -> tuple[Path | None, Format]:
    """Return the file to write (None: standard output) and the format, which the ending of the file may decide."""
    target = None if output == "-" else Path(output)
    ending = target.suffix.removeprefix(".").lower() if target else ""
    chosen = format or next((known for known in Format if known.value == ending), None)
    if chosen is None:
        raise typer.BadParameter(
            f"expected one of {', '.join(Format)}, or a file with such an ending; got {output!r}", param_hint="--format"
        )
    return target, chosen


def read_filter(**options: str | float | bool | None) -> ItemFilter:
    """Return the filter of these options. An option that is not given is empty or None."""
    return cast(ItemFilter, {name: None if value == "" else value for name, value in options.items()})


def _rectangle(text: str) -> Rectangle:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"expected four whole numbers such as 120,80,600,900, got {text!r}") from None
    return Rectangle(x=x, y=y, width=width, height=height)


def review(
    item_id: Annotated[str, typer.Argument(metavar="ITEM", help="The id of the item: itm_…", show_default=False)],
    label: Annotated[
        str, typer.Argument(metavar="[LABEL]", help="The label that the picture shows (its id).", show_default=False)
    ] = "",
    reject: Annotated[bool, typer.Option("--reject", help="Say that no label of the model fits.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Delete the review of the item.")] = False,
    crop: Annotated[
        Any,
        typer.Option(
            parser=_rectangle,
            metavar="X,Y,WIDTH,HEIGHT",
            help="The part of the picture that shows the label, in pixels of the whole picture.",
            show_default=False,
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Review an item: say which label it shows, or that no label fits. A new review replaces the last one.

    Examples:

        lookbook review itm_01k… dress

        lookbook review itm_01k… dress --crop 120,80,600,900

        lookbook review itm_01k… --reject

        lookbook review itm_01k… --undo
    """
    if [bool(label), reject, undo].count(True) != 1:
        raise typer.BadParameter("expected exactly one of LABEL, --reject and --undo")
    if crop is not None and not label:
        raise typer.BadParameter("expected a LABEL that the crop shows", param_hint="--crop")
    with connect(url, key) as client:
        if undo:
            client.unreview(item_id)
            err.print(f"the review of {item_id} is deleted")
            return
        stored = client.reject(item_id) if reject else client.review(item_id, label, crop)
    if as_json:
        print_json(stored.raw)
    else:
        label_name = stored.label.name if stored.label is not None else "no label fits"
        out.print(f"{item_id}: {label_name} (predicted {stored.predicted.name}, {stored.confidence:.2f})", markup=False)
