"""The kinds of fault, and the choice of faults for a campaign from its seed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from broker.client import Broker
from core.messages import ChunkMessage
from db.steps.chunks import queue_of
from db.tables import Chunk, Job
from tests.faults.installation import WORKERS, DatabaseKind, Installation
from tests.faults.proxy import Cut
from tests.faults.servers import wait_until

Strike = Callable[[Installation, random.Random], None]
"""Does the fault and returns when it has ended. The supervisor restarts what was killed."""

OUTAGE_SECONDS = (1.5, 6.0)
"""Shortest and longest time in which connections stay cut and disks stay full."""
CLOCK_JUMP_SECONDS = (600.0, 4 * 3600.0)
_CLOCK_WRONG_SECONDS = (3.0, 8.0)
_CRAWL_SECONDS = 10.0
_SERVICE_PROCESSES = (*WORKERS, "ingest", "crawler", "maintenance", "beat", "api")
"""The processes of the service, without Redis and the database."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault."""

    name: str
    strike: Strike
    only: DatabaseKind | None = None
    needs_disk: bool = False


def _killed(*names: str) -> Strike:
    def strike(installation: Installation, rng: random.Random) -> None:
        process = installation.processes[rng.choice(names)]
        wait_until(lambda: process.alive, f"{process.name} runs")
        process.kill()

    return strike


def _child_killed(*names: str) -> Strike:
    def strike(installation: Installation, rng: random.Random) -> None:
        process = installation.processes[rng.choice(names)]
        wait_until(lambda: bool(process.children()), f"{process.name} has children")
        # multiprocessing starts a resource tracker as well, which does no work.
        children = [child for child in process.children() if "resource_tracker" not in " ".join(child.cmdline())]
        if children:
            rng.choice(children).kill()

    return strike


def _kill_crawl(installation: Installation, rng: random.Random) -> None:
    """Kill one of the running crawls, if one runs within `_CRAWL_SECONDS`."""
    process, give_up = installation.processes["crawler"], time.monotonic() + _CRAWL_SECONDS
    while not (crawls := process.children()) and time.monotonic() < give_up:
        time.sleep(0.05)
    if crawls:
        rng.choice(crawls).kill()


def _stop_worker(installation: Installation, rng: random.Random) -> None:
    process = installation.processes[rng.choice(WORKERS)]
    wait_until(lambda: process.alive, f"{process.name} runs")
    process.freeze()
    time.sleep(installation.settings.lease_seconds + rng.uniform(1, 4))
    process.thaw()


def _empty_redis(installation: Installation, _: random.Random) -> None:
    installation.redis.flushall()


def _kill_postgresql(installation: Installation, _: random.Random) -> None:
    installation.processes["postgresql"].kill_group()


def _cut(how: Cut) -> Strike:
    def strike(installation: Installation, rng: random.Random) -> None:
        # The network of all machines fails, or that of one.
        affected = _SERVICE_PROCESSES if rng.random() < 0.3 else [rng.choice(_SERVICE_PROCESSES)]
        for name in affected:
            installation.wires[name].cut(how)
        if how is not Cut.DROPPED:
            time.sleep(rng.uniform(*OUTAGE_SECONDS))
        for name in affected:
            installation.wires[name].heal()

    return strike


def _fill_disk(installation: Installation, rng: random.Random) -> None:
    assert installation.disk is not None
    installation.disk.fill()
    time.sleep(rng.uniform(*OUTAGE_SECONDS))
    installation.disk.free()


def _deliver_twice(installation: Installation, _chance: random.Random) -> None:
    """Send the messages of all chunks that are queued or held by a worker twice more."""
    with installation.database.reading() as session:
        query = select(Chunk.id, Chunk.job_id, Chunk.stage, Job.priority).join(Job, Job.id == Chunk.job_id)
        messages = [
            ChunkMessage(id_, job, queue_of(stage, priority)) for id_, job, stage, priority in session.execute(query)
        ]
    broker = Broker.connect(installation.settings)
    for _ in range(2):
        broker.send(messages)
    broker.close()


def _jump(sign: int) -> Strike:
    def strike(installation: Installation, rng: random.Random) -> None:
        # With SQLite all processes share one machine and its clock. With PostgreSQL they may run on several machines.
        affected = _SERVICE_PROCESSES if installation.kind == "sqlite" else [rng.choice(_SERVICE_PROCESSES)]
        seconds = sign * rng.uniform(*CLOCK_JUMP_SECONDS)
        for name in affected:
            installation.set_clock(name, seconds)
        time.sleep(rng.uniform(*_CLOCK_WRONG_SECONDS))
        for name in affected:
            installation.set_clock(name, 0)

    return strike


_SINGLE = [
    Fault("worker killed", _killed(*WORKERS)),
    Fault("decoder killed", _child_killed(*WORKERS)),
    Fault("API server killed", _killed("api")),
    Fault("API process killed", _child_killed("api")),
    Fault("beat killed", _killed("beat")),
    Fault("ingest worker killed", _killed("ingest")),
    Fault("crawl worker killed", _killed("crawler")),
    Fault("crawl killed", _kill_crawl),
    Fault("maintenance worker killed", _killed("maintenance")),
    Fault("worker stopped for longer than a lease", _stop_worker),
    Fault("Redis killed, restarted empty", _killed("redis")),
    Fault("Redis emptied (FLUSHALL)", _empty_redis),
    Fault("PostgreSQL killed", _kill_postgresql, only="postgresql"),
    Fault("connections to Redis dropped", _cut(Cut.DROPPED)),
    Fault("connections to Redis refused", _cut(Cut.REFUSED)),
    Fault("Redis connections hang", _cut(Cut.SILENT)),
    Fault("disk full", _fill_disk, needs_disk=True),
    Fault("messages delivered twice", _deliver_twice),
    Fault("clock jumps ahead and back", _jump(1)),
    Fault("clock jumps back and ahead", _jump(-1)),
]


def _two_at_once(installation: Installation, rng: random.Random) -> None:
    for fault in rng.sample(_possible(_SINGLE, installation), 2):
        fault.strike(installation, rng)


FAULTS = {fault.name: fault for fault in [*_SINGLE, Fault("two of these at once", _two_at_once)]}


def _possible(faults: Sequence[Fault], installation: Installation) -> list[Fault]:
    return [
        fault
        for fault in faults
        if fault.only in (None, installation.kind) and not (fault.needs_disk and installation.disk is None)
    ]


def choose_faults(installation: Installation, count: int, rng: random.Random, names: Sequence[str] = ()) -> list[Fault]:
    """Return `count` faults: all kinds that are possible here (or the named ones) in turn, shuffled in each round."""
    kinds = _possible([FAULTS[name] for name in names or FAULTS], installation)
    planned: list[Fault] = []
    while len(planned) < count:
        planned += rng.sample(kinds, len(kinds))
    return planned[:count]


def list_left_out(installation: Installation) -> list[str]:
    """Return the names of the kinds of this database that this machine does not allow."""
    possible = _possible(list(FAULTS.values()), installation)
    return [
        fault.name for fault in FAULTS.values() if fault.only in (None, installation.kind) and fault not in possible
    ]
