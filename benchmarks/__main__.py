"""`make bench`: run all benchmarks (about twenty minutes), or the named ones: `make bench ARGS="pipeline start"`.

A benchmark takes turns between the things that it compares, for several rounds in one run. It stores medians, with the
lowest and the highest value, in results/<name>.json. docs/benchmarks.md and its plots are made from those files.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import (
    browsing,
    crawling,
    duplicates,
    exporting,
    extraction,
    fairness,
    fetching,
    first_result,
    ingest,
    interactive,
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
    throughput,
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
    "fairness": fairness.run,
    "receiving": receiving.run,
    "fetching": fetching.run,
    "ingest": ingest.run,
    "polling": polling.run,
    "browsing": browsing.run,
    "paging": paging.run,
    "exporting": exporting.run,
    "reuse": reuse.run,
    "extraction": extraction.run,
    "crawling": crawling.run,
    "start": start.run,
    "memory": memory.run,
    "duplicates": duplicates.run,
    "seen_before": seen_before.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    names = ", ".join(BENCHMARKS)
    parser.add_argument("names", nargs="*", metavar="name", help=f"benchmarks to run: {names} (default: all)")
    chosen = parser.parse_args().names or list(BENCHMARKS)
    unknown = set(chosen) - set(BENCHMARKS)
    if unknown:
        parser.error(f"expected some of {names}; got {', '.join(sorted(unknown))}")
    columns = (TextColumn("{task.description:>24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for name in chosen:
            write(name, BENCHMARKS[name](progress))
    print(f"wrote {write_report()}")


if __name__ == "__main__":
    main()
