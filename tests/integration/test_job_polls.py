"""One request per poll: a job with its summary and the items that a page shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from core.settings import Settings
from db.database import Database
from tests.integration.apps import serving
from tests.integration.builders import a_varied_job


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(settings, database) as made:
        yield made


@pytest.fixture
def job(database: Database) -> str:
    return f"/v1/jobs/{a_varied_job(database)}"


def test_a_poll_may_include_the_summary_and_the_items_behind_a_position(client: FlaskClient, job: str) -> None:
    body = client.get(f"{job}?include=summary,items&after=1&limit=3").get_json()
    assert body["summary"] == client.get(f"{job}/summary").get_json()
    assert [item["position"] for item in body["items"]] == [2, 3, 4]
    # Without `include`, the answer is the same as in lists and webhooks.
    assert {"summary", "items"} & client.get(job).get_json().keys() == set()


def test_a_poll_of_an_unchanged_job_is_answered_with_304_whatever_it_includes(client: FlaskClient, job: str) -> None:
    etag = client.get(job).headers["ETag"]
    answer = client.get(f"{job}?include=summary,items", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data) == (304, b"")


def test_the_plain_list_can_begin_behind_any_position(client: FlaskClient, job: str) -> None:
    everything = client.get(f"{job}/items").get_json()["data"]
    page = client.get(f"{job}/items?after=4&limit=2").get_json()
    assert page["data"] == everything[5:7]
    assert client.get(f"{job}/items?after=-1&limit=2").get_json()["data"] == everything[:2]
    following = client.get(f"{job}/items?limit=2&cursor={page['next_cursor']}").get_json()["data"]
    assert following == everything[7:9]


@pytest.mark.parametrize("query", ["after=3&sort=confidence", "after=-2", "after=x"])
def test_a_position_is_refused_where_it_has_no_meaning(client: FlaskClient, job: str, query: str) -> None:
    answer = client.get(f"{job}/items?{query}")
    assert answer.status_code == 422
    assert "after" in answer.get_json()["errors"][0]["pointer"]
