"""One campaign on one database: hurt a running service again and again while clients use it, and count what is lost."""

from __future__ import annotations

import random
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from broker.client import Broker
from core.types import ModelRef
from db import model_versions
from tests.faults import checks
from tests.faults.client import Client, GaveUp
from tests.faults.installation import LEASE_SECONDS, DatabaseKind, Installation
from tests.faults.ledger import Ledger
from tests.faults.pictures import expectations
from tests.faults.scenario import Fault, choose_faults, list_left_out
from tests.faults.shelf import Shelf
from tests.faults.stream import Stream

RECOVERY_SECONDS = 120.0
"""Seconds after the end of a fault. A service that has not recovered by then counts as stuck."""
END_SECONDS = 240.0
"""Seconds that the last jobs may take after the last fault."""
_WORK_SECONDS = 10.0
"""Longest wait for a chunk in progress before a fault strikes."""
_POLL_SECONDS = 0.1

Progress = Callable[[str, int, int], None]
"""Called with the name of the current step, how much of it is done, and how much it is in total."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a campaign and its seed."""

    seed: int
    faults: int
    pictures: int
    kinds: Sequence[str] = ()
    """Names of `scenario.FAULTS`. Empty means all kinds that are possible here."""
    lease_seconds: float = LEASE_SECONDS
    largest_job: int = 500
    wait_for_redis: bool = True
    """Wait at the end until Redis has delivered again, after its visibility timeout, the messages that dead consumers
    never acknowledged."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """The seconds that the service needed after the end of one fault; None means more than `RECOVERY_SECONDS`."""

    fault: str
    answering: float | None
    """Until a picture that was submitted at the end of the fault was classified."""
    recorded: float | None
    """Until every chunk that was in progress when the fault began was recorded."""


@dataclass(slots=True)
class Result:
    """The outcome of a campaign."""

    database: DatabaseKind
    plan: Plan
    date: str
    recoveries: list[Recovery] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)
    report: list[str] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    unexpected_exits: dict[str, list[int]] = field(default_factory=dict)
    killed_at_end: list[str] = field(default_factory=list)
    seconds: float = 0.0
    logs: Path | None = None
    """The folder of logs, database and pictures. It is kept only if a promise was broken."""

    @property
    def clean(self) -> bool:
        return not self.broken


def run(kind: DatabaseKind, plan: Plan, progress: Progress) -> Result:
    """Run a campaign and return its outcome. It raises only errors of the campaign itself."""
    started = time.monotonic()
    result = Result(kind, plan, datetime.now(UTC).date().isoformat())
    rng = random.Random(f"{plan.seed} {kind}")
    progress("starting", 0, 1)
    installation = Installation.start(kind, rng, plan.lease_seconds)
    result.logs = installation.folder
    ledger = Ledger()
    shelf = Shelf()
    stream = Stream(installation.settings.url, plan.seed, plan.largest_job, ledger, shelf)
    try:
        stream.start()
        result.left_out = list_left_out(installation)
        _strike_all(
            installation, stream, choose_faults(installation, plan.faults, rng, plan.kinds), plan, result, progress
        )
        _finish(stream, progress)
        stream.stop()
        _check(installation, stream, plan, progress)
    finally:
        stream.stop()
        shelf.close()
        result.killed_at_end = installation.stop()
    result.unexpected_exits = installation.supervisor.unexpected_exits()
    result.totals |= _totals(ledger)
    result.broken, result.report = ledger.counts(), ledger.report()
    result.refusals = dict(ledger.refusals)
    result.seconds = time.monotonic() - started
    if result.clean:
        shutil.rmtree(installation.folder, ignore_errors=True)
        result.logs = None
    return result


def _strike_all(
    installation: Installation, stream: Stream, faults: Sequence[Fault], plan: Plan, result: Result, progress: Progress
) -> None:
    rng = random.Random(f"{plan.seed} strikes")
    for number, fault in enumerate(faults):
        progress(fault.name, number, len(faults))
        stream.check()
        # The clients submit half of this fault's pictures before it strikes and half while it lasts.
        stream.allowed = plan.pictures * (2 * number + 1) // (2 * len(faults))
        in_progress = _wait_for_work(installation)
        stream.allowed = plan.pictures * (number + 1) // len(faults)
        fault.strike(installation, rng)
        recovery = _recover(installation, stream, fault, in_progress)
        result.recoveries.append(recovery)
        if recovery.answering is None or recovery.recorded is None:
            # A stuck service would fail every later fault as well.
            stream.ledger.record_broken("the service recovers", f"fault {number + 1}, {fault.name}: {recovery}")
            return


def _wait_for_work(installation: Installation) -> set[str]:
    """Return the chunks in progress as soon as there are some, or an empty set after `_WORK_SECONDS`."""
    give_up = time.monotonic() + _WORK_SECONDS
    while True:
        found = checks.find_chunks_in_progress(installation)
        if found or time.monotonic() > give_up:
            return found or set()
        time.sleep(_POLL_SECONDS)


def _recover(installation: Installation, stream: Stream, fault: Fault, in_progress: set[str]) -> Recovery:
    ended = time.monotonic()
    recorded: list[float] = []

    def watch() -> None:
        while time.monotonic() < ended + RECOVERY_SECONDS:
            if not in_progress or checks.find_chunks_in_progress(installation, in_progress) == set():
                recorded.append(time.monotonic() - ended)
                return
            time.sleep(_POLL_SECONDS)

    watcher = threading.Thread(target=watch, name="watch", daemon=True)
    watcher.start()
    answering = _probe(stream, ended)
    watcher.join()
    return Recovery(fault.name, answering, recorded[0] if recorded else None)


def _probe(stream: Stream, ended: float) -> float | None:
    """Submit a picture and return how long after `ended` it was classified, in seconds."""
    give_up = threading.Event()
    timer = threading.Timer(RECOVERY_SECONDS, give_up.set)
    timer.daemon = True
    timer.start()
    client = Client(stream.url, stream.ledger, stream.shelf, give_up)
    try:
        submission = stream.single(random.Random(ended))
        client.submit(submission, 1)
        while not client.is_finished(submission):
            time.sleep(_POLL_SECONDS)
    except GaveUp:
        return None
    finally:
        timer.cancel()
        client.close()
    return time.monotonic() - ended


def _finish(stream: Stream, progress: Progress) -> None:
    """Let all submitted jobs end after the last fault."""
    give_up = time.monotonic() + END_SECONDS
    stream.submitting.clear()
    quiet = 0
    while time.monotonic() < give_up:
        stream.check()
        submissions, waiting = stream.ledger.all(), stream.ledger.unfinished()
        progress("waiting for the last jobs", len(submissions) - len(waiting), len(submissions))
        # One quiet look is not enough, because a client may just be about to submit or retry a job.
        quiet = quiet + 1 if not waiting and stream.idle else 0
        if quiet == 2:
            return
        time.sleep(1.0)
    for line in checks.list_unfinished(stream.ledger):
        stream.ledger.record_broken("no job is stuck", line)


def _check(installation: Installation, stream: Stream, plan: Plan, progress: Progress) -> None:
    ledger = stream.ledger
    progress("waiting for Redis to be empty", 0, 1)
    if plan.wait_for_redis:
        options = Broker.connect(installation.settings).celery.conf.broker_transport_options
        checks.check_redis(installation, ledger, time.monotonic() + 2 * options["visibility_timeout"])
    else:
        checks.check_unfinished_messages(installation, ledger)
    checks.check_database(installation, ledger)
    submissions = ledger.all()
    progress("computing the right answers", 0, 1)
    with installation.database.reading() as session:
        ref = ModelRef.parse(model_versions.list_aliases(session)[model_versions.PRODUCTION])
    expected = expectations(installation.settings, ref, (p for s in submissions for p in s.pictures))
    done, total = 0, sum(len(submission.pictures) for submission in submissions)
    client = Client(stream.url, ledger, stream.shelf, threading.Event())
    for submission in submissions:
        # A last poll finds jobs that changed after their end.
        client.poll(submission)
    for count in checks.check_answers(client, submissions, expected, ledger):
        done += count
        progress("comparing", done, total)
    client.close()


def _totals(ledger: Ledger) -> dict[str, int]:
    submissions = ledger.all()
    pictures = [picture for submission in submissions for picture in submission.pictures]
    return {
        "jobs": sum(not submission.single for submission in submissions),
        "archives": sum(submission.source == "archive" for submission in submissions),
        "manifests": sum(submission.source == "manifest" for submission in submissions),
        "crawls": sum(submission.source == "crawl" for submission in submissions),
        "singles": sum(submission.single for submission in submissions),
        "pictures": len(pictures),
        "different pictures": len({picture.sha256 for picture in pictures}),
        "jobs canceled": sum(s.job is not None and s.job["status"] == "canceled" for s in submissions),
        "jobs retried": sum(submission.retried for submission in submissions),
    }


def median_and_worst(values: Sequence[float | None]) -> tuple[float, float]:
    """Return the median and the maximum of recovery times; None counts as infinite."""
    known = [float("inf") if value is None else value for value in values]
    return statistics.median(known), max(known)


def to_json(result: Result) -> dict[str, Any]:
    """Return the part of a result that is kept in a file."""
    return {
        "database": result.database,
        "date": result.date,
        "seed": result.plan.seed,
        "faults": result.plan.faults,
        "seconds": round(result.seconds),
        "totals": result.totals,
        "broken": result.broken,
        "left_out": result.left_out,
        "refusals": result.refusals,
        "unexpected_exits": {name: len(codes) for name, codes in result.unexpected_exits.items()},
        "recoveries": [
            {
                "fault": recovery.fault,
                "answering": _rounded(recovery.answering),
                "recorded": _rounded(recovery.recorded),
            }
            for recovery in result.recoveries
        ],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
