"""Write docs/duplicates.md from the figures of the benchmarks `duplicates` and `seen_before` in results/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.run import read
from core.fingerprints import MAX_ASPECT_QUOTIENT, MAX_COLOUR_DIFFERENCE, MAX_DISTANCE
from core.settings import PROJECT

PAGE = PROJECT / "docs" / "duplicates.md"

_SETS = {
    "drawn": "Every garment of `samples/garments.py` in twelve cloths, with the same folds, light and size. Only the\n"
    "colour differs, so this set is harder than any catalog.",
    "photographs": "Every third of the 3,409 training and validation pictures of the public clothing dataset (small),\n"
    "CC0, which volunteers took. They are not part of this repository.",
}


_CHANCE = "Different pictures share so few bands that a new picture is compared with {:,.0f} of a million others."


def write_page() -> Path | None:
    """Write the page and return its path, or return None if the benchmark has never run."""
    figures = read("duplicates")
    if figures is None:
        return None
    parts = [_head(figures)]
    for name, found in figures["sets"].items():
        parts.append(_set(name, found))
    looked_up = read("seen_before")
    if looked_up is not None:
        parts.append(_look_up(looked_up))
    PAGE.write_text("\n".join(parts).rstrip() + "\n", "utf-8")
    return PAGE


def _head(figures: dict[str, Any]) -> str:
    scales = ", ".join(f"{scale:.0%}" for scale in figures["scales"])
    qualities = ", ".join(str(quality) for quality in figures["qualities"])
    return f"""# Duplicates

This page is for anyone who wants to know when Lookbook treats two pictures as the same, and how reliable that is.
The [HTTP API](http-api.md#the-same-picture-more-than-once) shows how to ask for duplicates, and
[decision 0021](adr/0021-duplicates.md) explains how they are found.

Two pictures are the same if their bytes are the same, or if all of this is true:

- their hashes differ in at most {MAX_DISTANCE} of 256 bits, and share at least one of eight bands of 32 bits;
- their mean colours differ by at most {MAX_COLOUR_DIFFERENCE} of 256 levels in red, in green and in blue;
- their aspect ratios differ by at most {MAX_ASPECT_QUOTIENT - 1:.0%}.

The search finds the same photo at another size, in another format or in another quality. Another photo of the same
garment, a part of a photo, and a mirrored or rotated photo count as different pictures. A picture that shows almost
nothing (plain white, a gradient) is compared by its bytes only.

## Measurements

`make bench ARGS=duplicates` computes these tables and writes this page. `BENCH_PHOTOGRAPHS=folder` also measures the
photographs in a folder; without it, their earlier figures stay. Each picture is saved as JPEG at five sizes
({scales} of its own size) in three qualities ({qualities}).

- *Recall*: the share of all pairs among these fifteen copies that are recognised as the same.
- *Without bands*: the recall if every picture were compared with every other.
- *Right*, *wrong*: pairs that are recognised as the same in a job that holds every picture twice, once at full size in
  the best quality and once at half its size in quality 70. *Precision*: the share of right pairs.
"""


def _set(name: str, found: dict[str, Any]) -> str:
    rows = found["rows"]
    by_distance = [row for row in rows if row["limit"][1] == MAX_COLOUR_DIFFERENCE]
    by_colour = sorted((row for row in rows if row["limit"][0] == MAX_DISTANCE), key=lambda row: row["limit"][1])
    distances, colours = (
        ", ".join(f"{found[kind][s]:.0f}" for s in ("50", "99", "99.9")) for kind in ("distance", "colour")
    )
    chance = "\n" + _CHANCE.format(found["candidates_at_a_million"]) if name == "photographs" else ""
    return f"""### {name.capitalize()}: {found["pictures"]:,} pictures

{_SETS[name]} The hashes of two copies differ in
{distances} bits and their colours in {colours} levels (median, 99 and 99.9 % of the pairs).{chance}

{_table("bits", by_distance, 0)}

{_table("levels of colour", by_colour, 1)}
"""


def _table(head: str, rows: list[dict[str, Any]], column: int) -> str:
    lines = [f"| {head} | recall | without bands | right | wrong | precision |", "|---|---|---|---|---|---|"]
    for row in rows:
        limit = row["limit"][column]
        chosen = limit == (MAX_DISTANCE, MAX_COLOUR_DIFFERENCE)[column]
        shown = "any" if limit == 255 else f"**{limit}**" if chosen else str(limit)
        precision = row["right"] / max(1, row["right"] + row["wrong"])
        cells = (f"{row['recall']:.2%}", f"{row['without_bands']:.2%}", f"{row['right']:,}", f"{row['wrong']:,}")
        lines.append(f"| {' | '.join((shown, *cells, f'{precision:.2%}'))} |")
    return "\n".join(lines)


def _look_up(figures: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {name} | {1000 * found['median']:.1f} ms | {1000 * found['p95']:.1f} ms |"
        for name, found in figures["databases"].items()
    )
    return f"""## Where a picture was seen before

The time of one look-up among {figures["pictures"]:,} pictures, measured with {figures["asked"]:,} different pictures
(`make bench ARGS=seen_before`). A look-up starts with an item and returns the items that show the same picture.

| database | median | p95 |
|---|---|---|
{rows}
"""
