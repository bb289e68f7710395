"""Crawl jobs in the API: how they are accepted and shown. No test here crawls."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from api.app import LookbookApp
from core.settings import Settings
from db.crawls.requests import CrawlRequest
from db.database import Database
from db.tables import Crawl, Discovery
from tests.integration.apps import services_of

START = "https://shop.example/"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.with_changes(max_crawl_pages=1_000)


def database(app: LookbookApp) -> Database:
    return services_of(app).database


def post(client: FlaskClient, **crawl: Any) -> Any:
    return client.post("/v1/jobs", json={"crawl": {"start_urls": [START], **crawl}})


def test_a_submitted_crawl_is_stored_and_waits_for_a_worker(app: LookbookApp, client: FlaskClient) -> None:
    answer = post(client, query="coat", limits={"pages": 7, "hosts": ["other.example"]})
    assert answer.status_code == 202
    job = answer.get_json()
    assert (job["source"], job["status"], job["discovering"], job["name"]) == ("crawl", "queued", True, START)
    crawl = job["crawl"]
    assert (crawl["start_urls"], crawl["query"], crawl["recipe"], crawl["verdict"]) == ([START], "coat", None, None)
    assert crawl["limits"]["pages"] == 7
    assert crawl["limits"]["hosts"] == ["other.example"]
    assert crawl["pages"]["seen"] == crawl["pictures"]["seen"] == 0
    assert client.get(job["links"]["urls"]).get_json() == {"data": [], "next_cursor": None}
    assert [shown["crawl"] for shown in client.get("/v1/jobs?source=crawl").get_json()["data"]] == [crawl]
    with database(app).reading() as session:
        stored = session.scalars(select(Crawl)).one()
        assert CrawlRequest.of(stored).limits.depth == 3
        assert session.scalars(select(Discovery.job_id)).one() == job["id"]


@pytest.mark.parametrize(
    ("crawl", "pointer"),
    [
        ({"start_urls": []}, "/crawl/start_urls"),
        ({"start_urls": [START, "ftp://shop.example/"]}, "/crawl/start_urls/1"),
        ({"start_urls": ["http://127.0.0.1/"]}, "/crawl/start_urls/0"),
        ({"start_urls": [START], "recipe": "../../etc/passwd"}, "/crawl/recipe"),
        ({"start_urls": [START], "limits": {"pages": 1_001}}, "/crawl/limits/pages"),
        ({"start_urls": [START], "limits": {"pages": 0}}, "/crawl/limits/pages"),
    ],
)
def test_a_wrong_crawl_request_is_refused_with_a_pointer(
    client: FlaskClient, crawl: dict[str, Any], pointer: str
) -> None:
    answer = client.post("/v1/jobs", json={"crawl": crawl})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [pointer]


def test_a_job_has_exactly_one_source(client: FlaskClient) -> None:
    items = [{"url": "https://shop.example/1.jpg"}]
    both = client.post("/v1/jobs", json={"items": items, "crawl": {"start_urls": [START]}})
    neither = client.post("/v1/jobs", json={"name": "nothing"})
    assert (both.status_code, both.get_json()["code"]) == (422, "invalid_request")
    assert (neither.status_code, neither.get_json()["code"]) == (422, "invalid_request")


def test_only_an_ended_crawl_can_be_repeated(client: FlaskClient) -> None:
    running = post(client).get_json()["id"]
    assert post(client, since=running).status_code == 422
    assert post(client, since="job_unknown").status_code == 404
