"""The logs of the running service: what an operator finds about a request."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.conftest import SAMPLES, RunningService, until

FIELDS = {"time", "level", "logger", "event", "process", "pid"}
KINDS = {"api", "beat", "crawl", "crawler", "decoder", "ingest", "maintenance", "redis", "worker"}


def lines_of(service: RunningService, name: str = "*") -> list[dict[str, Any]]:
    """Return all complete lines of the log files, each of which must be a JSON object."""
    texts = [path.read_text("utf-8") for path in (service.home / "logs").glob(f"{name}.log*")]
    return [json.loads(line) for text in texts for line in text.splitlines(keepends=True) if line.endswith("\n")]


def lines_about(service: RunningService, name: str, request_id: str) -> list[dict[str, Any]]:
    return [line for line in lines_of(service, name) if line.get("request_id") == request_id]


def test_a_request_is_found_by_its_id_in_the_lines_of_the_api_and_of_the_worker(
    service: RunningService, http: httpx.Client
) -> None:
    names = ("dress-green.jpg", "coat-camel.jpg", "hat-straw.jpg")
    files = [("images", (name, (SAMPLES / name).read_bytes())) for name in names]
    job = http.post("/v1/jobs", files=files, headers={"X-Request-ID": "log-test.1"}).json()["id"]
    until(lambda: len(lines_about(service, "worker", "log-test.1")) > 0)
    recorded = lines_about(service, "worker", "log-test.1")[0]
    assert recorded.items() >= {"event": "chunk_recorded", "job": job, "process": "worker"}.items()
    assert recorded["chunk"].startswith("chk_")
    until(lambda: len(lines_about(service, "api", "log-test.1")) > 0)
    (line,) = lines_about(service, "api", "log-test.1")
    assert (line["method"], line["route"], line["status"], line["key"]) == ("POST", "/v1/jobs", 202, None)
    assert line["bytes"] > 0
    assert line["milliseconds"] > 0


def test_the_line_of_a_request_has_the_route_and_neither_the_path_nor_the_query_nor_a_key(
    service: RunningService, http: httpx.Client
) -> None:
    headers = {"Authorization": "Bearer lb_secretkey", "X-Request-ID": "log-test.2"}
    assert http.get("/v1/jobs/job_unknown", params={"q": "secretquery"}, headers=headers).status_code == 401
    http.get("/secretpath", headers={"X-Request-ID": "log-test.3"})
    until(lambda: len(lines_about(service, "api", "log-test.3")) > 0)
    (line,) = lines_about(service, "api", "log-test.2")
    assert (line["route"], line["status"], line["job"]) == ("/v1/jobs/{job_id}", 401, "job_unknown")
    (unknown,) = lines_about(service, "api", "log-test.3")
    assert (unknown["route"], unknown["status"]) == (None, 404)
    about_both = [line for line in lines_of(service, "api") if str(line.get("request_id")).startswith("log-test.")]
    assert "secret" not in json.dumps(about_both)


def test_every_line_of_every_process_is_json_with_the_same_fields(service: RunningService) -> None:
    lines = lines_of(service)
    assert [line for line in lines if not line.keys() >= FIELDS] == []
    assert {line["process"] for line in lines} <= KINDS
    assert {line["process"] for line in lines} >= {"api", "worker", "ingest", "maintenance", "crawler", "redis"}
    assert {line["level"] for line in lines} <= {"info", "warning", "error", "critical"}
    assert [line["event"] for line in lines if "superuser" in line["event"] or "DuplicateTask" in line["event"]] == []
