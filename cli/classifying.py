"""`lookbook classify`."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.output import AsJson, Key, Url, connect, out, print_json, printable
from cli.sources import ARCHIVE_SUFFIXES, MANIFEST_SUFFIXES
from lookbook import DEFAULT_URL
from lookbook.options import Rectangle, RegionOption
from lookbook.search_requests import is_url

_BOX = re.compile(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*")


def _rectangle(text: str) -> Rectangle:
    match = _BOX.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"expected X,Y,WIDTH,HEIGHT in pixels such as 100,200,600,700, got {text!r}")
    x, y, width, height = (int(number) for number in match.groups())
    return {"x": x, "y": y, "width": width, "height": height}


def _region(text: str) -> RegionOption:
    name, equals, box = text.rpartition("=")
    if not equals or not name:
        raise typer.BadParameter(f"expected NAME=X,Y,WIDTH,HEIGHT such as top=100,200,600,700, got {text!r}")
    return {"name": name, "box": _rectangle(box)}


CropOption = Annotated[
    Any,
    typer.Option(
        parser=_rectangle, metavar="X,Y,WIDTH,HEIGHT", help="The part to look at, in pixels.", show_default=False
    ),
]


def classify(
    picture: Annotated[
        str, typer.Argument(metavar="PICTURE", help="A file, or the URL of a picture.", show_default=False)
    ],
    crop: CropOption = None,
    region: Annotated[
        list[Any] | None,
        typer.Option(
            parser=_region,
            metavar="NAME=X,Y,WIDTH,HEIGHT",
            help="A part that gets its own prediction, in pixels of the whole picture. May be repeated, up to 8 times. "
            "Only models for single garments take regions.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="The model: name, name@version or alias.")] = "production",
    top_k: Annotated[
        int | None, typer.Option(min=1, help="The number of labels in the answer.", show_default="5")
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Classify one picture, ahead of all bulk work, and print its labels with their scores.

    With `--region`, each region follows with its own labels.

    Examples:

        lookbook classify dress.jpg

        lookbook classify https://shop.example/look.jpg --top-k 3

        lookbook classify look.jpg --crop 100,200,600,700

        lookbook classify look.jpg --model looks --region top=90,40,300,320 --region bottom=100,350,280,400
    """
    if picture.lower().endswith((*ARCHIVE_SUFFIXES, *MANIFEST_SUFFIXES)) and not is_url(picture):
        raise typer.BadParameter(f"expected one picture, got {picture!r}: `lookbook submit` takes lists and archives")
    with connect(url, key) as client:
        item = client.classify(picture, crop=crop, regions=region or None, model=model, top_k=top_k)
        if as_json:
            print_json(item.raw)
            return
        model_version = model if item.prediction is None else item.prediction.model
        names = {label.id: label.name for label in client.labels(model_version).labels}
    parts = [(item.source.name, item.prediction), *((region.name, region.prediction) for region in item.regions)]
    for name, prediction in parts:
        if prediction is not None:
            out.print(f"[bold]{escape(printable(name))}[/bold]")
            for scored in prediction.labels:
                out.print(f"{scored.score:.2f}  {escape(names[scored.id])}")
