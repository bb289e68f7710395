"""`make bench`: run all benchmarks (about half an hour), or the named ones: `make bench ARGS="pipeline start"`.

A benchmark takes turns between the things that it compares, for several rounds in one run. It stores medians, with the
lowest and the highest value, in results/<name>.json. docs/benchmarks.md and its plots are made from those files.

`make bench ARGS=gpu` runs alone: it prints a section for docs/capacity.md in under ten minutes and stores nothing.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import (
    browsing,
    crawling,
    devices,
    duplicates,
    exporting,
    extraction,
    fairness,
    fetching,
    first_result,
    gpu,
    gpu_page,
    ingest,
    interactive,
    maps,
    memory,
    paging,
    pipeline,
    polling,
    receiving,
    reuse,
    rivals,
    runtimes,
    seen_before,
    start,
    stored_vectors,
    throughput,
    vectors,
)
from benchmarks.report import write_report
from benchmarks.run import Run, write

BENCHMARKS: dict[str, Run] = {
    "runtimes": runtimes.run,
    "throughput": throughput.run,
    "rivals": rivals.run,
    "interactive": interactive.run,
    "first_result": first_result.run,
    "pipeline": pipeline.run,
    "devices": devices.run,
    "fairness": fairness.run,
    "receiving": receiving.run,
    "fetching": fetching.run,
    "ingest": ingest.run,
    "polling": polling.run,
    "browsing": browsing.run,
    "maps": maps.run,
    "paging": paging.run,
    "exporting": exporting.run,
    "reuse": reuse.run,
    "stored_vectors": stored_vectors.run,
    "extraction": extraction.run,
    "crawling": crawling.run,
    "start": start.run,
    "memory": memory.run,
    "duplicates": duplicates.run,
    "seen_before": seen_before.run,
    "vectors": vectors.run,
}

GPU = "gpu"
"""This benchmark describes a machine and not a change, so it is not among those that are stored and compared."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    names = ", ".join(BENCHMARKS)
    parser.add_argument("names", nargs="*", metavar="name", help=f"benchmarks to run: {names} (default: all), or {GPU}")
    chosen = parser.parse_args().names or list(BENCHMARKS)
    unknown = set(chosen) - set(BENCHMARKS)
    if unknown and chosen != [GPU]:
        parser.error(f"expected some of {names}, or {GPU} alone; got {', '.join(sorted(unknown))}")
    columns = (TextColumn("{task.description:>24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        if chosen == [GPU]:
            print(gpu_page.to_markdown(gpu.measure(progress)))
            return
        for name in chosen:
            write(name, BENCHMARKS[name](progress))
    print(f"wrote {write_report()}")


if __name__ == "__main__":
    main()
