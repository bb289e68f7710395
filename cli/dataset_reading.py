"""`lookbook dataset check` and `lookbook dataset stats`."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.learning import ProgressReporter, progress_bars
from cli.output import AsJson, out, print_json, printable, table
from core.errors import DatasetInvalid

if TYPE_CHECKING:
    from classifier.learning.data.index import PictureIndex
    from classifier.taxonomy import Taxonomy

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        help="The folder of the dataset: that of the AI Hub (zips or folders), label folders, or a built dataset.",
        show_default=False,
    ),
]
IndexFile = Annotated[
    Path | None,
    typer.Option(
        "--index",
        metavar="FILE",
        help="Keep the index of the dataset in this file, so that later commands open it instead of reading DIR.",
        show_default=False,
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        help="The taxonomy (JSON). The default is that of K-Fashion or of the built dataset, or the folders.",
        show_default=False,
    ),
]

_BAR = 40
"""Width of the longest bar in the terminal, in characters."""


def check(data: Data, index: IndexFile = None, labels: Labels = None, as_json: AsJson = False) -> None:
    """Read a whole dataset and report every irregularity, by kind and count. Nothing is changed.

    Every picture is decoded, to find the damaged ones. The exit code is 0 also if there are irregularities.

    Examples:

        lookbook dataset check ~/garments

        lookbook dataset check ~/kfashion --index ~/kfashion.arrow --json
    """
    with opened_index(data, index, labels, whole=True) as opened:
        found = opened.note.irregularities.to_json()
        report = {
            "pictures": len(opened),
            "labelled": int((opened.label_numbers() >= 0).sum()),
            "usable": len(opened.usable()),
            "taxonomy": opened.note.taxonomy.name,
            "irregularities": {kind: row["count"] for kind, row in found.items()},
            "examples": {kind: row["examples"] for kind, row in found.items()},
        }
    if as_json:
        print_json(report)
        return
    if found:
        shown = table("irregularity", "count", "examples", wrapping="examples")
        for kind, row in found.items():
            shown.add_row(kind, f"{row['count']:,}", printable(" · ".join(row["examples"])))
        out.print(shown, markup=False)
    out.print(
        f"{report['pictures']:,} pictures, {report['labelled']:,} with a label of {report['taxonomy']}, "
        f"{report['usable']:,} of these readable; kinds of irregularity: {len(found)}",
        markup=False,
    )


def stats(
    data: Data,
    index: IndexFile = None,
    labels: Labels = None,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="DIR2", help="Also draw the figures as PNG files in this folder.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the pictures of each label, the sizes of the pictures, and which sub-labels go with which labels.

    Only the headers of the pictures are read. The numbers include pictures that a whole reading finds damaged.

    Examples:

        lookbook dataset stats ~/kfashion --index ~/kfashion.arrow

        lookbook dataset stats ~/garments --plots ~/plots
    """
    from classifier.learning.data.figures import all_figures, label_counts, sub_label_matrix

    with opened_index(data, index, labels, whole=False) as opened:
        figures = all_figures(opened)
        if plots is not None:
            _plot(opened, plots)
        if as_json:
            print_json(figures)
            return
        _show_labels(label_counts(opened))
        out.print()
        shown = table("size", *next(iter(figures["sizes"].values()), {}))
        for name, quantiles in figures["sizes"].items():
            shown.add_row(name, *(f"{value:,g}" for value in quantiles.values()))
        out.print(shown)
        if figures["sub_labels"]:
            out.print()
            _show_sub_labels(opened.note.taxonomy.label_ids, sub_label_matrix(opened))
    out.print(f"{figures['pictures']:,} pictures of {figures['products']:,} products")
    if plots is not None:
        out.print(f"plots in {plots}", markup=False)


@contextmanager
def opened_index(data: Path, index: Path | None, labels: Path | None, *, whole: bool) -> Iterator[PictureIndex]:
    """Open the index of a dataset: the one in the file `index` if it fits, or else a new one, which is kept there.

    Without `index`, the new one is removed at the end.
    """
    from classifier.learning.data.index import PictureIndex
    from classifier.learning.data.reading import ReadingOptions, make_index

    taxonomy = _read_taxonomy(labels) if labels is not None else None
    if index is not None and index.exists():
        opened = PictureIndex.open(index, data)
        if (opened.note.whole or not whole) and (taxonomy is None or taxonomy == opened.note.taxonomy):
            yield opened
            opened.close()
            return
    with tempfile.TemporaryDirectory() as folder, progress_bars() as progress:
        path = index or Path(folder, "index.arrow")
        track = partial(ProgressReporter(progress).track, "pictures")
        opened = make_index(data, path, ReadingOptions(taxonomy, whole=whole), track)
        # A table can follow the bars only if they are no longer drawn.
        progress.stop()
        yield opened
        opened.close()


def _read_taxonomy(path: Path) -> Taxonomy:
    from classifier.taxonomy import Taxonomy
    from core.errors import ArtifactInvalid

    try:
        return Taxonomy.from_json(json.loads(path.read_text("utf-8")))
    except (ValueError, ArtifactInvalid, AttributeError) as error:
        raise DatasetInvalid(f"{path}: expected a taxonomy in JSON: {error}") from error


def _plot(index: PictureIndex, folder: Path) -> None:
    try:
        from classifier.learning.judging.dataset_plots import plot_labels, plot_sizes, plot_sub_labels
    except ModuleNotFoundError as error:
        raise DatasetInvalid(f"--plots needs {error.name}, which `make train` installs") from error
    from classifier.learning.data.figures import label_counts, sizes, sub_label_matrix

    folder.mkdir(parents=True, exist_ok=True)
    plot_labels(label_counts(index), folder / "labels.png")
    plot_sizes(*sizes(index), folder / "sizes.png")
    if (matrix := sub_label_matrix(index)).any():
        plot_sub_labels(matrix, index.note.taxonomy.label_ids, folder / "sub-labels.png")


def _show_labels(counts: dict[str, Counter[str]]) -> None:
    splits = [split for split in ("train", "validation", "test", "") if any(row[split] for row in counts.values())]
    total, largest = sum(row.total() for row in counts.values()), max(row.total() for row in counts.values())
    shown = table("label", *(split or "no split" for split in splits), "share", "")
    for label, row in counts.items():
        if label or row:
            bar = "█" * round(_BAR * row.total() / largest) or "▏"
            cells = [f"{row[split]:,}" for split in splits]
            shown.add_row(printable(label) or "(no label)", *cells, f"{row.total() / total:.1%}", bar)
    out.print(shown, markup=False)


def _show_sub_labels(labels: list[str], matrix: Any) -> None:
    """Print the matrix. Its columns have the numbers of the labels, because 23 names are too wide for a terminal."""
    shown = table("label, with sub-label …", *map(str, range(len(labels))))
    for number, label in enumerate(labels):
        cells = ["·" if count == 0 else f"{count:,}" for count in matrix[number]]
        shown.add_row(f"{number} {printable(label)}", *cells)
    out.print(shown, markup=False)
