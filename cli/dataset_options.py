"""The options of all commands that use the pictures of a dataset: `train`, `evaluate`, `models export|calibrate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.learning import ProgressReporter, err
from core.settings import Settings

if TYPE_CHECKING:
    from classifier.learning.data.cache import DataCache
    from classifier.learning.data.extras import ExtraSource
    from classifier.learning.data.sides import SplitChoice

DATA_HELP = (
    "The dataset: label folders (`train/<label>/` and `validation/<label>/`), the folder of the AI Hub (zips or "
    "folders), a built dataset, an index file of `dataset check`, or a folder of `dataset prepare`."
)

SplitFile = Annotated[
    Path | None,
    typer.Option(
        "--split",
        metavar="FILE",
        help="The side of each picture, from `dataset split`. The default is the split of the dataset; data of the AI "
        "Hub, whose split leaks, and data without a split are split now.",
        show_default=False,
    ),
]
ShippedSplit = Annotated[
    bool, typer.Option("--shipped-split", help="Use the split of the AI Hub's data although it leaks.")
]


def split_choice(file: Path | None, shipped: bool) -> SplitChoice:
    """Return the split that the options ask for."""
    from classifier.learning.data.sides import SplitChoice

    if file is not None and shipped:
        raise typer.BadParameter("expected one of them, got both", param_hint="--split, --shipped-split")
    return SplitChoice(file and file.resolve(), shipped)


def read_extras(texts: list[str] | None) -> tuple[ExtraSource, ...]:
    """Return the extra sources of the options `PATH=WEIGHT`."""
    from classifier.learning.data.extras import ExtraSource

    sources = []
    for text in texts or []:
        path, _, weight = text.rpartition("=")
        try:
            number = float(weight)
        except ValueError:
            number = 0.0
        if not path or not 0 < number <= 1000:
            raise typer.BadParameter(f"expected PATH=WEIGHT with a positive weight, got {text!r}", param_hint="--extra")
        sources.append(ExtraSource(Path(path).resolve(), number))
    return tuple(sources)


def open_cache(reporter: ProgressReporter) -> DataCache:
    """Return the cache of pictures in LOOKBOOK_HOME. Its sentences go to standard error."""
    from classifier.learning.data.cache import DataCache

    return DataCache(Settings.read().home, reporter.track, partial(err.print, markup=False, soft_wrap=True))
