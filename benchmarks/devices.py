"""Measure how the rate of items grows with the number of workers, each with a simulated device.

The device takes 20 ms for each batch and sleeps meanwhile, so it costs no processor time. What remains is the work of
the service itself: queue, batching and recording, on a PostgreSQL and a Redis of this machine.

The rates leave out the beginning and the end of the jobs, when some workers have no chunk.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.progress import Progress
from sqlalchemy import select

from benchmarks import large_database, plots
from benchmarks.pipeline import empty_installation, running_job, store_job, workers
from core.settings import PROJECT, Settings
from db.database import Database
from db.tables import Item

WORKERS = (1, 2, 4, 8)
BATCH_SECONDS = 0.02
RUN_SECONDS = 15
"""Seconds for which each worker has items, if its device is never idle."""
EDGE = 0.15
"""Share of the duration at the beginning and at the end that does not count: some workers have no chunk then."""
STORED = 200_000
"""Predictions that the database holds before. PostgreSQL reads tables of some ten thousand rows as a whole to update
the rows of a chunk. In larger tables, as installations have them, it uses the index."""
TARGET = 0.95
PLOT = PROJECT / "docs" / "benchmarks" / "devices.svg"


@dataclass(frozen=True, slots=True)
class Setup:
    """The devices, and the numbers of jobs that the workers run at the same time."""

    batch_size: int
    jobs: Sequence[int]

    def name(self, jobs: int) -> str:
        """Return the name of a case in tables."""
        return f"{jobs} job{'s' if jobs > 1 else ''}, batches of {self.batch_size}"


SETUPS = (Setup(4, (8, 1)), Setup(16, (8,)))


def run(progress: Progress) -> dict[str, Any]:
    """Return the rate, its ratio to the linear rate and the processor time of each case and number of workers."""
    task = progress.add_task("devices", total=len(WORKERS) * sum(len(setup.jobs) for setup in SETUPS))
    found: dict[str, list[dict[str, Any]]] = {}
    with empty_installation("postgresql") as settings:
        _fill(settings)
        for setup in SETUPS:
            for count in WORKERS:
                with _devices(settings, setup, count) as kinds:
                    for jobs in setup.jobs:
                        rows = found.setdefault(setup.name(jobs), [])
                        row = _measure(settings, setup, kinds, jobs, count)
                        rows.append(row | {"to_linear": row["rate"] / count / (rows or [row])[0]["rate"]})
                        progress.advance(task)
    return {"batch_milliseconds": BATCH_SECONDS * 1e3, "cores": psutil.cpu_count(), "stored": STORED, "cases": found}


def _fill(settings: Settings) -> None:
    database = Database(settings.resolved_database_url)
    large_database.fill(database, STORED)
    database.close()


@contextmanager
def _devices(settings: Settings, setup: Setup, count: int) -> Iterator[dict[str, list[int]]]:
    """Run workers with simulated devices, and yield the process ids of the service by kind."""
    options = ("--batch-size", str(setup.batch_size), "--batch-seconds", str(BATCH_SECONDS))
    database = {"LOOKBOOK_DATABASE_URL": settings.database_url}
    with workers(settings, count, "-m", "benchmarks.null_worker", *options, **database) as started:
        yield {"workers": started, "PostgreSQL": [_postgres(settings)], "Redis": [_redis()]}


def _measure(
    settings: Settings, setup: Setup, kinds: Mapping[str, Sequence[int]], jobs: int, count: int
) -> dict[str, Any]:
    limit = count * setup.batch_size / BATCH_SECONDS
    items = round(limit * RUN_SECONDS / jobs)
    ids = [store_job(settings, f"{setup.name(jobs)} {count} {number}", items) for number in range(jobs)]
    before, machine = {kind: _processor_seconds(pids) for kind, pids in kinds.items()}, _busy_seconds()
    seconds = _run_jobs(settings, ids)
    machine = _busy_seconds() - machine
    spent = {kind: _processor_seconds(pids) - before[kind] for kind, pids in kinds.items()}
    rate = _steady_rate(settings, ids)
    available = seconds * (psutil.cpu_count() or 1)
    return {
        "workers": count,
        "items": items * jobs,
        "seconds": seconds,
        "rate": rate,
        "device_busy": rate / limit,
        "processor_milliseconds": {kind: 1e3 * used / (items * jobs) for kind, used in spent.items()},
        "processor_share": sum(spent.values()) / available,
        "others_share": max(0.0, machine - sum(spent.values())) / available,
    }


def _run_jobs(settings: Settings, jobs: Sequence[str]) -> float:
    """Run stored jobs at the same time, and return the seconds until the last one ends."""
    started = time.perf_counter()
    with ExitStack() as stack:
        waits = [stack.enter_context(running_job(settings, job)) for job in jobs]
        if not all(wait.wait(600) for wait in waits):
            raise RuntimeError("the jobs did not end within ten minutes")
        return time.perf_counter() - started


def _steady_rate(settings: Settings, jobs: Sequence[str]) -> float:
    """Return the items that ended in each second, without the beginning and the end of the jobs."""
    database = Database(settings.resolved_database_url)
    with database.reading() as session:
        ended = select(Item.finished_at).where(Item.job_id.in_(jobs)).order_by(Item.finished_at)
        times = [moment.timestamp() for moment in session.scalars(ended) if moment is not None]
    database.close()
    edge = EDGE * (times[-1] - times[0])
    begin, end = times[0] + edge, times[-1] - edge
    return sum(begin <= moment < end for moment in times) / (end - begin)


def _processor_seconds(pids: Sequence[int]) -> float:
    """Return the processor time of these processes and their children, ended ones included."""
    total = 0.0
    for pid in pids:
        parent = psutil.Process(pid)
        used = parent.cpu_times()
        total += used.user + used.system + used.children_user + used.children_system
        for child in parent.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                # One that ends now will be among the ended children of its parent.
                used = child.cpu_times()
                total += used.user + used.system
    return total


def _busy_seconds() -> float:
    """Return the processor time of all processes of this machine since its start."""
    used = psutil.cpu_times()
    return used.user + used.nice + used.system


def _postgres(settings: Settings) -> int:
    pid = (Path(settings.home) / "postgres" / "postmaster.pid").read_text("utf-8").splitlines()[0]
    return int(pid)


def _redis() -> int:
    return next(child.pid for child in psutil.Process().children() if "redis" in child.name())


def section(figures: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md, and draw its plot."""
    plots.to_linear(figures["cases"], TARGET, PLOT)
    lines = [
        f"| {name} | {row['workers']} | {row['rate']:,.0f} | {row['to_linear']:.2f} | {row['device_busy']:.0%} | "
        + " | ".join(f"{used:.2f}" for used in row["processor_milliseconds"].values())
        + f" | {row['processor_share']:.0%} | {row['others_share']:.0%} |"
        for name, rows in figures["cases"].items()
        for row in rows
    ]
    kinds = next(iter(figures["cases"].values()))[0]["processor_milliseconds"]
    head = ["", "workers", "items/s", "to linear", "devices busy", *(f"{kind}, ms an item" for kind in kinds)]
    head += ["processor", "other programs"]
    table = "\n".join([f"| {' | '.join(head)} |", f"| {' | '.join(['---'] * len(head))} |", *lines])
    return f"""## Several workers, each with a simulated device

The device takes {figures["batch_milliseconds"]:.0f} ms for each batch and sleeps meanwhile, so it costs no processor
time. Pictures are decoded already. Queue, batching and recording are real, on one PostgreSQL and one Redis that share
{figures["cores"]} cores with all workers. The database holds {figures["stored"]:,} predictions before.

*To linear*: the rate divided by the rate of one worker and by the number of workers. *Devices busy*: the rate divided
by the highest rate of the devices. Then follow the processor time of each item by kind of process, and the share of all
processor time that these processes and other programs took. Each row was measured once, without the first and the last
{EDGE:.0%} of its duration.
[Capacity](capacity.md#more-workers-on-one-installation) says where the curve bends and why.

{table}

![Ratio to the linear rate](benchmarks/devices.svg)
"""
