"""Pictures by URL in the running service, from a server of the tests on loopback."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import SAMPLES, RunningService, find_process, until
from tests.integration.hostile_server import HostileServer, Visit, response
from tests.jobs import run_job

PICTURES = sorted(SAMPLES.iterdir())


@pytest.fixture(scope="module")
def shop() -> Iterator[HostileServer]:
    with HostileServer() as server:
        server.answers = {f"/{path.name}": response(path.read_bytes()) for path in PICTURES}
        server.answers["/page.jpg"] = response(b"<html>A page, not a picture</html>", content_type="image/jpeg")
        yield server


@pytest.fixture
def http(loopback_service: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=loopback_service.url, timeout=60.0, trust_env=False) as client:
        yield client


def test_pictures_are_classified_by_url_and_failures_have_a_reason(http: httpx.Client, shop: HostileServer) -> None:
    urls = [f"{shop.url}/{path.name}" for path in PICTURES]
    urls += [f"{shop.url}/none.jpg", f"{shop.url}/page.jpg", "http://10.0.0.1/inside.jpg"]
    body = {"items": [{"url": url, "custom_id": f"n{number}"} for number, url in enumerate(urls)]}
    job = run_job(http, json=body)
    assert (job["status"], job["counts"]["succeeded"], job["counts"]["failed"]) == ("completed", len(PICTURES), 3)
    items = http.get(job["links"]["items"], params={"limit": 200}).json()["data"]
    assert [item["custom_id"] for item in items] == [f"n{number}" for number in range(len(urls))]
    assert [item["error"]["code"] for item in items[-3:]] == ["fetch_failed", "not_an_image", "blocked_address"]
    for item, path in zip(items, PICTURES, strict=False):
        assert item["source"]["name"] == path.name
        assert http.get(item["image"]["original"]).content == path.read_bytes()


def test_a_single_url_is_answered_at_once(http: httpx.Client, shop: HostileServer) -> None:
    answer = http.post("/v1/classifications", json={"url": f"{shop.url}/t-shirt-red.jpg", "top_k": 2})
    assert answer.status_code == 200, answer.text
    assert answer.json()["prediction"]["label"]["id"] == "t-shirt"
    assert len(answer.json()["prediction"]["labels"]) == 2
    failed = http.post("/v1/classifications", json={"url": f"{shop.url}/none.jpg"})
    assert (failed.status_code, failed.json()["code"]) == (422, "fetch_failed")


def test_killing_a_worker_during_downloads_fails_no_picture(
    loopback_service: RunningService, http: httpx.Client
) -> None:
    picture = response((SAMPLES / "t-shirt-red.jpg").read_bytes(), connection="close")
    visits: Counter[str] = Counter()

    def answer(visit: Visit) -> None:
        """Answer only the second request of each URL, so that the killed worker has received no picture."""
        visits[visit.path] += 1
        if visits[visit.path] == 1:
            visit.hang()
        visit.send(picture)

    with HostileServer() as held:
        held.answers = {f"/{number}.jpg": answer for number in range(6)}
        job = http.post("/v1/jobs", json={"items": [{"url": f"{held.url}/{number}.jpg"} for number in range(6)]}).json()
        until(lambda: len(held.visits) >= 6)
        find_process(loopback_service, "worker", "fetch").kill()
        until(lambda: http.get(job["links"]["self"]).json()["status"] == "completed")
        assert http.get(job["links"]["self"]).json()["counts"]["succeeded"] == 6


def test_the_service_never_connects_to_loopback_by_default(service: RunningService, shop: HostileServer) -> None:
    before = shop.connections
    with httpx.Client(base_url=service.url, timeout=60.0, trust_env=False) as http:
        answer = http.post("/v1/classifications", json={"url": f"{shop.url}/t-shirt-red.jpg"})
        by_name = http.post("/v1/classifications", json={"url": "http://localhost/t-shirt-red.jpg"})
    assert (answer.status_code, answer.json()["code"]) == (422, "blocked_address")
    assert (by_name.status_code, by_name.json()["code"]) == (422, "blocked_address")
    assert shop.connections == before
