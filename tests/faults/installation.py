"""The whole service in real processes, started one by one, as on several machines."""

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
from tests.conftest import free_port
from tests.faults.processes import Process, Supervisor
from tests.faults.proxy import Proxies, Proxy
from tests.faults.servers import PostgreSQL, SmallDisk, redis_answers, redis_process, wait_until

DatabaseKind = Literal["sqlite", "postgresql"]

LEASE_SECONDS = 5
"""A short lease, in seconds, because the campaign often has to wait until a lease ends."""
READY_SECONDS = 120.0
WORKERS = ("worker-1", "worker-2")
_COMMANDS = {
    "worker-1": ("worker",),
    "worker-2": ("worker",),
    "ingest": ("worker", "--queues", "search,fetch_interactive,fetch,fetch_low,ingest", "--concurrency", "8"),
    "crawler": ("worker", "--queues", "crawl", "--concurrency", "1"),
    "maintenance": ("worker", "--queues", "maintenance", "--concurrency", "2"),
    "beat": ("beat",),
    "api": ("api",),
}


@dataclass(slots=True)
class Installation:
    """The processes of a campaign, by name, and the ways to hurt them."""

    kind: DatabaseKind
    folder: Path
    settings: Settings
    """The settings of the campaign itself, which reaches Redis without a proxy."""
    database: Database
    redis: Redis
    supervisor: Supervisor
    processes: dict[str, Process] = field(default_factory=dict)
    wires: dict[str, Proxy] = field(default_factory=dict)
    """The connection of each process of the service to Redis."""
    disk: SmallDisk | None = None
    """None where this user may not mount file systems."""
    _stack: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def start(cls, kind: DatabaseKind, rng: random.Random, lease_seconds: float) -> Installation:
        """Start all processes and return when the service is ready."""
        stack = ExitStack()
        try:
            return cls._start(kind, rng, lease_seconds, stack)
        except BaseException:
            stack.close()
            raise

    @classmethod
    def _start(cls, kind: DatabaseKind, rng: random.Random, lease_seconds: float, stack: ExitStack) -> Installation:
        folder = Path(tempfile.mkdtemp(prefix="lookbook-faults-"))
        # PostgreSQL runs as another user if the tests run as root, and that user has to reach its folder.
        folder.chmod(0o755)
        supervisor = Supervisor(random.Random(rng.random()))
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
            lease_seconds=lease_seconds,
        )
        installation = cls(
            kind,
            folder,
            settings,
            Database(database_url),
            connection,
            supervisor,
            processes,
            disk=_disk(settings, stack),
        )
        stack.callback(installation.database.close)
        installation._start_service(redis_port, stack)
        installation._stack = stack
        return installation

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
        # The stack runs this first, so the processes end before their proxies do.
        stack.callback(self.supervisor.stop)
        wait_until(self._ready, "the service is ready", READY_SECONDS)

    def _environment(self, name: str, redis_port: int) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("LOOKBOOK_")}
        return {
            **inherited,
            "PYTHONPATH": os.pathsep.join([str(PROJECT), str(Path(__file__).parent / "clock")]),
            "PYTHONUNBUFFERED": "1",
            "LOOKBOOK_FAULT_CLOCK": str(self.folder / "clock" / name),
            "LOOKBOOK_HOME": str(self.settings.home),
            "LOOKBOOK_PORT": str(self.settings.port),
            "LOOKBOOK_DATABASE_URL": self.settings.database_url,
            "LOOKBOOK_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            "LOOKBOOK_LEASE_SECONDS": str(self.settings.lease_seconds),
            "LOOKBOOK_SWEEP_SECONDS": "1",
            "LOOKBOOK_DECODERS": "1",
            # The shelf is a server on loopback. The delay makes crawls last until a fault strikes.
            "LOOKBOOK_FETCH_ALLOW": "127.0.0.0/8",
            "LOOKBOOK_CRAWL_DELAY": "0.05",
            # Small chunks take long enough in total that one is in progress when a fault strikes.
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
        """Make the clock of one process of the service jump."""
        (self.folder / "clock" / name).write_text(str(seconds_ahead))

    def stop(self) -> list[str]:
        """Stop all processes and return the names of those that had to be killed. Logs stay in `folder`."""
        if self.disk is not None:
            self.disk.free()
        for wire in self.wires.values():
            wire.heal()
        killed = self.supervisor.stop()
        self._stack.close()
        return killed


def _disk(settings: Settings, stack: ExitStack) -> SmallDisk | None:
    try:
        disk = SmallDisk(settings.blobs_folder)
    except (PermissionError, FileNotFoundError):
        return None
    stack.callback(disk.unmount)
    return disk
