"""A service whose Redis and PostgreSQL demand TLS, passwords and an ACL, with its secrets in files."""

from __future__ import annotations

import io
import os
import re
import secrets
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry
from sqlalchemy.exc import OperationalError

from api.identity.sessions import SESSION_COOKIE
from broker.client import Broker
from cli.redis_server import EmbeddedRedis
from core.errors import BrokerUnavailable
from core.settings import PROJECT, Settings
from db.database import Database
from tests.conftest import SAMPLES, RunningService, answers, find_process, ready_service, until
from tests.jobs import run_job
from tests.tls import TlsEnd, accept_postgresql, make_certificate

PASSWORD = secrets.token_urlsafe(18)
NAME = "lookbook_secured"
FORBIDDEN: list[tuple[str, ...]] = [
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "dir", "/"),
    ("KEYS", "*"),
    ("SHUTDOWN",),
    ("SAVE",),
    ("DEBUG", "SLEEP", "0"),
    ("MONITOR",),
    ("REPLICAOF", "evil.example", "6379"),
    ("MODULE", "LOAD", "/evil.so"),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "lookbook", "+@all"),
    ("CLIENT", "LIST"),
    ("EVAL", "return 1", "0"),
    ("SCRIPT", "FLUSH"),
    ("SET", "key-of-others", "1"),
    ("GET", "key-of-others"),
    ("PUBLISH", "channel-of-others", "1"),
]


@dataclass(frozen=True)
class Secured:
    """A running service, and the URLs with which it reaches its servers."""

    service: RunningService
    environment: dict[str, str]
    database_url: str
    redis_url: str
    administrator: Redis


def acl() -> str:
    """Return the ACL file of docs/operations.md with a password."""
    text = (PROJECT / "docs" / "operations.md").read_text("utf-8")
    found = re.search(r"```text\n(user default off\n.*?)```", text, re.DOTALL)
    assert found
    return found.group(1).replace("PASSWORD", PASSWORD) + "user administrator on nopass ~* &* +@all\n"


@contextmanager
def redis_with_acl(folder: Path) -> Iterator[tuple[EmbeddedRedis, Redis]]:
    (folder / "users.acl").write_text(acl(), "utf-8")
    embedded = EmbeddedRedis()
    command = [*embedded.command(), "--aclfile", str(folder / "users.acl")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    retry = Retry(ConstantBackoff(0.02), 500)
    url = embedded.url.replace("unix://", "unix://administrator:none@")
    administrator = Redis.from_url(url, retry=retry, retry_on_error=[ConnectionError])
    administrator.ping()
    yield embedded, administrator
    administrator.close()
    process.terminate()
    process.wait()
    embedded.remove()


def make_role(server: str) -> Path:
    """Make a role that needs its password, and a database of its own. Return the socket of the server."""
    with psycopg.connect(server, autocommit=True) as connection:
        role = Identifier(NAME)
        connection.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, Literal(PASSWORD)))
        connection.execute(SQL("CREATE DATABASE {} OWNER {}").format(role, role))
        (rules,) = connection.execute("SHOW hba_file").fetchone() or ("",)
        before = Path(rules).read_text("utf-8")
        with Path(rules).open("r+", encoding="utf-8") as file:
            file.write(f"local {NAME} {NAME} scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        (folder,) = connection.execute("SHOW unix_socket_directories").fetchone() or ("",)
        (port,) = connection.execute("SHOW port").fetchone() or ("",)
    return Path(folder) / f".s.PGSQL.{port}"


@pytest.fixture(scope="module")
def secured(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    certificate = make_certificate(folder / "localhost.pem", "localhost")
    with ExitStack() as stack:
        embedded, administrator = stack.enter_context(redis_with_acl(folder))
        redis_end = TlsEnd(embedded.socket, certificate)
        stack.callback(redis_end.close)
        database_end = TlsEnd(make_role(postgres_server), certificate, accept_postgresql)
        stack.callback(database_end.close)
        urls = {
            "LOOKBOOK_DATABASE_URL": f"postgresql+psycopg://{NAME}:{PASSWORD}@localhost:{database_end.port}/{NAME}"
            f"?sslmode=verify-full&sslrootcert={certificate}",
            "LOOKBOOK_REDIS_URL": f"rediss://lookbook:{PASSWORD}@localhost:{redis_end.port}/0?ssl_ca_certs={certificate}",
        }
        environment = {"LOOKBOOK_API_PROCESSES": "2", "LOOKBOOK_FETCH_ALLOW": "127.0.0.0/8"}
        for name, url in urls.items():
            (folder / name).write_text(url + "\n", "utf-8")
            environment |= {name: "", f"{name}_FILE": str(folder / name)}
        service = stack.enter_context(ready_service(folder / "home", **environment))
        yield Secured(service, environment, urls["LOOKBOOK_DATABASE_URL"], urls["LOOKBOOK_REDIS_URL"], administrator)


@pytest.fixture(scope="module")
def key(secured: Secured) -> str:
    command = [sys.executable, "-m", "cli", "keys", "create", "operator", "--scope", "admin"]
    environment = {**os.environ, "LOOKBOOK_HOME": str(secured.service.home), **secured.environment}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    with httpx.Client(base_url=secured.service.url, trust_env=False) as http:
        until(lambda: http.get("/v1/jobs").status_code == 401)
    return done.stdout.strip()


@pytest.fixture
def http(secured: Secured, key: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=secured.service.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def zipped(path: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(path, path.name)
    return packed.getvalue()


def test_whole_jobs_run_with_the_acl_of_the_documentation(secured: Secured, http: httpx.Client) -> None:
    files = [("images", (path.name, path.read_bytes())) for path in sorted(SAMPLES.iterdir())]
    job = run_job(http, files=files)
    assert job["counts"]["succeeded"] == len(files)
    item = http.get(job["links"]["items"]).json()["data"][0]["id"]
    assert http.get(f"/v1/items/{item}/explanation").status_code == 200
    run_job(http, files=[("archive", ("a.zip", zipped(SAMPLES / "dress-green.jpg")))])
    run_job(http, json={"items": [{"url": f"{secured.service.url}/samples/dress-green.jpg"}]})
    run_job(http, json={"crawl": {"start_urls": [f"{secured.service.url}/healthz"]}})
    preview = http.post("/v1/previews", json={"url": f"{secured.service.url}/docs"})
    assert preview.status_code == 202
    until(lambda: http.get(preview.headers["Location"]).json()["state"] != "running")
    assert http.get("/metrics").status_code == 200
    secured.administrator.lpush("bulk", "no message")
    until(lambda: secured.administrator.get("lookbook:dead-letters:count") == b"1")
    denied = {entry["object"] for entry in secured.administrator.acl_log() if entry["username"] == "lookbook"}
    # redis-py tries a subcommand of CLIENT that only newer servers have, and goes on without it.
    assert denied <= {"client"}


def test_the_user_of_the_service_can_neither_empty_nor_configure_redis(secured: Secured) -> None:
    with Redis.from_url(secured.redis_url) as service_user:
        service_user.set("lookbook:run:test", "1", ex=1)
        for command in FORBIDDEN:
            # Redis 7 refuses a protected command of a TCP client (DEBUG, MODULE) before it asks the ACL.
            with pytest.raises(ResponseError, match=r"(?i)no permissions|command not allowed"):
                service_user.execute_command(*command)
    secured.administrator.acl_log_reset()


@pytest.mark.parametrize(
    ("old", "new"),
    [(PASSWORD, "wrong"), ("?ssl_ca_certs=", "#"), ("rediss://", "redis://"), ("localhost", "127.0.0.1")],
    ids=["password", "certificate", "no TLS", "host name"],
)
def test_redis_is_used_only_with_the_right_password_and_certificate(
    secured: Secured, tmp_path: Path, old: str, new: str
) -> None:
    changed = secured.redis_url.replace(old, new).partition("#")[0]
    if changed.startswith("redis://"):
        changed = changed.partition("?")[0]
    broker = Broker.connect(Settings(home=tmp_path, redis_url=changed))
    with pytest.raises(BrokerUnavailable):
        broker.ping()
    broker.close()
    connection = broker.celery.connection_for_write()
    with pytest.raises(connection.connection_errors):
        connection.ensure_connection(max_retries=0, timeout=5, reraise_as_library_errors=False)
    connection.release()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (PASSWORD, "wrong"),
        ("verify-full", "disable"),
        ("@localhost", "@127.0.0.1"),
        ("&sslrootcert=", "&application_name="),
    ],
    ids=["password", "no TLS", "host name", "certificate"],
)
def test_postgresql_is_used_only_with_the_right_password_and_certificate(secured: Secured, old: str, new: str) -> None:
    database = Database(secured.database_url.replace(old, new))
    with pytest.raises(OperationalError):
        database.ping()
    database.close()


def test_no_secret_is_in_a_log_or_in_a_list_of_processes(secured: Secured, key: str, http: httpx.Client) -> None:
    http.post("/session", json={"key": key + "x"})
    secrets_of_it = (PASSWORD, key.rpartition("_")[2])
    service = secured.service
    processes = psutil.Process(service.process.pid).children(recursive=True)
    written = ["\n".join(service.lines), *(path.read_text("utf-8") for path in (service.home / "logs").iterdir())]
    shown = written + [" ".join(process.cmdline()) for process in processes]
    assert len(shown) > 12
    assert [text for text in shown for secret in secrets_of_it if secret in text] == []


@contextmanager
def only(process: psutil.Process, processes: list[psutil.Process]) -> Iterator[None]:
    """Let only one of the processes of the API answer."""
    others = [other for other in processes if other.pid != process.pid]
    for other in others:
        other.suspend()
    yield
    for other in others:
        other.resume()


def test_signing_out_ends_a_session_in_all_processes_and_after_a_restart(secured: Secured, key: str) -> None:
    service = secured.service
    api = find_process(service, "cli", "api")
    processes = api.children()
    assert len(processes) == 2

    def status(cookie: str) -> int:
        cookies = {SESSION_COOKIE: cookie}
        return httpx.get(f"{service.url}/v1/jobs", cookies=cookies, timeout=60, trust_env=False).status_code

    def signed_in() -> str:
        answer = httpx.post(f"{service.url}/session", json={"key": key}, timeout=60, trust_env=False)
        return str(answer.cookies[SESSION_COOKIE])

    ended, kept = signed_in(), signed_in()
    for process in processes:
        with only(process, processes):
            assert (status(ended), status(kept)) == (200, 200)
    with only(processes[0], processes):
        cookies = {SESSION_COOKIE: ended}
        assert httpx.delete(f"{service.url}/session", cookies=cookies, timeout=60, trust_env=False).status_code == 204
    for process in processes:
        with only(process, processes):
            assert (status(ended), status(kept)) == (401, 200)
    api.kill()
    service.wait_for_line("api died")
    # The processes of the killed one answer, and break connections, until they have noticed its end.
    assert not psutil.wait_procs(processes, timeout=60)[1]
    with httpx.Client(base_url=service.url, trust_env=False) as http:
        until(lambda: answers(http, "/readyz"))
    assert (status(ended), status(kept)) == (401, 200)
