"""The whole service in real processes, started one by one, as on many machines."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
from redis import Redis

from core.settings import PROJECT, Settings
from db.database import Database
from tests.faults.processes import Process, Supervisor
from tests.faults.proxy import Proxies, Proxy
from tests.faults.servers import PostgreSQL, SmallDisk, free_port, redis_answers, redis_process, wait_until

DatabaseKind = Literal["sqlite", "postgresql"]

LEASE_SECONDS = 5
"""The shortest that the settings allow, so that the campaign need not wait long for leases to run out."""
READY_SECONDS = 120.0
WORKERS = ("worker-1", "worker-2")
_COMMANDS = {
    "worker-1": ("worker",),
    "worker-2": ("worker",),
    "ingest": ("worker", "--queues", "fetch_interactive,fetch,fetch_low,ingest", "--concurrency", "8"),
    "crawler": ("worker", "--queues", "crawl", "--concurrency", "1"),
    "maintenance": ("worker", "--queues", "maintenance", "--concurrency", "2"),
    "beat": ("beat",),
    "api": ("api",),
}


@dataclass(slots=True)
class Installation:
    """Everything that runs, by name, and the ways to hurt it."""

    kind: DatabaseKind
    folder: Path
    settings: Settings
    """Of whoever looks on: Redis is reached without a proxy."""
    database: Database
    redis: Redis
    supervisor: Supervisor
    processes: dict[str, Process] = field(default_factory=dict)
    wires: dict[str, Proxy] = field(default_factory=dict)
    """The connection of each of our processes to Redis."""
    disk: SmallDisk | None = None
    """None where this user may not mount anything."""
    _stack: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def start(cls, kind: DatabaseKind, chance: random.Random) -> Installation:
        """Start everything; returns once it is ready."""
        stack = ExitStack()
        try:
            return cls._start(kind, chance, stack)
        except BaseException:
            stack.close()
            raise

    @classmethod
    def _start(cls, kind: DatabaseKind, chance: random.Random, stack: ExitStack) -> Installation:
        folder = Path(tempfile.mkdtemp(prefix="lookbook-faults-"))
        # PostgreSQL runs as another user where we are root, and has to get to its own folder.
        folder.chmod(0o755)
        supervisor = Supervisor(random.Random(chance.random()))
        stack.callback(supervisor.stop)
        redis_port, database_url = free_port(), f"sqlite:///{folder / 'home' / 'lookbook.db'}"
        processes = {"redis": supervisor.start(redis_process(folder, redis_port))}
        if kind == "postgresql":
            server = PostgreSQL(folder)
            processes["postgresql"] = supervisor.start(server.process(folder / "postgresql.log"))
            wait_until(server.answers, "PostgreSQL answers")
            database_url = server.url
        connection = Redis(port=redis_port, socket_timeout=5.0)
        stack.callback(connection.close)
        wait_until(lambda: redis_answers(connection), "Redis answers")
        settings = Settings(
            home=folder / "home",
            port=free_port(),
            database_url=database_url,
            redis_url=f"redis://127.0.0.1:{redis_port}/0",
            lease_seconds=LEASE_SECONDS,
        )
        made = cls(
            kind,
            folder,
            settings,
            Database(database_url),
            connection,
            supervisor,
            processes,
            disk=_disk(settings, stack),
        )
        stack.callback(made.database.close)
        made._start_service(redis_port, stack)
        made._stack = stack
        return made

    def _start_service(self, redis_port: int, stack: ExitStack) -> None:
        proxies = Proxies()
        stack.callback(proxies.close)
        (self.folder / "clock").mkdir()
        environment = self._environment("upgrade", redis_port)
        subprocess.run(
            [sys.executable, "-m", "cli", "db", "upgrade"],
            cwd=PROJECT,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for name, arguments in _COMMANDS.items():
            wire = self.wires[name] = proxies.open(redis_port)
            command = [sys.executable, "-m", "cli", *arguments]
            process = Process(name, command, self._environment(name, wire.port), self.folder / f"{name}.log")
            self.processes[name] = self.supervisor.start(process)
        # Processes first, then the wires that they speak through.
        stack.callback(self.supervisor.stop)
        wait_until(self._ready, "the service is ready", READY_SECONDS)

    def _environment(self, name: str, redis_port: int) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("LOOKBOOK_")}
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join([str(PROJECT), str(Path(__file__).parent / "clock")]),
            "PYTHONUNBUFFERED": "1",
            "LOOKBOOK_FAULT_CLOCK": str(self.folder / "clock" / name),
            "LOOKBOOK_HOME": str(self.settings.home),
            "LOOKBOOK_PORT": str(self.settings.port),
            "LOOKBOOK_DATABASE_URL": self.settings.database_url,
            "LOOKBOOK_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "LOOKBOOK_LEASE_SECONDS": str(LEASE_SECONDS),
            "LOOKBOOK_SWEEP_SECONDS": "1",
            "LOOKBOOK_DECODERS": "1",
            # Where the shelf is; it does not mind being asked quickly, but crawls should last until a fault strikes.
            "LOOKBOOK_FETCH_ALLOW": "127.0.0.0/8",
            "LOOKBOOK_CRAWL_DELAY": "0.05",
            # Small chunks: there is always one under way when a fault strikes.
            "LOOKBOOK_CHUNK_SIZE": "32",
            "LOOKBOOK_API_PROCESSES": "2",
            "LOOKBOOK_API_THREADS": "8",
        }

    def _ready(self) -> bool:
        try:
            answer = httpx.get(f"{self.settings.url}/readyz", trust_env=False, timeout=5.0)
        except httpx.TransportError:
            return False
        return answer.is_success and len(answer.json()["workers"]) == len(WORKERS) + 3

    def set_clock(self, name: str, seconds_ahead: float) -> None:
        """Have the clock of one of our processes jump."""
        (self.folder / "clock" / name).write_text(str(seconds_ahead))

    def stop(self) -> list[str]:
        """End everything; the names of processes that had to be killed. Logs stay in `folder`."""
        if self.disk is not None:
            self.disk.free()
        for wire in self.wires.values():
            wire.heal()
        stubborn = self.supervisor.stop()
        self._stack.close()
        return stubborn


def _disk(settings: Settings, stack: ExitStack) -> SmallDisk | None:
    try:
        disk = SmallDisk(settings.blobs_folder)
    except (PermissionError, FileNotFoundError):
        return None
    stack.callback(disk.unmount)
    return disk
