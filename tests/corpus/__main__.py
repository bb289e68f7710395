"""Send broken and odd pictures to a running service, and check what becomes of each of them.

Each file has to end as a prediction or as a documented error of its item within 10 s. A decoder may take 512 MiB. No
process may die except decoders, and each of those may cost one item. A good picture right after has to be predicted.
The exit code is 1 if one of these rules was broken.

examples:
  python -m tests.corpus                      send the files that the corpus builds, some 6,900
  python -m tests.corpus ~/pictures           send the files of a folder instead
  python -m tests.corpus ~/pictures --built   send both
  python -m tests.corpus --only 'cut short' --only bomb
  python -m tests.corpus --write /tmp/corpus  write the files into a folder, and send none
  python -m tests.corpus --url http://127.0.0.1:8000   use a service that runs, whose processes are not watched
  python -m tests.corpus --json > figures.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.conftest import ready_service
from tests.corpus.building import SEED, build, outside
from tests.corpus.case import Case, Kind
from tests.corpus.report import summary, table
from tests.corpus.running import JOB, Outcome, Run
from tests.corpus.watching import Watch

console = Console(stderr=True, highlight=False, soft_wrap=True)


def main() -> None:
    head, _, examples = (__doc__ or "").partition("examples:\n")
    parser = argparse.ArgumentParser(
        prog="python -m tests.corpus",
        description=head,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", nargs="?", type=Path, help="a folder with files to send")
    add("--built", action="store_true", help="send the files that the corpus builds; the default without a folder")
    add("--url", help="the service to use; by default, the command starts one and watches its processes")
    add("--only", action="append", default=[], metavar="KIND", help=f"one of: {', '.join(get_args(Kind))}")
    add("--seed", type=int, default=SEED, help="seed of all random choices (default: %(default)s)")
    add("--write", type=Path, metavar="FOLDER", help="write the files into a folder instead of sending them")
    add("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    if given.folder is not None and not given.folder.is_dir():
        parser.error(f"expected a folder, got {given.folder}")
    if unknown := set(given.only) - set(get_args(Kind)):
        parser.error(f"expected kinds among {', '.join(get_args(Kind))}; got {', '.join(sorted(unknown))}")
    cases = list(outside(given.folder)) if given.folder is not None else []
    if given.built or given.folder is None:
        # Building the bombs takes a minute or more, because some of them have 49 million pixels.
        cases += build(given.seed, slow=not given.only or "bomb" in given.only)
    cases = [case for case in cases if not given.only or case.kind in given.only]
    if given.write is not None:
        _write(cases, given.write)
        return
    with _service(given.url) as (url, watch):
        figures = _run(cases, url, watch)
    if given.json:
        print(json.dumps(figures, indent=2, ensure_ascii=False))
    _print(figures)
    sys.exit(1 if figures["broken"] or figures["broken_in_jobs"] else 0)


@contextmanager
def _service(url: str | None) -> Iterator[tuple[str, Watch | None]]:
    if url is not None:
        yield url, None
        return
    with TemporaryDirectory(prefix="lookbook-corpus-") as home:
        console.print("starting a service", style="dim")
        with ready_service(Path(home), LOOKBOOK_RATE_LIMIT="0") as service:
            yield service.url, Watch(service.process.pid)


def _run(cases: Sequence[Case], url: str, watch: Watch | None) -> dict[str, Any]:
    began, run = time.monotonic(), Run(url, watch)
    outcomes: list[Outcome] = []
    in_jobs: list[str] = []
    columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("one by one", total=len(cases))
        for outcome in run.each(cases):
            outcomes.append(outcome)
            bar.advance(task)
            if outcome.broken:
                bar.console.print(f"{outcome.case.name}: {'; '.join(outcome.broken)}", style="red", markup=False)
        for broken in bar.track(run.jobs(outcomes), total=-(-len(outcomes) // JOB), description="in jobs"):
            in_jobs += broken
    run.close()
    return summary(outcomes, in_jobs, run.decoders_lost, time.monotonic() - began)


def _print(figures: dict[str, Any]) -> None:
    console.print(table(figures))
    slowest, largest = figures["slowest"], figures["largest"]
    console.print(f"slowest: {slowest}; most memory of a decoder: {largest or 'not measured'}")
    console.print(f"decoders lost: {figures['decoders_lost']}; {figures['seconds']} s")
    for broken in [*figures["broken"], *figures["broken_in_jobs"]]:
        console.print(str(broken), style="red", markup=False)


def _write(cases: Sequence[Case], folder: Path) -> None:
    for case in cases:
        path = folder / case.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.data)
    console.print(f"wrote {len(cases):,} files into {folder}")


if __name__ == "__main__":
    main()
