"""`make faults`: hurt a service of real processes with real faults, and count what it loses.

examples:
  make faults                                         run 120 faults on each database (about twenty minutes)
  make faults ARGS="--database sqlite --faults 20"    run a shorter campaign
  make faults ARGS="--seed 7 --only 'worker killed'"  repeat one kind of fault
  make faults ARGS="--only 'worker killed' --lease 30"  measure the recovery at the default lease
  make faults ARGS="--report"                         keep the figures and write them into docs/reliability.md
"""

from __future__ import annotations

import argparse
import random
import shlex
import signal
import sys
from typing import get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.faults.campaign import Plan, Result, median_and_worst, run
from tests.faults.installation import LEASE_SECONDS, DatabaseKind
from tests.faults.report import NAMES, PAGE, keep, write_page
from tests.faults.scenario import FAULTS

console = Console(stderr=True, highlight=False, soft_wrap=True)


def main() -> None:
    head, _, examples = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="make faults", description=head, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="seed of all random choices")
    parser.add_argument(
        "--faults", type=int, default=120, help="number of faults on each database (default: %(default)s)"
    )
    parser.add_argument(
        "--pictures", type=int, default=12_000, help="approximate number of pictures to send (default: %(default)s)"
    )
    parser.add_argument("--database", choices=[*get_args(DatabaseKind), "both"], default="both")
    parser.add_argument("--only", action="append", default=[], metavar="KIND", help=f"one of {', '.join(FAULTS)}")
    parser.add_argument(
        "--lease",
        type=float,
        default=LEASE_SECONDS,
        metavar="SECONDS",
        help="LOOKBOOK_LEASE_SECONDS (default: %(default)s). With another one, the campaign does not wait at its end "
        "until Redis delivers unacknowledged messages again, which takes 20 leases",
    )
    parser.add_argument("--report", action="store_true", help="keep the figures and write docs/reliability.md")
    given = parser.parse_args()
    if unknown := [name for name in given.only if name not in FAULTS]:
        parser.error(f"expected kinds of fault among {', '.join(FAULTS)}; got {', '.join(unknown)}")
    kinds: list[DatabaseKind] = list(get_args(DatabaseKind)) if given.database == "both" else [given.database]
    # SIGTERM alone would end this process without its `finally` blocks and leave the service running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    console.print(f"seed {given.seed}", style="bold")
    plan = Plan(
        given.seed,
        given.faults,
        given.pictures,
        given.only,
        lease_seconds=given.lease,
        wait_for_redis=given.lease == LEASE_SECONDS,
    )
    results = [_run(kind, plan) for kind in kinds]
    if given.report:
        for result in results:
            arguments = f"--seed {given.seed} --faults {given.faults} --pictures {given.pictures}"
            arguments += "" if given.lease == LEASE_SECONDS else f" --lease {given.lease:g}"
            only = "".join(f" --only {shlex.quote(name)}" for name in given.only)
            keep(result, f"python -m tests.faults --database {result.database} {arguments}{only}")
        write_page()
        console.print(f"wrote {PAGE.name}")
    sys.exit(0 if all(result.clean for result in results) else 1)


def _run(kind: DatabaseKind, plan: Plan) -> Result:
    columns = (TextColumn("{task.description:>48}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(NAMES[kind])

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{NAMES[kind]}: {what}", completed=done, total=total)

        result = run(kind, plan, progress)
    _print(result)
    return result


def _print(result: Result) -> None:
    totals = ", ".join(f"{count:,} {what}" for what, count in result.totals.items())
    console.print(f"{NAMES[result.database]}: {len(result.recoveries)} faults, {totals}, {result.seconds:.0f} s")
    for fault in dict.fromkeys(recovery.fault for recovery in result.recoveries):
        recovered = [recovery.recorded for recovery in result.recoveries if recovery.fault == fault]
        median, worst = median_and_worst(recovered)
        console.print(f"  {fault}: all recorded after {median:.1f} / {worst:.1f} s (median / worst)", style="dim")
    console.print(f"  attempts that the client repeated, by reason: {result.refusals or 'none'}", style="dim")
    if result.left_out:
        console.print(f"  faults that this machine does not allow: {', '.join(result.left_out)}", style="yellow")
    if result.unexpected_exits:
        console.print(
            f"  processes that ended by themselves, with exit codes: {result.unexpected_exits}", style="yellow"
        )
    if result.killed_at_end:
        console.print(
            f"  processes that had to be killed at the end: {', '.join(result.killed_at_end)}", style="yellow"
        )
    if result.clean:
        console.print("  every promise was kept", style="green")
        return
    for line in result.report:
        console.print(f"  {line}", style="red", markup=False)
    console.print(f"  logs, database and pictures: {result.logs}")


if __name__ == "__main__":
    main()
