"""The faults: what can happen to an installation, and which of it happens when, from a seed."""

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
from tests.faults.installation import LEASE_SECONDS, WORKERS, DatabaseKind, Installation
from tests.faults.proxy import Cut
from tests.faults.servers import wait_until

Strike = Callable[[Installation, random.Random], None]
"""Does it, and returns when it is over (what is killed is started again by the keeper)."""

OUTAGE_SECONDS = (1.5, 6.0)
"""How long wires stay cut and disks stay full."""
CLOCK_JUMP_SECONDS = (600.0, 4 * 3600.0)
_CLOCK_WRONG_SECONDS = (3.0, 8.0)
_CRAWL_SECONDS = 10.0
_OURS = (*WORKERS, "ingest", "crawler", "maintenance", "beat", "api")
"""The processes that are neither Redis nor the database."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault."""

    name: str
    strike: Strike
    only: DatabaseKind | None = None
    needs_disk: bool = False


def _killed(*names: str) -> Strike:
    def strike(it: Installation, chance: random.Random) -> None:
        process = it.processes[chance.choice(names)]
        wait_until(lambda: process.alive, f"{process.name} runs")
        process.kill()

    return strike


def _child_killed(*names: str) -> Strike:
    def strike(it: Installation, chance: random.Random) -> None:
        process = it.processes[chance.choice(names)]
        wait_until(lambda: bool(process.children()), f"{process.name} has children")
        # Spawned Python processes have a helper beside them that does no work.
        children = [child for child in process.children() if "resource_tracker" not in " ".join(child.cmdline())]
        if children:
            chance.choice(children).kill()

    return strike


def _kill_crawl(it: Installation, chance: random.Random) -> None:
    """One of the crawls that are under way, if there is one before long."""
    process, give_up = it.processes["crawler"], time.monotonic() + _CRAWL_SECONDS
    while not (crawls := process.children()) and time.monotonic() < give_up:
        time.sleep(0.05)
    if crawls:
        chance.choice(crawls).kill()


def _stop_worker(it: Installation, chance: random.Random) -> None:
    process = it.processes[chance.choice(WORKERS)]
    wait_until(lambda: process.alive, f"{process.name} runs")
    process.freeze()
    time.sleep(LEASE_SECONDS + chance.uniform(1, 4))
    process.thaw()


def _empty_redis(it: Installation, _: random.Random) -> None:
    it.redis.flushall()


def _kill_postgresql(it: Installation, _: random.Random) -> None:
    it.processes["postgresql"].kill_group()


def _cut(how: Cut) -> Strike:
    def strike(it: Installation, chance: random.Random) -> None:
        # One machine's network, or that of all.
        hurt = _OURS if chance.random() < 0.3 else [chance.choice(_OURS)]
        for name in hurt:
            it.wires[name].cut(how)
        if how is not Cut.DROPPED:
            time.sleep(chance.uniform(*OUTAGE_SECONDS))
        for name in hurt:
            it.wires[name].heal()

    return strike


def _fill_disk(it: Installation, chance: random.Random) -> None:
    assert it.disk is not None
    it.disk.fill()
    time.sleep(chance.uniform(*OUTAGE_SECONDS))
    it.disk.free()


def _deliver_twice(it: Installation, _chance: random.Random) -> None:
    """Send again what is under way, queued or in a worker's hands."""
    with it.database.reading() as session:
        query = select(Chunk.id, Chunk.job_id, Chunk.stage, Job.priority).join(Job, Job.id == Chunk.job_id)
        messages = [
            ChunkMessage(id_, job, queue_of(stage, priority)) for id_, job, stage, priority in session.execute(query)
        ]
    broker = Broker.connect(it.settings)
    for _ in range(2):
        broker.send(messages)
    broker.close()


def _jump(sign: int) -> Strike:
    def strike(it: Installation, chance: random.Random) -> None:
        # SQLite means one machine, and that has one clock; with PostgreSQL it is one machine's clock among several.
        hurt = _OURS if it.kind == "sqlite" else [chance.choice(_OURS)]
        seconds = sign * chance.uniform(*CLOCK_JUMP_SECONDS)
        for name in hurt:
            it.set_clock(name, seconds)
        time.sleep(chance.uniform(*_CLOCK_WRONG_SECONDS))
        for name in hurt:
            it.set_clock(name, 0)

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
    Fault("silence between Redis and us", _cut(Cut.SILENT)),
    Fault("disk full", _fill_disk, needs_disk=True),
    Fault("messages delivered twice", _deliver_twice),
    Fault("clock jumps ahead and back", _jump(1)),
    Fault("clock jumps back and ahead", _jump(-1)),
]


def _two_at_once(it: Installation, chance: random.Random) -> None:
    for fault in chance.sample(_possible(_SINGLE, it), 2):
        fault.strike(it, chance)


FAULTS = {fault.name: fault for fault in [*_SINGLE, Fault("two of these at once", _two_at_once)]}


def _possible(faults: Sequence[Fault], it: Installation) -> list[Fault]:
    return [fault for fault in faults if fault.only in (None, it.kind) and not (fault.needs_disk and it.disk is None)]


def plan(it: Installation, count: int, chance: random.Random, names: Sequence[str] = ()) -> list[Fault]:
    """`count` faults: all kinds that are possible here (or those that are named) in turn, shuffled each time."""
    kinds = _possible([FAULTS[name] for name in names or FAULTS], it)
    planned: list[Fault] = []
    while len(planned) < count:
        planned += chance.sample(kinds, len(kinds))
    return planned[:count]


def left_out(it: Installation) -> list[str]:
    """Kinds that belong to this database but cannot be done here."""
    possible = _possible(list(FAULTS.values()), it)
    return [fault.name for fault in FAULTS.values() if fault.only in (None, it.kind) and fault not in possible]
