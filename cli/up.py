"""`lookbook up`: run the whole service on one machine, and restart processes that die."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx

from api.exposure import check_exposure
from broker.client import Broker, worker_suffix
from broker.servers import check_servers
from cli.output import SafeConsole
from cli.redis_server import EmbeddedRedis
from cli.registry import register_models, replace_missing_production
from cli.supervisor import Child, Supervisor
from core.clock import utc_now
from core.errors import AlreadyRunning, BrokerUnavailable, PortTaken
from core.private_files import make_private
from core.settings import Settings
from db.blobs.opening import remove_unfinished_uploads
from db.database import TRANSIENT_ERRORS, Database
from db.migrate import upgrade
from db.steps.leasing import CHUNK_LEASES, SOURCE_LEASES

REDIS_SECONDS = 10.0
"""Seconds that the embedded Redis may take until it answers."""

console = SafeConsole(highlight=False, soft_wrap=True)


def run(settings: Settings) -> None:
    """Start the service, print `ready` when it is, keep it running until a signal comes, and stop it.

    Raises:
        AlreadyRunning, PortTaken, SettingsError, UnsupportedVersion: the service cannot run. Nothing was started.
    """
    check_exposure(settings)
    check_servers(settings)
    with ExitStack() as stack:
        stack.enter_context(_lock_home(settings.home))
        _check_port(settings)
        _prepare_folders(settings)
        embedded_redis: dict[str, str] = {}
        redis_command = None
        if not settings.redis_url:
            redis = EmbeddedRedis()
            stack.callback(redis.remove)
            settings = settings.model_copy(update={"redis_url": redis.url})
            embedded_redis = {"LOOKBOOK_REDIS_URL": redis.url}
            redis_command = redis.command()
        database = Database(settings.resolved_database_url)
        stack.callback(database.close)
        _prepare_database(settings, database)
        environment = _environment(settings, embedded_redis)
        supervisor = Supervisor(settings.home / "logs", environment, console, settings.log_bytes)
        stack.callback(supervisor.stop)
        _run_until_stopped(settings, database, supervisor, redis_command)


def _run_until_stopped(
    settings: Settings, database: Database, supervisor: Supervisor, redis_command: list[str] | None
) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.ask_to_stop())
    broker = Broker.connect(settings)

    def worker_died(process_id: int) -> None:
        # End the leases of the dead worker, so that its chunks need not wait until the leases expire. If the database
        # does not answer, they do wait.
        with suppress(*TRANSIENT_ERRORS), database.writing() as session:
            CHUNK_LEASES.end_leases(session, utc_now(), worker=worker_suffix(process_id))
            SOURCE_LEASES.end_leases(session, utc_now(), worker=worker_suffix(process_id))

    if redis_command is not None:
        supervisor.start(Child("redis", redis_command))
        _wait_for_redis(broker, supervisor)
    lookbook_command = [sys.executable, "-m", "cli"]
    supervisor.start(Child("worker", [*lookbook_command, "worker"], on_death=worker_died))
    # Downloads have a worker of their own, because maintenance must not wait behind slow ones.
    ingest = ["--queues", "search,fetch_interactive,fetch,fetch_low,ingest", "--concurrency", "8"]
    supervisor.start(Child("ingest", [*lookbook_command, "worker", *ingest], on_death=worker_died))
    crawls = ["--queues", "crawl", "--concurrency", "1"]
    supervisor.start(Child("crawler", [*lookbook_command, "worker", *crawls], on_death=worker_died))
    supervisor.start(
        Child("maintenance", [*lookbook_command, "worker", "--queues", "maintenance", "--concurrency", "2"])
    )
    supervisor.start(Child("beat", [*lookbook_command, "beat"]))
    supervisor.start(Child("api", [*lookbook_command, "api"]))
    if _wait_until_ready(settings, supervisor):
        console.print(f"ready {settings.url}", style="bold green")
        console.print(f"logs  {settings.home / 'logs'}   (Ctrl-C stops)", style="dim")
    supervisor.watch()
    console.print("stopping", style="dim")


@contextmanager
def _lock_home(home: Path) -> Iterator[None]:
    """Hold the lock of the data folder.

    Raises:
        AlreadyRunning: another `lookbook up` holds it.
    """
    make_private(home)
    with (home / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise AlreadyRunning(
                f"another `lookbook up` (process {holder}) already works on {home}; "
                "stop it, or choose another folder with LOOKBOOK_HOME"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _check_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # gunicorn sets this option, too. With it, a port counts as free while its last connections are closing.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise PortTaken(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
                "choose another port with LOOKBOOK_PORT"
            ) from error


def _prepare_folders(settings: Settings) -> None:
    (settings.home / "logs").mkdir(parents=True, exist_ok=True)
    # The lock is held, so no other process can be writing these files.
    remove_unfinished_uploads(settings)


def _prepare_database(settings: Settings, database: Database) -> None:
    upgrade(database)
    with database.writing() as session:
        # No worker of an earlier run is alive any more.
        CHUNK_LEASES.end_leases(session, utc_now())
        SOURCE_LEASES.end_leases(session, utc_now())
    present = register_models(
        settings,
        database,
        lambda error: console.print(f"a model is left out: {error.detail}", style="yellow", markup=False),
    )
    if not present:
        console.print(f"no valid model artifacts in {settings.models}: pictures cannot be classified", style="yellow")
    replacement = replace_missing_production(database, present)
    if replacement is not None:
        console.print(
            f"the production model is missing from {settings.models}: {replacement} replaces it", style="yellow"
        )


def _environment(settings: Settings, embedded_redis: dict[str, str]) -> dict[str, str]:
    """Return the environment of the child processes: this one, with the settings that were decided here."""
    return {
        **os.environ,
        **embedded_redis,
        "LOOKBOOK_HOME": str(settings.home),
        "LOOKBOOK_NO_AUTH": str(settings.no_auth).lower(),
        "PYTHONUNBUFFERED": "1",
    }


def _wait_for_redis(broker: Broker, supervisor: Supervisor) -> None:
    """Wait until Redis answers.

    Raises:
        BrokerUnavailable: it did not answer within `REDIS_SECONDS`, or a signal came first.
    """
    deadline = time.monotonic() + REDIS_SECONDS
    while True:
        try:
            broker.ping()
        except BrokerUnavailable:
            if time.monotonic() > deadline or not supervisor.pause(0.05):
                raise
        else:
            return


def _wait_until_ready(settings: Settings, supervisor: Supervisor) -> bool:
    """Wait until `/readyz` answers, and restart processes that die meanwhile. Return False if a signal came first."""
    with httpx.Client(base_url=settings.url, trust_env=False, timeout=5.0) as http:
        while supervisor.pause(0.1):
            supervisor.restart_dead()
            try:
                if http.get("/readyz").status_code == httpx.codes.OK:
                    return True
            except httpx.TransportError:
                continue
    return False
