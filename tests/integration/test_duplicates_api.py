"""Duplicates in the API, in this process. The tests record the worker's part themselves."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from db.database import Database
from tests.integration.apps import body_of, services_of
from tests.integration.test_duplicates import DRESS, RED, SHIRT, a_job_of, flipped, seen
from worker.maintenance.linker import Linker


@pytest.fixture
def job_id(app: LookbookApp) -> str:
    """The id of a job of a shirt, a dress and a slightly smaller copy of the shirt."""
    outcomes = {"large": seen(SHIRT + RED), "dress": seen(DRESS + RED), "small": seen(flipped(SHIRT, 5) + RED)}
    return a_job_of(database_of(app), list(outcomes), outcomes)


def database_of(app: LookbookApp) -> Database:
    return services_of(app).database


def test_duplicates_are_linked_counted_and_hidden_on_request(
    app: LookbookApp, client: FlaskClient, job_id: str
) -> None:
    path = f"/v1/jobs/{job_id}"
    assert body_of(client.get(f"{path}/summary"))["duplicates"] is None
    Linker(database_of(app)).run_pending()
    assert body_of(client.get(f"{path}/summary"))["duplicates"] == 1
    shown = body_of(client.get(f"{path}/items"))["data"]
    assert [item["duplicate_of"] for item in shown] == [None, None, shown[0]["id"]]
    for sort in ("position", "confidence"):
        hidden = body_of(client.get(f"{path}/items?duplicates=hide&sort={sort}"))["data"]
        assert [item["position"] for item in hidden] == [0, 1]
    assert body_of(client.get(f"/v1/items/{shown[2]['id']}"))["duplicate_of"] == shown[0]["id"]


def test_an_unknown_value_of_the_parameter_duplicates_is_refused(client: FlaskClient, job_id: str) -> None:
    assert client.get(f"/v1/jobs/{job_id}/items?duplicates=show").status_code == 422


def test_duplicates_in_earlier_jobs_are_listed(app: LookbookApp, client: FlaskClient, job_id: str) -> None:
    Linker(database_of(app)).run_pending()
    later = a_job_of(database_of(app), ["large"], {"large": seen(SHIRT + RED)})
    item_id = body_of(client.get(f"/v1/jobs/{later}/items"))["data"][0]["id"]
    found = body_of(client.get(f"/v1/items/{item_id}/duplicates"))["data"]
    assert [(row["distance"], row["item"]["job_id"], row["item"]["position"]) for row in found] == [
        (0, job_id, 0),
        (5, job_id, 2),
    ]
    assert len(body_of(client.get(f"/v1/items/{item_id}/duplicates?limit=1"))["data"]) == 1
    assert client.get("/v1/items/itm_x/duplicates").status_code == 404
