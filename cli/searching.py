"""`lookbook similar`."""

from __future__ import annotations

import re
from typing import Annotated

import typer
from rich.markup import escape

from cli.classifying import CropOption
from cli.output import AsJson, Key, Url, connect, out, print_json, printable, table
from lookbook import DEFAULT_URL
from lookbook.search_answers import LookAlikes

_ITEM = re.compile(r"itm_[0-9a-z]+")
_WORDS = {"shot": "same product", "variant": "same product, another colour"}


def similar(
    what: Annotated[
        str, typer.Argument(metavar="ITEM|PICTURE", help="The id of an item, a file, or the URL of a picture.")
    ],
    job: Annotated[
        list[str] | None,
        typer.Option(
            "--job",
            metavar="JOB",
            help="Look in this job. May be repeated, up to 100 times. By default, an item is compared within its own "
            "job, and a picture with all jobs that you may see.",
            show_default=False,
        ),
    ] = None,
    everywhere: Annotated[bool, typer.Option("--all", help="Look in all jobs that you may see.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="The most items to list.")] = 20,
    model: Annotated[
        str, typer.Option(help="The model whose vectors a picture is compared with: name, name@version or alias.")
    ] = "production",
    crop: CropOption = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the picture. Otherwise it is removed after the answer.")
    ] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """List the items that look like an item or like a picture.

    Pictures of the same product come first, where the shop named the product; then the most similar ones. The
    similarity is 1 for the same picture. Only pictures that the same model version has classified are compared.

    Examples:

        lookbook similar itm_01k…

        lookbook similar itm_01k… --all --limit 50

        lookbook similar coat.jpg --job job_01k… --job job_02m…

        lookbook similar https://shop.example/coat.jpg --json
    """
    is_item = _ITEM.fullmatch(what) is not None
    if job and everywhere:
        raise typer.BadParameter("expected --job or --all, got both")
    if is_item and (crop is not None or keep or model != "production"):
        raise typer.BadParameter("--crop, --keep and --model are for pictures, and this is the id of an item")
    jobs = "all" if everywhere else job or (None if is_item else "all")
    with connect(url, key) as client:
        found: LookAlikes
        if is_item:
            found = client.similar(what, jobs=jobs, limit=limit)
        else:
            found = client.search(what, jobs=jobs, limit=limit, model=model, crop=crop, keep=keep)
    if as_json:
        print_json(found.raw)
    else:
        _print(found)


def _print(found: LookAlikes) -> None:
    if not found.data:
        out.print(f"nothing to compare with: no other picture has a vector of {found.model}")
        return
    rows = table("similarity", "label", "item", "name", "", wrapping="name")
    for row in found.data:
        label = row.item.label.id if row.item.label else "no label fits"
        name = escape(printable(row.item.source.name))
        rows.add_row(f"{row.similarity:.3f}", escape(label), row.item.id, name, _WORDS.get(row.relation or "", ""))
    out.print(rows)
