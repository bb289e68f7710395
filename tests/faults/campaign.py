"""One campaign on one database: hurt a running service again and again while users use it, and count what is lost."""

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
from tests.faults.installation import DatabaseKind, Installation
from tests.faults.ledger import Ledger
from tests.faults.pictures import expectations
from tests.faults.scenario import Fault, left_out, plan
from tests.faults.shelf import Shelf
from tests.faults.stream import Stream

RECOVERY_SECONDS = 120.0
"""A service that has not recovered from a fault by then is taken for stuck."""
END_SECONDS = 240.0
"""How long the last jobs may take once nothing hurts any more."""
_WORK_SECONDS = 10.0
_LOOK_SECONDS = 0.1

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a campaign is."""

    seed: int
    faults: int
    pictures: int
    kinds: Sequence[str] = ()
    """Names of `scenario.FAULTS`; empty: all that are possible."""
    largest_job: int = 500
    wait_for_redis: bool = True
    """Wait at the end until Redis has handed on what dead consumers never acknowledged (its visibility timeout)."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long it took after the end of one fault, in seconds; None: longer than `RECOVERY_SECONDS`."""

    fault: str
    answering: float | None
    """Until a picture that was submitted right then was classified."""
    settled: float | None
    """Until all that had been under way when the fault began was recorded."""


@dataclass(slots=True)
class Result:
    """What came of it."""

    database: DatabaseKind
    plan: Plan
    date: str
    recoveries: list[Recovery] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)
    report: list[str] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    own_deaths: dict[str, list[int]] = field(default_factory=dict)
    stubborn: list[str] = field(default_factory=list)
    seconds: float = 0.0
    logs: Path | None = None
    """Folder of logs, database and pictures; kept only where a promise was broken."""

    @property
    def clean(self) -> bool:
        return not self.broken


def run(kind: DatabaseKind, wanted: Plan, progress: Progress) -> Result:
    """The whole campaign. Raises only what is wrong with the campaign itself."""
    started = time.monotonic()
    result = Result(kind, wanted, datetime.now(UTC).date().isoformat())
    chance = random.Random(f"{wanted.seed} {kind}")
    progress("starting", 0, 1)
    it = Installation.start(kind, chance)
    result.logs = it.folder
    ledger = Ledger()
    shelf = Shelf()
    stream = Stream(it.settings.url, wanted.seed, wanted.largest_job, ledger, shelf)
    try:
        stream.start()
        result.left_out = left_out(it)
        _strike_all(it, stream, plan(it, wanted.faults, chance, wanted.kinds), wanted, result, progress)
        _finish(stream, progress)
        stream.stop()
        _check(it, stream, wanted, progress)
    finally:
        stream.stop()
        shelf.close()
        result.stubborn = it.stop()
    result.own_deaths = it.supervisor.own_deaths()
    result.totals |= _totals(ledger)
    result.broken, result.report = ledger.counts(), ledger.report()
    result.refusals = dict(ledger.refusals)
    result.seconds = time.monotonic() - started
    if result.clean:
        shutil.rmtree(it.folder, ignore_errors=True)
        result.logs = None
    return result


def _strike_all(
    it: Installation, stream: Stream, faults: Sequence[Fault], wanted: Plan, result: Result, progress: Progress
) -> None:
    chance = random.Random(f"{wanted.seed} strikes")
    for number, fault in enumerate(faults):
        progress(fault.name, number, len(faults))
        stream.check()
        # Half of what is submitted for this fault comes before it, half while it lasts.
        stream.allowed = wanted.pictures * (2 * number + 1) // (2 * len(faults))
        under_way = _wait_for_work(it)
        stream.allowed = wanted.pictures * (number + 1) // len(faults)
        fault.strike(it, chance)
        recovery = _recover(it, stream, fault, under_way)
        result.recoveries.append(recovery)
        if recovery.answering is None or recovery.settled is None:
            # There is nothing to learn from hurting it further.
            stream.ledger.broken("it recovers", f"fault {number + 1}, {fault.name}: {recovery}")
            return


def _wait_for_work(it: Installation) -> set[str]:
    """Chunks that are under way, as soon as there are some; a fault strikes all the same if there are none for long."""
    give_up = time.monotonic() + _WORK_SECONDS
    while True:
        found = checks.chunks_under_way(it)
        if found or time.monotonic() > give_up:
            return found or set()
        time.sleep(_LOOK_SECONDS)


def _recover(it: Installation, stream: Stream, fault: Fault, under_way: set[str]) -> Recovery:
    ended = time.monotonic()
    settled: list[float] = []

    def watch() -> None:
        while time.monotonic() < ended + RECOVERY_SECONDS:
            if not under_way or checks.chunks_under_way(it, under_way) == set():
                settled.append(time.monotonic() - ended)
                return
            time.sleep(_LOOK_SECONDS)

    watcher = threading.Thread(target=watch, name="watch", daemon=True)
    watcher.start()
    answering = _probe(stream, ended)
    watcher.join()
    return Recovery(fault.name, answering, settled[0] if settled else None)


def _probe(stream: Stream, ended: float) -> float | None:
    """Submit a picture and wait until it is classified; how long after `ended` that was."""
    give_up = threading.Event()
    timer = threading.Timer(RECOVERY_SECONDS, give_up.set)
    timer.daemon = True
    timer.start()
    client = Client(stream.url, stream.ledger, stream.shelf, give_up)
    try:
        submission = stream.single(random.Random(ended))
        client.submit(submission, 1)
        while not client.is_over(submission):
            time.sleep(_LOOK_SECONDS)
    except GaveUp:
        return None
    finally:
        timer.cancel()
        client.close()
    return time.monotonic() - ended


def _finish(stream: Stream, progress: Progress) -> None:
    """Nothing hurts any more: let all that was submitted come to its end."""
    give_up = time.monotonic() + END_SECONDS
    stream.submitting.clear()
    quiet = 0
    while time.monotonic() < give_up:
        stream.check()
        submissions, waiting = stream.ledger.all(), stream.ledger.open()
        progress("waiting for the last jobs", len(submissions) - len(waiting), len(submissions))
        # Twice: one of the users may have been about to do something.
        quiet = quiet + 1 if not waiting and stream.idle else 0
        if quiet == 2:
            return
        time.sleep(1.0)
    for line in checks.unfinished(stream.ledger):
        stream.ledger.broken("no job is stuck", line)


def _check(it: Installation, stream: Stream, wanted: Plan, progress: Progress) -> None:
    ledger = stream.ledger
    progress("waiting for Redis to be empty", 0, 1)
    if wanted.wait_for_redis:
        options = Broker.connect(it.settings).celery.conf.broker_transport_options
        checks.check_redis(it, ledger, time.monotonic() + 2 * options["visibility_timeout"])
    else:
        checks.check_unfinished_messages(it, ledger)
    checks.check_database(it, ledger)
    submissions = ledger.all()
    progress("computing what is right", 0, 1)
    with it.database.reading() as session:
        ref = ModelRef.parse(model_versions.list_aliases(session)[model_versions.PRODUCTION])
    expected = expectations(it.settings, ref, (p for s in submissions for p in s.pictures))
    done, total = 0, sum(len(submission.pictures) for submission in submissions)
    client = Client(stream.url, ledger, stream.shelf, threading.Event())
    for submission in submissions:
        # Once more, after everything: what is over must have stayed as it was.
        client.look(submission)
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
    """Of recovery times; one that never came counts as infinite."""
    known = [float("inf") if value is None else value for value in values]
    return statistics.median(known), max(known)


def to_json(result: Result) -> dict[str, Any]:
    """What is kept of a result."""
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
        "own_deaths": {name: len(codes) for name, codes in result.own_deaths.items()},
        "recoveries": [
            {"fault": one.fault, "answering": _rounded(one.answering), "settled": _rounded(one.settled)}
            for one in result.recoveries
        ],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
