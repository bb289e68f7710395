"""The section of docs/benchmarks.md about the pages in a browser."""

from __future__ import annotations

from typing import Any


def browsing(figures: dict[str, Any]) -> str:
    rows = "\n".join(
        f"| {name} | {found['median']:,.0f} ({found['lowest']:,.0f}–{found['highest']:,.0f}) |"
        for name, found in figures["page"].items()
    )
    sizes = "\n".join(
        f"| `{path}` | {size['bytes'] / 1000:,.0f} kB | {size['requests']} |"
        for path, size in figures["first_load_bytes"].items()
    )
    watched = figures["watched"]
    return f"""## The pages in a browser

Chromium without a GPU (1440 × 900 pixels), which shares the cores with one process of the API, on the page of a job of
{figures["pictures"]:,} pictures (SQLite). Above 2,500 px/s, no pictures are fetched while the sheet scrolls.

| | median of the rounds |
| --- | --- |
{rows}

The first load of each page, compressed, without pictures:

| page | bytes | requests |
| --- | --- | --- |
{sizes}

{watched["pages"]:.0f} open pages that watch one running job: {watched["polls per second"]:.1f} polls per second,
{watched["answers other than 200 and 304"]:.0f} answers other than 200 and 304,
{watched["processor seconds of the API per second"]:.2f} seconds of processor time of the API per second, and the list
of jobs within {watched["list of jobs, p95 (ms)"]:.0f} ms (p95).
"""
