"""An installation on several hosts: network namespaces without a shared disk, and two APIs behind nginx."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from cli.redis_server import find_redis_server
from core.settings import PROJECT, Settings
from tests.artifacts import publish_again
from tests.conftest import S3_ENVIRONMENT, SAMPLES, skip_without, until
from tests.e2e.hosts import NETWORK, Hosts
from tests.faults.servers import PostgreSQL

NUMBERS = {"data": 10, "api-1": 11, "api-2": 12, "ops": 13, "worker-1": 21, "worker-2": 22, "crawler": 31, "shop": 40}
NUMBERS |= {"proxy": 50}
PAGE = """<!doctype html><title>Dress</title><script type="application/ld+json">
{"@context": "https://schema.org", "@type": "Product", "name": "Green dress", "image": "%s"}</script>"""


@dataclass
class Installation:
    hosts: Hosts
    http: httpx.Client
    settings: dict[str, str]

    def submit(self, count: int, **fields: str) -> dict[str, Any]:
        files = [
            ("images", (f"{number}-{path.name}", path.read_bytes()))
            for number in range(count // 10)
            for path in sorted(SAMPLES.glob("*.jpg"))[:10]
        ]
        answer = self.http.post("/v1/jobs/uploads", files=files, data=fields).raise_for_status()
        return dict(answer.json())

    def job(self, job: dict[str, Any]) -> dict[str, Any]:
        return dict(self.http.get(f"/v1/jobs/{job['id']}").json())

    def wait_for(self, job: dict[str, Any]) -> dict[str, Any]:
        until(lambda: self.job(job)["status"] in {"completed", "failed"}, 120)
        return self.job(job)

    def workers(self) -> list[str]:
        return [worker["worker"] for worker in self.http.get("/readyz").json()["workers"]]


def start_data(hosts: Hosts) -> dict[str, str]:
    """Start Redis, PostgreSQL and an S3 store on the host `data`. Return the settings of those who use them."""
    address, folder = hosts.addresses["data"], hosts.home("data")
    redis = [str(find_redis_server()), "--port", "6379", "--bind", address, "--protected-mode", "no", "--save", ""]
    hosts.start("data", "redis", [*redis, "--dir", str(folder)])
    server = PostgreSQL(folder)
    with (folder / "postgresql" / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {NETWORK}.0/24 trust\n")
    process = server.process(folder / "postgresql.log")
    command = [address if word == "" else word for word in process.command]
    hosts.start("data", "postgresql", command, user=process.user)
    moto = str(Path(sys.executable).parent / "moto_server")
    hosts.start("data", "s3", [moto, "-H", address, "-p", "7070"])
    until(server.answers)
    settings = {
        "LOOKBOOK_DATABASE_URL": f"postgresql+psycopg://postgres@{address}/postgres?connect_timeout=5",
        "LOOKBOOK_REDIS_URL": f"redis://{address}:6379/0",
        "LOOKBOOK_BLOBS": "s3://lookbook/pictures",
        "LOOKBOOK_FETCH_ALLOW": f"{NETWORK}.0/24",
        "LOOKBOOK_DECODERS": "1",
        "LOOKBOOK_API_PROCESSES": "1",
        "LOOKBOOK_PROXIES": "1",
        "LOOKBOOK_CHUNK_SIZE": "16",
        "AWS_ENDPOINT_URL": f"http://{address}:7070",
        **S3_ENVIRONMENT,
    }
    return settings


def run_on(hosts: Hosts, host: str, *command: str, **environment: str) -> str:
    """Run a command on a host and return what it prints."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("LOOKBOOK_")}
    done = subprocess.run(
        ["ip", "netns", "exec", hosts._namespace(host), *command],
        cwd=PROJECT,
        env={**inherited, "PYTHONPATH": str(PROJECT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def start_proxy(hosts: Hosts) -> Path:
    """Start nginx in front of both APIs. Return the Unix socket on which it listens for the test."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if binary is None:
        skip_without("nginx")
    folder = hosts.home("proxy")
    api = (PROJECT / "deploy" / "nginx" / "api.conf").read_text("utf-8")
    # Compose asks Docker's name server for the addresses. Here they are in a list.
    api = api.replace("resolver 127.0.0.11 valid=5s;\n", "").replace("set $api http://api:8000;\n", "")
    (folder / "api.conf").write_text(api.replace("proxy_pass $api", "proxy_pass http://apis"), "utf-8")
    upstream = "".join(
        f"server {hosts.addresses[name]}:8000 max_fails=1 fail_timeout=2s; " for name in ("api-1", "api-2")
    )
    (folder / "nginx.conf").write_text(
        f"""daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; events {{}}
        http {{
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
            uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; access_log off;
            limit_conn_zone $binary_remote_addr zone=clients:1m;
            upstream apis {{ {upstream} }}
            server {{ listen unix:{folder}/nginx.sock; include {folder}/api.conf; }}
        }}""",
        "utf-8",
    )
    hosts.start("proxy", "nginx", [binary, "-c", str(folder / "nginx.conf")])
    return folder / "nginx.sock"


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    # The path of a Unix socket must be short, and PostgreSQL's user must reach the folder.
    folder = Path(tempfile.mkdtemp(prefix="lookbook-hosts-"))
    folder.chmod(0o755)
    hosts = Hosts(folder, NUMBERS)
    try:
        settings = start_data(hosts)
        make_bucket = "import httpx, sys; httpx.put(sys.argv[1], trust_env=False).raise_for_status()"
        bucket = f"{settings['AWS_ENDPOINT_URL']}/lookbook"
        until(lambda: "Running on" in (hosts.home("data") / "s3.log").read_text("utf-8"))
        run_on(hosts, "data", sys.executable, "-c", make_bucket, bucket)
        # Only the host `ops` has the models.
        lookbook = [sys.executable, "-m", "cli"]
        ops = settings | {"LOOKBOOK_HOME": str(hosts.home("ops")), "LOOKBOOK_MODELS": str(hosts.home("ops") / "models")}
        shutil.copytree(Settings().models, hosts.home("ops") / "models")
        run_on(hosts, "ops", *lookbook, "db", "upgrade", **ops)
        key = run_on(hosts, "ops", *lookbook, "keys", "create", "test", "--scope", "admin", **ops).strip()
        for host, arguments in {
            "worker-1": ["worker", "--queues", "interactive,bulk,low"],
            "worker-2": ["worker", "--queues", "interactive,bulk,low"],
            "crawler": ["worker", "--queues", "crawl,search,fetch_interactive,fetch,fetch_low,ingest"],
            "ops": ["worker", "--queues", "maintenance"],
            "api-1": ["api"],
            "api-2": ["api"],
        }.items():
            own = {"LOOKBOOK_HOME": str(hosts.home(host)), "LOOKBOOK_MODELS": str(hosts.home(host) / "models")}
            hosts.lookbook(host, *arguments, **settings, **own, LOOKBOOK_HOST=hosts.addresses[host])
        hosts.lookbook("ops", "beat", **ops)
        transport = httpx.HTTPTransport(uds=str(start_proxy(hosts)))
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(transport=transport, base_url="http://proxy", headers=headers, timeout=60) as http:
            ready = lambda: http.get("/readyz").is_success and len(http.get("/readyz").json()["workers"]) == 4  # noqa: E731
            until(ready, 120)
            yield Installation(hosts, http, ops)
    finally:
        hosts.close()
        shutil.rmtree(folder, ignore_errors=True)


def test_pictures_travel_between_hosts_without_a_shared_disk(installation: Installation) -> None:
    job = installation.wait_for(installation.submit(40))
    assert job["counts"]["succeeded"] == 40
    item = installation.http.get(f"/v1/jobs/{job['id']}/items").json()["data"][0]
    # nginx asks the APIs in turn, and both read the picture from the store.
    pictures = {installation.http.get(item["image"]["original"]).content for _ in range(2)}
    assert pictures == {sorted(SAMPLES.glob("*.jpg"))[0].read_bytes()}
    for worker in ("worker-1", "worker-2"):
        home = installation.hosts.home(worker)
        assert not (home / "models").exists()
        assert (home / "cache" / "models" / "garments").is_dir()


def test_a_crawl_on_one_host_reads_a_shop_on_another_one(installation: Installation) -> None:
    hosts = installation.hosts
    shop, folder = hosts.addresses["shop"], hosts.home("shop")
    shutil.copy(SAMPLES / "dress-green.jpg", folder / "dress.jpg")
    (folder / "index.html").write_text(PAGE % f"http://{shop}/dress.jpg")
    hosts.start("shop", "shop", [sys.executable, "-u", "-m", "http.server", "80", "-d", str(folder), "-b", shop])
    until(lambda: "Serving HTTP" in (folder / "shop.log").read_text())
    crawl = {"crawl": {"start_urls": [f"http://{shop}/"]}}
    answer = installation.http.post("/v1/jobs", json=crawl)
    assert answer.status_code == 202, answer.text
    assert installation.wait_for(answer.json())["counts"]["succeeded"] == 1


def test_a_host_that_is_cut_off_loses_its_chunks_to_another_one_and_comes_back(installation: Installation) -> None:
    hosts, workers = installation.hosts, set(installation.workers())
    job = installation.submit(300)
    with psycopg.connect(
        f"host={hosts.home('data') / 'pg'} user=postgres dbname=postgres", autocommit=True
    ) as database:
        held = "SELECT taken_by FROM chunks WHERE taken_by IS NOT NULL"
        until(lambda: len({row[0] for row in database.execute(held)}) == 2)
        hosts.cut("worker-1")
        # It holds chunks and cannot give them back. The other worker classifies all of them.
        assert installation.wait_for(job)["counts"]["succeeded"] == 300
        count = "SELECT count(*), count(DISTINCT (blob_sha256, crop_key, model_version_id)) FROM predictions"
        (total, different) = database.execute(count).fetchone() or (0, -1)
        assert total == different
    until(lambda: len(installation.workers()) == len(workers) - 1)
    hosts.heal("worker-1")
    until(lambda: len(installation.workers()) == len(workers))
    assert installation.wait_for(installation.submit(40))["counts"]["succeeded"] == 40


def test_one_api_is_cut_off_and_the_other_one_answers(installation: Installation) -> None:
    installation.hosts.cut("api-1")
    try:
        for _ in range(3):
            assert installation.http.get("/v1/models").status_code == 200
    finally:
        installation.hosts.heal("api-1")


def test_a_version_that_only_one_host_has_is_promoted_on_all_of_them(installation: Installation) -> None:
    hosts = installation.hosts
    artifact = publish_again(hosts.home("ops") / "models")
    run_on(hosts, "ops", sys.executable, "-m", "cli", "db", "upgrade", **installation.settings)
    path = f"/v1/models/{artifact.ref.name}/promote"
    body = {"version": artifact.ref.version}
    until(lambda: installation.http.post(path, json=body).status_code == 200, 120)
    assert installation.submit(10)["model"] == {"name": artifact.ref.name, "version": artifact.ref.version}
    for worker in ("worker-1", "worker-2"):
        fetched = hosts.home(worker) / "cache" / "models" / artifact.ref.name / artifact.ref.version
        assert json.loads((fetched / "manifest.json").read_text())["version"] == artifact.ref.version
