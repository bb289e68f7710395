"""`lookbook map`."""

from __future__ import annotations

import colorsys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageDraw, ImageFont
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from cli.output import AsJson, JobId, Key, Url, err, open_job, out, print_json, table
from core.maps import SIDE
from lookbook import DEFAULT_URL, Error, Job
from lookbook.map_answers import MapPoints, MapState

PNG_SIDE = 1600
"""Width and height of the map in the PNG, in pixels. The legend is on its right."""
_LEGEND_WIDTH, _MARGIN = 400, 24
_NO_LABEL = (120, 120, 120)


def map_(
    job_id: JobId,
    png: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the map as a PNG, coloured by label.", show_default=False),
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Lay out the pictures of a job by likeness: similar pictures are near each other.

    A worker makes the map if it is missing or outdated, and this command waits for it. The table has the labels with
    their numbers of points. `--json` prints all points as columns.

    Examples:

        lookbook map job_01k…

        lookbook map job_01k… --png map.png

        lookbook map job_01k… --json | jq '.x[0], .y[0]'
    """
    with open_job(job_id, url, key) as job:
        state = _make(job)
        points = job.map_points()
    if png is not None:
        draw(points).save(png, "PNG")
        err.print(f"wrote {png}", markup=False)
    if as_json:
        print_json(points.raw)
        return
    sampled = "" if state.points == state.pictures else f", a random sample of {state.pictures:,} pictures"
    out.print(f"{state.points:,} points{sampled}")
    counts = table("points", "label")
    for label, count in Counter(points.label).most_common():
        counts.add_row(f"{count:,}", "no label fits" if label < 0 else points.labels[label])
    out.print(counts)


def _make(job: Job) -> MapState:
    """Have the map made, and show its progress.

    Raises:
        Error: it failed.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        shown = progress.add_task("waits for a worker", total=1.0)

        def show(state: MapState) -> None:
            words = "waits for a worker" if state.status == "waiting" else "lays out the pictures"
            progress.update(shown, description=words, completed=state.progress or 0.0)

        state = job.make_map(progress=show)
    if state.error is not None:
        raise Error(f"the map of {job.id} was not made: {state.error}")
    return state


def draw(points: MapPoints) -> Image.Image:
    """Return a picture of a map on white, with the labels and their colours on the right."""
    image = Image.new("RGB", (PNG_SIDE + _LEGEND_WIDTH, PNG_SIDE), "white")
    pen = ImageDraw.Draw(image)
    # Fewer points get larger dots.
    radius = min(8.0, max(2.0, 100 / len(points.id) ** 0.5))
    scale = (PNG_SIDE - 2 * _MARGIN) / (SIDE - 1)
    colours = {number: _colour(number, len(points.labels)) for number in range(len(points.labels))} | {-1: _NO_LABEL}
    for x, y, label in zip(points.x, points.y, points.label, strict=True):
        centre = (_MARGIN + x * scale, _MARGIN + y * scale)
        pen.circle(centre, radius, fill=colours[label])
    font = ImageFont.load_default(22)
    for row, (label, count) in enumerate(Counter(points.label).most_common()):
        top = _MARGIN + row * 34
        pen.circle((PNG_SIDE + 12, top + 14), 8, fill=colours[label])
        name = "no label fits" if label < 0 else points.labels[label]
        pen.text((PNG_SIDE + 32, top), f"{name}  {count:,}", fill="black", font=font)
    return image


def _colour(number: int, count: int) -> tuple[int, int, int]:
    """Return the colour of a label: hues at equal distances, and two lightnesses in turn."""
    red, green, blue = colorsys.hls_to_rgb(number / count, 0.42 if number % 2 else 0.56, 0.75)
    return round(red * 255), round(green * 255), round(blue * 255)
