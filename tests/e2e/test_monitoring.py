"""A real Prometheus with the project's configuration reads a running service, and the dashboard's queries find data."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from core.settings import PROJECT
from tests.conftest import SAMPLES, RunningService, free_port, skip_without, until
from tests.contract.test_monitoring import queries, rules
from tests.e2e.conftest import make_key
from tests.jobs import run_job

CONFIGURATION = PROJECT / "deploy" / "prometheus"


@pytest.fixture(scope="module")
def prometheus(locked: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Prometheus that has the key of its own as a file, and that asks each second."""
    binary = shutil.which("prometheus")
    if binary is None:
        skip_without("prometheus")
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "metrics_key").write_text(make_key(locked.home, "prometheus", "--scope", "metrics"), "utf-8")
    text = (CONFIGURATION / "prometheus.yml").read_text("utf-8")
    changes = {
        "/run/secrets": str(folder),
        "api:8000": f"127.0.0.1:{locked.port}",
        ": 15s": ": 1s",
    }
    for there, here in changes.items():
        assert there in text
        text = text.replace(there, here)
    (folder / "prometheus.yml").write_text(text, "utf-8")
    shutil.copy(CONFIGURATION / "alerts.yml", folder)
    options = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary, *options, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, cwd=folder
        )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        yield http
    process.terminate()
    process.wait(30)


def result_of(prometheus: httpx.Client, query: str) -> list[Any]:
    try:
        answer = prometheus.get("/api/v1/query", params={"query": query.replace("$__rate_interval", "1m")})
    except httpx.TransportError:
        return []
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return []
    found: list[Any] = answer.raise_for_status().json()["data"]["result"]
    return found


def test_every_query_of_the_dashboard_finds_data_of_the_running_service(
    locked: RunningService, prometheus: httpx.Client
) -> None:
    key = {"Authorization": f"Bearer {make_key(locked.home, 'monitored', '--scope', 'submit', '--scope', 'read')}"}
    with httpx.Client(base_url=locked.url, headers=key, timeout=60, trust_env=False) as http:
        picture = (SAMPLES / "dress-green.jpg").read_bytes()
        files = [("images", ("a.jpg", picture)), ("images", ("broken.jpg", b"no picture"))]
        run_job(http, files=files)
        # Nothing may be downloaded from this address, so the picture fails.
        run_job(http, json={"items": [{"url": "http://127.0.0.1:1/a.jpg"}]})
    for query in queries():
        until(lambda query=query: bool(result_of(prometheus, query)))  # type: ignore[misc]
    started = {row["metric"]["process"] for row in result_of(prometheus, "lookbook_process_starts_total")}
    assert started >= {"api", "worker", "ingest", "crawler", "maintenance", "beat"}
    until(lambda: float(result_of(prometheus, "sum(lookbook_items_total)")[0]["value"][1]) >= 3)
    known = prometheus.get("/api/v1/rules").json()["data"]["groups"][0]["rules"]
    assert {(rule["name"], rule["health"]) for rule in known} <= {(rule["alert"], "ok") for rule in rules()} | {
        (rule["alert"], "unknown") for rule in rules()
    }
