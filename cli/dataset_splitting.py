"""`lookbook dataset split` and `lookbook dataset prepare`."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.dataset_reading import Data, IndexFile, Labels, opened_index
from cli.learning import ProgressReporter, progress_bars
from cli.output import AsJson, ExitCode, err, out, print_json, printable, table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from classifier.learning.data.index import PictureIndex
    from classifier.learning.data.splitting import Families


def split(
    data: Data,
    target: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE|DIR",
            help="A file ending in .csv gets the side of each picture. A folder gets copies of the pictures.",
            show_default=False,
        ),
    ],
    validation: Annotated[float, typer.Option(min=0, max=0.9, help="The share of pictures for validation.")] = 0.1,
    test: Annotated[float, typer.Option(min=0, max=0.9, help="The share of pictures for one final test.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Another number gives another split.")] = 0,
    index: IndexFile = None,
    labels: Labels = None,
    as_json: AsJson = False,
) -> None:
    """Split a dataset so that no product and no photo is on two sides, and show what the shipped split leaks.

    Pictures of one product, and pictures that are alike, form a family, directly or through other pictures. A family
    stays on one side. The labels have about the same shares on every side.

    The folder has pictures in `train/<label>/`, `validation/<label>/` and `test/<label>/`, ready for `lookbook train`.

    Examples:

        lookbook dataset split ~/kfashion --index ~/kfashion.arrow --out ~/split.csv

        lookbook dataset split ~/kfashion --out ~/split --validation 0.1 --test 0.1 --seed 7
    """
    if validation + test >= 1:
        raise typer.BadParameter("expected a rest of the pictures for training", param_hint="--validation, --test")
    from classifier.learning.data.folder import TEST
    from classifier.learning.data.pictures import TRAIN, VALIDATION
    from classifier.learning.data.splitting import assign_sides, find_families, measure_leaks

    with opened_index(data, index, labels, whole=True) as opened:
        families = find_families(opened)
        shares = {TRAIN: 1 - validation - test, VALIDATION: validation, TEST: test}
        sides = assign_sides(
            families.families, opened.label_numbers(), {side: share for side, share in shares.items() if share}, seed
        )
        shipped: list[str] = opened.column("split")
        members = Counter(families.families.tolist())
        report = {
            "pictures": len(opened),
            "families": len(members),
            "largest_family": max(members.values()),
            "clusters": len(set(families.clusters.tolist())),
            "sides": dict(Counter(sides)),
            "labels": _by_label(opened, sides),
            "shipped": measure_leaks(opened, families, shipped) if len({*shipped} - {""}) > 1 else None,
            "new": measure_leaks(opened, families, sides),
        }
        _write(target, opened, families, sides)
    if as_json:
        print_json(report)
    else:
        _show(report, target)


def _by_label(index: PictureIndex, sides: list[str]) -> dict[str, dict[str, int]]:
    counts = {label: Counter[str]() for label in index.note.taxonomy.label_ids}
    for label, side in zip(index.column("label"), sides, strict=True):
        if label is not None:
            counts[label][side] += 1
    return {label: dict(row) for label, row in counts.items()}


def _write(target: Path, index: PictureIndex, families: Families, sides: list[str]) -> None:
    from classifier.learning.data.split_files import write_folder, write_split

    if target.suffix == ".csv":
        write_split(target, index, families, sides)
        return
    with progress_bars() as progress:
        track = partial(ProgressReporter(progress).track, "copies")
        unreadable = write_folder(target, index, index.usable(), families, sides, track)
    for key, reason in unreadable.items():
        err.print(f"left out {key}: {reason}", markup=False)


def _show(report: dict[str, Any], target: Path) -> None:
    sides = [side for side in ("train", "validation", "test") if side in report["sides"]]
    shown = table("label", *sides)
    for label, row in report["labels"].items():
        shown.add_row(printable(label), *(f"{row.get(side, 0):,}" for side in sides))
    out.print(shown, markup=False)
    out.print(
        f"{report['pictures']:,} pictures in {report['families']:,} families; "
        f"the largest has {report['largest_family']:,}",
    )
    for name, title in (("shipped", "the shipped split"), ("new", "this split")):
        if (leaks := report[name]) is None:
            out.print("the dataset has no split of its own")
            continue
        share = leaks["leaked"] / leaks["held_out"] if leaks["held_out"] else 0
        counts = f"{leaks['leaked']:,} of {leaks['held_out']:,} pictures to judge by ({share:.1%})"
        out.print(f"\nleaks of {title}: {counts}")
        if leaks["leaked"]:
            shown = table("on both sides", "count", "pictures", "examples", wrapping="examples")
            for measure in ("names", "products", "clusters"):
                found = leaks[measure]
                examples = " · ".join(" = ".join(pair) for pair in found["examples"])
                shown.add_row(measure, f"{found['shared']:,}", f"{found['pictures']:,}", printable(examples))
            out.print(shown, markup=False)
    out.print(f"\nwrote {target}", markup=False)


def prepare(
    data: Data,
    target: Annotated[Path, typer.Option("--out", metavar="DIR2", help="The folder to write.", show_default=False)],
    size: Annotated[int, typer.Option(min=8, max=2048, help="The side in pixels, as in the recipe.")] = 224,
    sides: Annotated[
        Path | None,
        typer.Option("--split", metavar="FILE", help="A split of `dataset split`. The default is the shipped split."),
    ] = None,
    index: IndexFile = None,
    labels: Labels = None,
    as_json: AsJson = False,
) -> None:
    """Decode all labelled pictures once, to the size of a recipe, into a file that training maps into memory.

    Each picture takes 3 x size x size bytes: 150 kB at 224 pixels, 180 GB for 1.2 million pictures. An interrupted run
    continues when the same command runs again.

    Examples:

        lookbook dataset prepare ~/garments --out ~/garments-256 --size 256

        lookbook dataset prepare ~/kfashion --index ~/kfashion.arrow --split ~/split.csv --out ~/kfashion-224
    """
    from classifier.learning.data.prepared import PreparedPictures, prepare_pictures
    from classifier.learning.data.split_files import read_split
    from classifier.prepare import InputSpec

    with opened_index(data, index, labels, whole=False) as opened:
        chosen = read_split(sides, opened) if sides is not None else opened
        usable: NDArray[np.int64] = chosen.usable()
        started = time.perf_counter()
        try:
            with progress_bars() as progress:
                track = partial(ProgressReporter(progress).track, "prepared")
                number = prepare_pictures(chosen.take(usable), target, InputSpec(size), track)
        except KeyboardInterrupt:
            err.print(f"{target} keeps the pictures so far: the same command continues from here", markup=False)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        seconds = time.perf_counter() - started
        left_out = len(chosen) - len(usable)
    prepared = PreparedPictures.open(target)
    unreadable = int((~prepared.index.numbers("readable")).sum())
    report = {
        "pictures": len(prepared.index),
        "prepared_now": number,
        "pictures_per_second": round(number / seconds, 1),
        "unreadable": unreadable,
        "without_label": left_out,
        "size": size,
        "bytes": prepared.pixels.nbytes,
    }
    if as_json:
        print_json(report)
        return
    out.print(
        f"{report['pictures']:,} pictures of {size} pixels in {target} ({report['bytes'] / 1e9:.2f} GB); "
        f"{number:,} prepared now, {report['pictures_per_second']:,} per second; "
        f"{unreadable:,} unreadable, {left_out:,} without a label left out",
        markup=False,
    )
