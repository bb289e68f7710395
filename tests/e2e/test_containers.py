"""docker-compose.yml without Docker: its commands and health checks as processes, and a real nginx in front of them."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from cli.redis_server import find_redis_server
from core.settings import PROJECT
from tests.conftest import SAMPLES, RunningS3, answers, free_port, skip_without, until
from tests.e2e.containers import Containers
from tests.jobs import run_job
from tests.tls import make_certificate

MIB = 2**20
LIMIT = 40 * MIB
CLIENT_REQUESTS = 8
"""Requests of one IP address that nginx passes on at the same time in these tests."""
PROCESSES = ("api", "worker", "ingest", "crawler", "maintenance", "beat")


@dataclass(frozen=True)
class Installation:
    """All processes of the compose file, the key of their administrator, and the paths of the secrets."""

    containers: Containers
    key: str
    secrets: Path
    http: str
    https: str
    certificate: Path


def write_secrets(folder: Path, postgres_server: str, redis_port: int) -> Path:
    """Run the script that writes the secrets, and point the URLs among them to the servers of the tests."""
    secrets = folder / "secrets"
    script = [str(PROJECT / "deploy" / "make_secrets.sh"), str(secrets)]
    subprocess.run(script, check=True, capture_output=True)
    written = {path.name: path.read_bytes() for path in secrets.iterdir()}
    # A second run must keep the secrets that the services already use.
    subprocess.run(script, check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == written
    password = written["postgres_password"].decode().strip()
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE lookbook LOGIN PASSWORD '{password}'".encode())
        connection.execute("CREATE DATABASE lookbook OWNER lookbook")
        (sockets,) = connection.execute("SHOW unix_socket_directories").fetchone() or ("",)
        (port,) = connection.execute("SHOW port").fetchone() or ("",)
    for name, there, here in (
        ("database_url", "@postgres/lookbook", f"@/lookbook?host={sockets}&port={port}"),
        ("redis_url", "@redis:6379/", f"@127.0.0.1:{redis_port}/"),
    ):
        text = written[name].decode()
        assert there in text
        (secrets / name).write_text(text.replace(there, here), "utf-8")
    return secrets


@pytest.fixture(scope="module")
def installation(
    postgres_server: str, shared_s3: RunningS3, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("containers")
    api, redis, http, https, nginx = (free_port() for _ in range(5))
    secrets = write_secrets(folder, postgres_server, redis)
    certificate = make_certificate(secrets / "tls_certificate", "localhost")
    shutil.copy(certificate, secrets / "tls_key")
    (folder / "data").mkdir()
    httpx.put(f"{shared_s3.url}/lookbook", trust_env=False).raise_for_status()
    places = {
        "/run/secrets": str(secrets),
        "/data": str(folder / "data"),
        "/models": str(PROJECT / "models"),
        "http://s3:7070": shared_s3.url,
        "0.0.0.0": "127.0.0.1",
        "http://api:8000": f"http://127.0.0.1:{api}",
        "127.0.0.1:8000": f"127.0.0.1:{api}",
        "listen 127.0.0.1:8081": f"listen 127.0.0.1:{nginx}",
        "listen 8080": f"listen {http}",
        "listen 8443": f"listen {https}",
        "/etc/nginx/lookbook": str(folder / "nginx"),
        "limit_conn clients 1000": f"limit_conn clients {CLIENT_REQUESTS}",
        "redis-server": str(find_redis_server()),
    }
    # As a user would set them in .env.
    variables = {"WORKER_CPUS": "1", "LOOKBOOK_MAX_REQUEST_BYTES": str(LIMIT), "LOOKBOOK_WRONG_KEYS": "3"}
    containers = Containers(folder, places, variables)
    containers.services["api"]["environment"]["LOOKBOOK_PORT"] = str(api)
    containers.services["redis"]["healthcheck"]["test"][2:2] = ["-p", str(redis)]
    try:
        containers.start("redis", "--port", str(redis), "--bind", "127.0.0.1", "--dir", str(folder))
        until(lambda: "Ready to accept" in (folder / "redis.log").read_text("utf-8"))
        done = containers.run("migrate")
        assert done.returncode == 0, done.stderr
        created = containers.run("migrate", ["lookbook", "keys", "create", "operator", "--scope", "admin"])
        assert created.returncode == 0, created.stderr
        for service in PROCESSES:
            containers.start(service)
        yield Installation(
            containers,
            created.stdout.strip(),
            secrets,
            f"http://127.0.0.1:{http}",
            f"https://localhost:{https}",
            certificate,
        )
    finally:
        containers.close()


@pytest.fixture(scope="module")
def proxied(installation: Installation) -> Iterator[httpx.Client]:
    """A client with the key of the administrator, which reaches the API through nginx."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if binary is None:
        skip_without("nginx")
    containers, folder = installation.containers, installation.containers.folder / "nginx"
    folder.mkdir()
    for path in (PROJECT / "deploy" / "nginx").iterdir():
        (folder / path.name).write_text(loopback(containers.here(path.read_text("utf-8"))), "utf-8")
    both = (folder / "http.conf").read_text("utf-8").rstrip().removesuffix("}")
    both += (folder / "https.conf").read_text("utf-8").partition("common.conf;")[2]
    (folder / "both.conf").write_text(both.replace("/dev/stdout", str(folder / "access.log")), "utf-8")
    for name in ("http.conf", "https.conf", "both.conf"):
        checked = subprocess.run([binary, "-t", "-c", str(folder / name)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "-c", str(folder / "both.conf"), "-g", "daemon off;"], stdout=log, stderr=log
        )
    headers = {"Authorization": f"Bearer {installation.key}"}
    try:
        with httpx.Client(base_url=installation.http, headers=headers, timeout=60, trust_env=False) as http:
            until(lambda: answers(http, "/healthz"))
            yield http
    finally:
        process.terminate()
        process.wait(30)


def loopback(text: str) -> str:
    """Return a configuration of nginx whose servers listen on loopback only."""
    return re.sub(r"listen (?=\d+( ssl)?;)", "listen 127.0.0.1:", text)


def test_every_container_becomes_healthy_with_its_own_environment(installation: Installation) -> None:
    containers = installation.containers
    with httpx.Client(base_url=containers.here("http://api:8000"), trust_env=False) as http:
        # Each health check starts a process. Asked in a loop, they would take the processor from the services.
        until(lambda: answers(http, "/readyz") and http.get("/readyz").json()["unserved"] == [], 120)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda service: until(lambda: containers.is_healthy(service)), ("redis", *PROCESSES)))
    for service in ("worker", "ingest", "maintenance", "beat"):
        # The secrets are in files only.
        words = containers.environment(service).values()
        texts = [path.read_text("utf-8").strip() for path in installation.secrets.iterdir()]
        assert not any(text in word for text in texts for word in words)


def test_redis_demands_the_password_for_all_but_a_ping(installation: Installation) -> None:
    url = (installation.secrets / "redis_url").read_text("utf-8").strip()
    port = int(url.rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"
        for command in (b"GET lookbook:x\r\n", b"INFO\r\n", b"FLUSHALL\r\n"):
            connection.sendall(command)
            assert connection.recv(200).startswith(b"-NOPERM")


def test_pictures_of_30_mb_pass_through_nginx_to_their_predictions(proxied: httpx.Client) -> None:
    photo = (SAMPLES / "jacket-denim.jpg").read_bytes()
    files = [("images", (f"{number}.jpg", photo + bytes([number]) * 10 * MIB)) for number in range(3)]
    assert run_job(proxied, files=files)["counts"]["succeeded"] == 3


@pytest.mark.parametrize("chunked", [False, True])
def test_the_api_itself_refuses_a_body_above_its_limit(proxied: httpx.Client, chunked: bool) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
    parts = [head + bytes(10 * MIB) + b"\r\n" for _ in range(LIMIT // MIB // 10 + 1)]
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    if not chunked:
        headers["Content-Length"] = str(sum(map(len, parts)))
    answer = proxied.post("/v1/jobs", content=iter(parts), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-ID"] != "-"


def test_the_api_sees_the_address_and_the_host_of_the_client(installation: Installation, proxied: httpx.Client) -> None:
    assert httpx.get(f"{installation.http}/v1/jobs", trust_env=False).status_code == 401
    origin = {"Origin": "http://shop.example", "Host": "shop.example"}
    sign_in = {"key": installation.key}
    with httpx.Client(base_url=installation.http, trust_env=False) as page:
        assert page.post("/session", headers=origin, json=sign_in).is_success
        foreign = origin | {"Host": "other.example"}
        assert page.post("/session", headers=foreign, json=sign_in).status_code == 403
    wrong = {"Authorization": "Bearer wrong"}
    codes = []
    for address, count in (("127.0.0.1", 5), ("127.0.0.2", 1)):
        with httpx.Client(transport=httpx.HTTPTransport(local_address=address)) as client:
            for number in range(count):
                # The address that a client claims must not count.
                claimed = {"X-Forwarded-For": f"192.0.2.{number}"}
                codes.append(client.get(f"{installation.http}/v1/jobs", headers=wrong | claimed).status_code)
    assert codes[-2:] == [429, 401]


def test_one_address_cannot_hold_all_connections(installation: Installation, proxied: httpx.Client) -> None:
    port = int(installation.http.rpartition(":")[2])
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {installation.key}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    )
    with ExitStack() as stack:
        for _ in range(CLIENT_REQUESTS):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30, ("127.0.0.3", 0)))
            slow.sendall(head.encode())
            assert slow.recv(100).startswith(b"HTTP/1.1 100 ")
        with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.3")) as same:
            refused = same.get(f"{installation.http}/healthz")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_connections")
        assert proxied.get("/healthz").is_success


def test_tls_ends_in_nginx(installation: Installation, proxied: httpx.Client) -> None:
    trusted = ssl.create_default_context(cafile=str(installation.certificate))
    with httpx.Client(base_url=installation.https, verify=trusted, trust_env=False) as https:
        until(lambda: answers(https, "/healthz"))
        signed_in = https.post("/session", json={"key": installation.key})
        assert signed_in.is_success
        assert "; Secure" in signed_in.headers["Set-Cookie"]
        assert signed_in.headers["Strict-Transport-Security"] == "max-age=31536000"
        plain = httpx.get(installation.https.replace("https", "http") + "/", trust_env=False)
    assert (plain.status_code, plain.json()["code"]) == (400, "bad_request")


def test_nginx_answers_in_the_form_of_the_api(installation: Installation, proxied: httpx.Client) -> None:
    long = proxied.get("/v1/jobs", params={"q": "x" * 40_000})
    assert (long.status_code, long.json()["code"]) == (414, "uri_too_long")
    headers = proxied.get("/v1/jobs", headers={"X-Long": "x" * 40_000})
    assert (headers.status_code, headers.json()["code"]) == (400, "bad_request")


def test_containers_stop_in_order_and_nginx_says_that_the_api_is_away(
    installation: Installation, proxied: httpx.Client
) -> None:
    containers = installation.containers
    assert {service: containers.stop(service) for service in PROCESSES} == dict.fromkeys(PROCESSES, 0)
    away = proxied.get("/v1/jobs")
    assert (away.status_code, away.json()["code"], away.headers["Retry-After"]) == (503, "service_unavailable", "5")
    assert away.headers["Content-Type"] == "application/problem+json"


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        skip_without("promtool")
    (tmp_path / "metrics_key").write_text("key", "utf-8")
    shutil.copy(PROJECT / "deploy" / "prometheus" / "alerts.yml", tmp_path)
    text = (PROJECT / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8")
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets", str(tmp_path)), "utf-8")
    command = [promtool, "check", "config", str(tmp_path / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    if not hadolint.exists():
        skip_without("hadolint")
    checked = subprocess.run([str(hadolint), str(PROJECT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
