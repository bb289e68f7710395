"""`lookbook rerun`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.items import (
    Area,
    ErrorCode,
    Group,
    HideDuplicates,
    Label,
    MaxConfidence,
    MinConfidence,
    Predicted,
    ProductId,
    Rejected,
    Reviewed,
    Search,
    Sku,
    Status,
    read_filter,
)
from cli.output import AsJson, JobId, Key, Url, Wait, open_job
from cli.watching import report_new_job
from lookbook import DEFAULT_URL
from lookbook.options import JobOptions


def rerun(
    job_id: JobId,
    model: Annotated[str, typer.Option(help="The model: name, name@version or alias.")] = "production",
    name: Annotated[str, typer.Option(help="The name of the new job.", show_default="that of the job")] = "",
    item: Annotated[
        list[str] | None, typer.Option(help="Take this item (its id). May be repeated.", show_default=False)
    ] = None,
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
    area: Area = "",
    wait: Wait = True,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Classify the stored pictures of a job again, as a new job, usually with another model.

    Nothing is uploaded. The pictures keep their crops and everything that is known about them. Pictures that were never
    downloaded are requested again if that may succeed. The exit codes are those of `submit`.

    Examples:

        lookbook rerun job_01k… --model garments@4

        lookbook rerun job_01k… --max-confidence 0.5 --name "The doubtful ones again"
    """
    chosen = read_filter(
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
        area=area,
    )
    options = JobOptions(name=name or None, model=model, prefer_wait=1 if wait else None)
    with open_job(job_id, url, key) as job:
        report_new_job(job.rerun(options, chosen, item_ids=item or None), wait=wait, as_json=as_json)
