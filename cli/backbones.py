"""The command that lists the backbones of training recipes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.learning import ProgressReporter, progress_bars, quiet_tensorflow
from cli.output import AsJson, out, print_json, table

if TYPE_CHECKING:
    from classifier.learning.networks.catalogue import Entry


def backbones(
    names: Annotated[
        list[str] | None, typer.Argument(help="Backbones. The default is all.", show_default=False)
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the pictures per second on this machine, with OpenVINO in f32.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the backbones that a training recipe can name.

    Parameters and GFLOPs are those of the whole backbone without a head, for one picture of the input size. GFLOPs
    are billions of multiply-adds, as papers on networks count them. The speed is shown only if it is measured. This
    takes from seconds to minutes for each backbone, so it is best to name some.

    Examples:

        lookbook backbones

        lookbook backbones vgg16 efficientnet_lite0 --measure
    """
    from classifier.learning.networks.catalogue import ENTRIES, find_entry

    entries = [find_entry(name) for name in names] if names else list(ENTRIES.values())
    rows = _rows(entries)
    if measure:
        _measure(entries, rows)
    if as_json:
        print_json(rows)
        return
    source = "ImageNet weights"
    shown = table("backbone", "parameters", "GFLOPs", "input", "pictures/s", source, wrapping=source)
    for row in rows:
        speed = row["pictures_per_second"]
        shown.add_row(
            row["name"],
            f"{row['parameters']:,}",
            f"{row['gflops']:.2f}",
            str(row["input_size"]),
            "–" if speed is None else f"{speed:.1f}",
            row["weights_from"],
        )
    out.print(shown)


def _rows(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    from classifier.learning.networks.catalogue import recorded_costs

    costs = recorded_costs()
    return [
        {
            "name": entry.name,
            "parameters": costs[entry.name].parameters,
            "gflops": round(costs[entry.name].multiply_adds / 1e9, 3),
            "input_size": entry.size,
            "weights_from": entry.weights_from,
            "pictures_per_second": None,
        }
        for entry in entries
    ]


def _measure(entries: list[Entry], rows: list[dict[str, Any]]) -> None:
    """Fill in the speed of each row."""
    quiet_tensorflow()
    from classifier.learning.publishing.backbone_speed import pictures_per_second

    with progress_bars() as progress:
        reporter = ProgressReporter(progress)
        for entry, row in zip(reporter.track("measuring", entries, len(entries)), rows, strict=True):
            row["pictures_per_second"] = round(pictures_per_second(entry), 2)
