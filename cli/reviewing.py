"""Commands for reviews: review one item, and import what people said in a label tool."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import AsJson, JobId, Key, Url, connect, err, open_job, out, print_json
from lookbook import DEFAULT_URL
from lookbook.label_answers import ImportedReviews
from lookbook.options import Rectangle

app = typer.Typer(help="Reviews of many items at once.", no_args_is_help=True)


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


@app.command("import")
def import_reviews(
    job_id: JobId,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file; `-` is standard input.", show_default=False)],
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Store the labels that people gave in a label tool as reviews.

    FILE is what Label Studio exports as JSON, a COCO file, or `labels.json` of FiftyOne. Its entries are matched by the
    id of the item, then by its custom id, then by the name of its file. What cannot be used is counted and named.

    Examples:

        lookbook reviews import job_01k… project-7.json

        lookbook reviews import job_01k… labels.json --json
    """
    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    with open_job(job_id, url, key) as job:
        imported = job.import_reviews(data)
    if as_json:
        print_json(imported.raw)
    else:
        _print_imported(imported)


def _print_imported(imported: ImportedReviews) -> None:
    out.print(f"{imported.changed:,} of {imported.entries:,} entries changed a review ({imported.format})")
    counts = {
        "had this review already": imported.unchanged,
        "replaced by a later entry about the same item": imported.repeated,
        "without a label": imported.without_label,
        "predictions that nobody changed": imported.predictions,
    }
    for words, count in counts.items():
        if count:
            out.print(f"{count:,} {words}")
    unused = {
        "name no item of the job": imported.unknown_items,
        "name several items of the job": imported.ambiguous_items,
        "have a label that the model does not have": imported.unknown_labels,
        "have several labels": imported.several_labels,
        "are about items without a prediction": imported.unclassified,
    }
    for words, entries in unused.items():
        if entries.count:
            more = " …" if entries.count > len(entries.names) else ""
            err.print(f"{entries.count:,} entries {words}: {', '.join(entries.names)}{more}", markup=False)


def labelling_config(
    job_id: JobId,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Print the labelling configuration (XML) for a project of Label Studio, with the labels of the job's model.

    Example:

        lookbook labelling-config job_01k… > config.xml
    """
    with open_job(job_id, url, key) as job:
        typer.echo(job.labelling_config(), nl=False)


def picture_url(
    item_id: Annotated[str, typer.Argument(metavar="ITEM", help="The id of the item: itm_…", show_default=False)],
    expires_in: Annotated[
        int | None,
        typer.Option(min=1, metavar="SECONDS", help="How long the URL works: at most 30 days.", show_default="a week"),
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Print a URL that shows the picture of an item without a key. Everyone who has it may see this picture.

    Examples:

        lookbook picture-url itm_01k…

        lookbook picture-url itm_01k… --expires-in 3600 --json
    """
    with connect(url, key) as client:
        urls = client.picture_urls(item_id, expires_in)
    if as_json:
        print_json(urls.raw)
        return
    err.print(f"until {urls.expires_at:%Y-%m-%d %H:%M} UTC, without a key:")
    out.print(urls.shown or urls.original or "the bytes of this item were refused", markup=False)
