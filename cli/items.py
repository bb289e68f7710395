"""Commands for items: list, export, review."""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar, cast

import typer

from cli.output import AsJson, JobId, Key, Url, err, open_job, print_json_lines
from cli.watching import print_items
from lookbook import DEFAULT_URL
from lookbook.filters import ItemFilter
from lookbook.jobs import LABEL_FORMATS


class Hint(StrEnum):
    DOUBT = "doubt"
    SURPRISE = "surprise"
    MISLABELLED = "mislabelled"
    UNKNOWN = "unknown"
    DIVERSE = "diverse"


class Sort(StrEnum):
    POSITION = "position"
    CONFIDENCE = "confidence"
    DOUBT = "doubt"
    SURPRISE = "surprise"
    MISLABELLED = "mislabelled"
    UNKNOWN = "unknown"
    DIVERSE = "diverse"


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class ItemFormat(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    LABEL_STUDIO = "label-studio"
    COCO = "coco"
    FIFTYONE = "fiftyone"


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
HintOption = Annotated[
    Hint | None, typer.Option("--hint", help="Take items that this hint flags: why to look.", show_default=False)
]
Accepted = Annotated[
    bool | None,
    typer.Option("--accepted/--not-accepted", help="Take only items that the policy of the job accepts, or the others"),
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
Area = Annotated[
    str,
    typer.Option(
        help="Take items inside of a polygon on the job's map: its revision, then x-y of each corner, such as "
        "1_0-0_900-0_900-900. The page of the job has it in its URL.",
        show_default=False,
    ),
]
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
    accepted: Accepted = None,
    hint: HintOption = None,
    error: ErrorCode = "",
    search: Search = "",
    product: ProductId = "",
    sku: Sku = "",
    hide_duplicates: HideDuplicates = False,
    area: Area = "",
    sort: Annotated[
        Sort,
        typer.Option(
            help="`confidence` lists the least confident items first; further ones list what to look at first."
        ),
    ] = Sort.POSITION,
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

        lookbook items job_01k… --not-accepted --not-reviewed

        lookbook items job_01k… --sort surprise --limit 20

        lookbook items job_01k… --hint mislabelled --sort mislabelled
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
        accepted=accepted,
        hint=hint,
        error=error,
        q=search,
        product_id=product,
        sku=sku,
        duplicates="hide" if hide_duplicates else None,
        area=area,
    )
    with open_job(job_id, url, key) as job:
        rows = islice(job.items(sort=sort.value, **item_filter), limit)
        if as_json:
            print_json_lines(item.raw for item in rows)
        else:
            print_items(rows)


def export(
    job_id: JobId,
    format: Annotated[
        ItemFormat | None,
        typer.Option(
            "--format",
            "-f",
            help="The format; the last three are for label tools. By default, the ending of FILE decides.",
            show_default=False,
        ),
    ] = None,
    output: Output = "-",
    picture_urls: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="Add URLs that show the pictures without a key for so long. Label tools get them for a week.",
            show_default=False,
        ),
    ] = None,
    status: Status = "",
    label: Label = "",
    group: Group = "",
    predicted: Predicted = "",
    min_confidence: MinConfidence = None,
    max_confidence: MaxConfidence = None,
    reviewed: Reviewed = None,
    rejected: Rejected = None,
    accepted: Accepted = None,
    hint: HintOption = None,
    error: ErrorCode = "",
    search: Search = "",
    product: ProductId = "",
    sku: Sku = "",
    hide_duplicates: HideDuplicates = False,
    area: Area = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Write the items of a job as CSV, JSONL or Parquet, or for a label tool.

    FILE is replaced only when the export is complete.

    The column `label` has the label of the review, else the predicted one; `predicted_label` has the predicted one.

    Examples:

        lookbook export job_01k… -o predictions.csv

        lookbook export job_01k… -f jsonl | jq -r .label

        lookbook export job_01k… -o doubtful.parquet --max-confidence 0.5

        lookbook export job_01k… -o looks.csv --picture-urls 86400

        lookbook export job_01k… -o tasks.label-studio.json
    """
    target, chosen = export_target(output, format, ItemFormat)
    item_filter = read_filter(
        status=status,
        label=label,
        group=group,
        predicted=predicted,
        min_confidence=min_confidence,
        max_confidence=max_confidence,
        reviewed=reviewed,
        rejected=rejected,
        accepted=accepted,
        hint=hint,
        error=error,
        q=search,
        product_id=product,
        sku=sku,
        duplicates="hide" if hide_duplicates else None,
        area=area,
    )
    with open_job(job_id, url, key) as job:
        if target is not None:
            size = job.export(target, chosen.value, picture_urls=picture_urls, **item_filter)
            so_far = "" if job.over else f"; the job is {job.status}, so these are its items so far"
            err.print(f"{target}: {size:,} bytes{so_far}", markup=False)
            return
        with job.export_blocks(chosen.value, picture_urls=picture_urls, **item_filter) as blocks:
            for block in blocks:
                sys.stdout.buffer.write(block)


FormatT = TypeVar("FormatT", Format, ItemFormat)


def export_target(output: str, format: FormatT | None, formats: type[FormatT]) -> tuple[Path | None, FormatT]:
    """Return the file to write (None: standard output) and the format, which the ending of the file may decide."""
    target = None if output == "-" else Path(output)
    name = target.name.lower() if target else ""
    endings = {known: f".{known}.json" if known in LABEL_FORMATS else f".{known}" for known in formats}
    chosen = format or next((known for known, ending in endings.items() if name.endswith(ending)), None)
    if chosen is None:
        raise typer.BadParameter(
            f"expected one of {', '.join(formats)}, or a FILE with {', '.join(endings.values())}; got {output!r}",
            param_hint="--format",
        )
    return target, chosen


def read_filter(**options: str | float | bool | None) -> ItemFilter:
    """Return the filter of these options. An option that is not given is empty or None."""
    return cast(ItemFilter, {name: None if value == "" else value for name, value in options.items()})
