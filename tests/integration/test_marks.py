"""Marks over HTTP, on both databases: jumping to any page of a list of items."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from core.settings import Settings
from db.database import Database
from tests.integration.apps import serving
from tests.integration.builders import a_job, a_varied_job, review


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(settings, database) as made:
        yield made


@pytest.mark.parametrize("query", ["sort=position", "sort=confidence", "sort=position&status=canceled", "q=1"])
def test_each_mark_leads_to_its_page(client: FlaskClient, database: Database, query: str) -> None:
    job_id = a_varied_job(database)
    whole = client.get(f"/v1/jobs/{job_id}/items?{query}&limit=200").get_json()["data"]
    marks = client.get(f"/v1/jobs/{job_id}/marks?{query}&every=20").get_json()
    assert (marks["total"], marks["every"]) == (len(whole), 20)
    assert len(marks["cursors"]) == max(1, -(-len(whole) // 20))
    for number, cursor in enumerate(marks["cursors"]):
        at = f"&cursor={cursor}" if cursor else ""
        page = client.get(f"/v1/jobs/{job_id}/items?{query}&limit=20{at}").get_json()["data"]
        assert page == whole[number * 20 : number * 20 + 20]


def test_the_last_page_has_no_further_mark(client: FlaskClient, database: Database) -> None:
    with database.writing() as session:
        job_ids = [a_job(session, [str(number) for number in range(count)]).id for count in (20, 21)]
    marks = [client.get(f"/v1/jobs/{job_id}/marks?every=20").get_json() for job_id in job_ids]
    assert [(len(found["cursors"]), found["total"]) for found in marks] == [(1, 20), (2, 21)]


def test_marks_are_unchanged_until_the_job_changes(client: FlaskClient, database: Database) -> None:
    job_id = a_varied_job(database)
    path = f"/v1/jobs/{job_id}/marks?label=dress"
    first = client.get(path)
    assert first.get_json()["total"] == 4
    again = {"If-None-Match": first.headers["ETag"]}
    assert client.get(path, headers=again).status_code == 304
    review(database, job_id, {0: "dress"})
    assert client.get(path, headers=again).get_json()["total"] == 5


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("every=19", "invalid_request"),
        ("every=201", "invalid_request"),
        ("predicted=hat", "unknown_label"),
        ("q=", "invalid_request"),
        ("cursor=x", "invalid_request"),
    ],
)
def test_invalid_marks_are_refused(client: FlaskClient, database: Database, query: str, code: str) -> None:
    answer = client.get(f"/v1/jobs/{a_varied_job(database)}/marks?{query}")
    assert (answer.status_code, answer.get_json()["code"]) == (422, code)
    assert client.get("/v1/jobs/job_x/marks").status_code == 404


def test_items_and_exports_take_the_filters(client: FlaskClient, database: Database) -> None:
    job_id = a_varied_job(database)
    review(database, job_id, {0: "dress", 1: None})
    for query, positions in (("predicted=shirt&label=dress", [0]), ("rejected=true", [1]), ("q=13.J", [13])):
        found = client.get(f"/v1/jobs/{job_id}/items?{query}").get_json()["data"]
        exported = client.get(f"/v1/jobs/{job_id}/export?format=jsonl&{query}").get_data(as_text=True).splitlines()
        assert ([item["position"] for item in found], len(exported)) == (positions, len(positions))
    failed = client.get(f"/v1/jobs/{job_id}/items?error=model_error").get_json()["data"]
    assert {item["error"]["code"] for item in failed} == {"model_error"}
    assert len(failed) == client.get(f"/v1/jobs/{job_id}").get_json()["counts"]["failed"]
