"""docs/duplicates.md, from what the benchmarks `duplicates` and `seen_before` left in results/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.run import read
from core.fingerprints import MAX_ASPECT_RATIO, MAX_COLOUR_DIFFERENCE, MAX_DISTANCE
from core.settings import PROJECT

PAGE = PROJECT / "docs" / "duplicates.md"

_SETS = {
    "drawn": "Every garment of `samples/garments.py` in twelve cloths, all in the same folds, light and size: nothing\n"
    "differs but the colour, which no catalog makes as hard.",
    "photographs": "Evenly picked from the 3,409 training and validation pictures of the public clothing dataset\n"
    "(small), CC0, which volunteers took. They are not part of this repository.",
}


_CHANCE = "Different pictures have so little in common that one would be compared with {:,.0f} of a million others."


def write_page() -> Path | None:
    """Write the page if there is anything to write; where it lies."""
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

Two pictures are called the same if their bytes are, or if all of this holds:

- their hashes differ in at most {MAX_DISTANCE} of 256 bits, and agree in at least one of eight bands of 32 bits;
- their mean colours differ by at most {MAX_COLOUR_DIFFERENCE} of 256 levels in red, in green and in blue;
- one is at most {MAX_ASPECT_RATIO - 1:.0%} wider for its height than the other.

What is looked for is the same photo at another size, in another format or quality. Another photo of the same garment, a
part of a photo, a mirrored or a turned one is another picture. A picture that shows next to nothing (white, a gradient)
is compared by its bytes only. How it works and why: [0021](adr/0021-duplicates.md); how it is asked for:
[HTTP API](http-api.md).

## Measured

`make bench ARGS=duplicates` computes these tables and writes this page; `BENCH_PHOTOGRAPHS=folder` measures the
photographs in a folder, too (without it their earlier figures stay). Each picture is saved as JPEG at five sizes
({scales} of its own) in three qualities ({qualities}).

- *Recall*: the share of all pairs among these fifteen copies that are called the same.
- *Without bands*: what it would be if everything were compared with everything.
- *Right*, *wrong*: pairs called the same in a job that holds every picture twice, at full size in the best quality and
  at half its size in quality 70. *Precision*: the share of the right ones.
"""


def _set(name: str, found: dict[str, Any]) -> str:
    rows = found["rows"]
    by_distance = [row for row in rows if row["limit"][1] == MAX_COLOUR_DIFFERENCE]
    by_colour = sorted((row for row in rows if row["limit"][0] == MAX_DISTANCE), key=lambda row: row["limit"][1])
    distances, colours = (
        ", ".join(f"{found[kind][s]:.0f}" for s in ("50", "99", "99.9")) for kind in ("distance", "colour")
    )
    return f"""### {name.capitalize()}: {found["pictures"]:,} pictures

{_SETS[name]} The hashes of two copies differ in
{distances} bits, their colours in {colours} levels (median, 99 and 99.9 % of the pairs).
{_CHANCE.format(found["candidates_at_a_million"]) if name == "photographs" else ""}

{_table("bits", by_distance, 0)}

{_table("levels of colour", by_colour, 1)}
"""


def _percentiles(found: dict[str, float]) -> str:
    return ", ".join(f"{found[share]:.0f}" for share in ("50", "99", "99.9"))


def _table(head: str, rows: list[dict[str, Any]], which: int) -> str:
    lines = [f"| {head} | recall | without bands | right | wrong | precision |", "|---|---|---|---|---|---|"]
    for row in rows:
        limit = row["limit"][which]
        chosen = limit == (MAX_DISTANCE, MAX_COLOUR_DIFFERENCE)[which]
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

One look-up among {figures["pictures"]:,} pictures (`make bench ARGS=seen_before`), {figures["asked"]:,} different ones
each once: from an item in hand to the items that show the same.

| database | median | p95 |
|---|---|---|
{rows}
"""
