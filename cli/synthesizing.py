"""`lookbook dataset synthesize`."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.learning import ProgressReporter, progress_bars
from cli.output import AsJson, err, out, print_json, table

if TYPE_CHECKING:
    from classifier.learning.data.irregularities import Irregularity

_OF_EACH = 3
"""Number of irregularities of each kind that `--irregularities all` plants."""


class Form(StrEnum):
    """The forms of synthetic datasets."""

    KFASHION = "kfashion"


def _read_irregularities(words: list[str]) -> dict[Irregularity, int]:
    """Return the number of irregularities of each kind from `all`, `none` and `kind=count`; later words win."""
    from classifier.learning.data.irregularities import Irregularity

    wanted: dict[Irregularity, int] = {}
    for word in words:
        kind, equals, number = word.partition("=")
        if word == "all":
            wanted = dict.fromkeys(Irregularity, _OF_EACH)
        elif word == "none":
            wanted = {}
        elif equals and kind in set(Irregularity) and number.isdecimal():
            wanted[Irregularity(kind)] = int(number)
        else:
            raise typer.BadParameter(
                f"expected all, none or kind=count with a kind among {', '.join(Irregularity)}; got {word!r}",
                param_hint="--irregularities",
            )
    return wanted


def synthesize(
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write.", show_default=False)],
    form: Annotated[Form, typer.Option(help="The form of the files.")] = Form.KFASHION,
    pictures: Annotated[int, typer.Option(min=1, help="The number of labelled pictures.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and options give the same bytes.")] = 0,
    difficulty: Annotated[
        float,
        typer.Option(min=0, max=1, help="0: colours and patterns tell the styles. 1: cues are weak, mixed and noisy."),
    ] = 0.5,
    imbalance: Annotated[
        float, typer.Option(min=0, max=1, help="0: all labels are equally common. 1: as in the real set (46 % street).")
    ] = 1.0,
    hybrids: Annotated[
        float, typer.Option(min=0, max=1, help="The share of outfits that mix in garments of a sub-style.")
    ] = 0.4,
    near_duplicates: Annotated[
        float, typer.Option(min=0, max=0.5, help="The share of pictures that repeat a shot in another crop and light.")
    ] = 0.1,
    leaks: Annotated[
        float, typer.Option(min=0, max=1, help="The share of Validation whose file or product is also in Training.")
    ] = 0.1,
    shortcut: Annotated[
        float, typer.Option(min=0, max=1, help="How surely the label decides the shop and the shooting format.")
    ] = 0.0,
    irregularities: Annotated[
        list[str] | None,
        typer.Option(metavar="all|none|KIND=COUNT", help="The irregularities to plant. Can be repeated."),
    ] = None,
    size: Annotated[int, typer.Option(min=48, max=2000, help="The height of the pictures in pixels.")] = 320,
    zips: Annotated[bool, typer.Option("--zips/--folders", help="Write zips as the AI Hub does, or folders.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw a synthetic dataset in the file form of K-Fashion, to test tools and recipes without the real data.

    It is a test instrument and no real data: figures that are measured on it say nothing about real clothes.

    The pictures show drawn figures in outfits of 23 styles. Each has a label file with the keys of the AI Hub. The file
    `synthetic.json` says what was planted: counts for each label and split, irregularities, leaks, near-duplicates,
    and for each picture its label, sub-style, product and shooting format. Copies and pictures without a label that
    irregularities need come on top of `--pictures`.

    Examples:

        lookbook dataset synthesize --form kfashion --out ~/synthetic

        lookbook dataset synthesize --out ~/hard --pictures 20000 --difficulty 0.8 --seed 7 --zips

        lookbook dataset synthesize --out ~/irregular --pictures 500 --irregularities all --irregularities two_labels=9
    """
    from classifier.learning.data.reading import kfashion_taxonomy
    from classifier.learning.data.synthesis.dataset import synthesize as write_dataset
    from classifier.learning.data.synthesis.plan import Options

    taxonomy = kfashion_taxonomy()
    options = Options(
        pictures=pictures,
        seed=seed,
        difficulty=difficulty,
        imbalance=imbalance,
        hybrids=hybrids,
        near_duplicates=near_duplicates,
        leaks=leaks,
        shortcut=shortcut,
        irregularities=_read_irregularities(irregularities or []),
        size=size,
    )
    begun = perf_counter()
    with progress_bars() as progress:
        track = partial(ProgressReporter(progress).track, "shots")
        truth = write_dataset(folder, options, taxonomy, track, zips=zips)
    seconds = perf_counter() - begun
    summary = {name: value for name, value in truth.items() if name != "rows"}
    if as_json:
        print_json(summary)
    else:
        _show(folder, summary)
        err.print(f"{truth['pictures'] / seconds:,.0f} pictures/s")


def _show(folder: Path, summary: dict[str, Any]) -> None:
    shown = table("label", "Training", "Validation")
    for label, counts in summary["labels"].items():
        shown.add_row(label, *(f"{counts[split]:,}" for split in ("Training", "Validation")))
    out.print(shown)
    for kind, count in summary["irregularities"].items():
        out.print(f"{kind}: {count:,}")
    out.print(
        f"{summary['pictures']:,} drawn pictures of {summary['products']:,} products in {folder}. {summary['note']}",
        markup=False,
    )
