"""Comparisons of two jobs over HTTP, on both databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from core.settings import Settings
from core.types import Crop
from db.database import Database
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import JobSource
from db.views import items
from tests.integration.apps import bearer, body_of, refused, serving
from tests.integration.builders import FAILED, NOW, POLICY, a_blob, a_key, a_model, record_chunk, review, scored


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(settings, database) as made:
        yield made


def a_labelled_job(
    database: Database, model: str, pictures: Sequence[tuple[str, str | None]], key_id: str | None = None
) -> str:
    """Create a job of one version. Each picture has its content (`@x,y,widthxheight` crops it) and its label.

    Without a label, it fails.
    """
    contents = [content.partition("@") for content, _ in pictures]
    new_items = [NewItem(f"{name}.jpg", a_blob(name), crop=Crop.from_key(crop_key)) for name, _, crop_key in contents]
    with database.writing() as session:
        new = NewJob("test", JobSource.UPLOADS, a_model(session, model), key_id=key_id)
        job, messages = submitting.create_with_chunks(session, new, new_items, POLICY, NOW)
    labels = {
        (a_blob(name).sha256, crop_key): label
        for (name, _, crop_key), (_, label) in zip(contents, pictures, strict=True)
    }
    while messages:
        with database.writing() as session:
            message = messages.pop(0)
            found = items.list_pending_pictures(session, message.chunk_id)
            outcomes = {picture: scored(label) if (label := labels[picture]) else FAILED for picture in found}
            messages += record_chunk(session, message, outcomes).next_chunks
    return job.id


@pytest.fixture
def job_ids(database: Database) -> tuple[str, str]:
    """Two jobs that share five pictures, one of which is twice in the first job."""
    first: list[tuple[str, str | None]] = [
        ("a", "shirt"),
        ("b", "shirt"),
        ("b", "shirt"),
        ("c", "shirt"),
        ("d", "dress"),
        ("e", "shirt"),
    ]
    first += [("broken", None), ("a@0,0,5x5", "shirt"), ("here", "shirt")]
    second = [("there", "dress"), ("e", "dress"), ("d", "dress"), ("c", "dress"), ("b", "dress"), ("a", "shirt")]
    second += [("broken", "dress"), ("a@0,0,6x6", "dress")]
    return a_labelled_job(database, "1", first), a_labelled_job(database, "2", second)


def pairs(client: FlaskClient, job_ids: tuple[str, str], query: str = "") -> list[tuple[int, int]]:
    """Return the positions of all pairs, read two at a time."""
    here, there = job_ids
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        at = f"&cursor={cursor}" if cursor else ""
        body = body_of(client.get(f"/v1/jobs/{here}/compare/items?with={there}&limit=2{query}{at}"))
        found += body["data"]
        cursor = body["next_cursor"]
    assert all((pair["here"]["job_id"], pair["there"]["job_id"]) == job_ids for pair in found)
    return [(pair["here"]["position"], pair["there"]["position"]) for pair in found]


def test_pictures_pair_by_bytes_and_crop_and_count_once(client: FlaskClient, job_ids: tuple[str, str]) -> None:
    here, there = job_ids
    assert body_of(client.get(f"/v1/jobs/{here}/compare?with={there}")) == {
        "same": 2,
        "changed": 3,
        "only_here": 2,
        "only_there": 3,
        "changes": [{"from": "shirt", "to": "dress", "count": 3}],
    }
    back = body_of(client.get(f"/v1/jobs/{there}/compare?with={here}"))
    assert (back["same"], back["only_here"], back["only_there"]) == (2, 3, 2)
    itself = body_of(client.get(f"/v1/jobs/{here}/compare?with={here}"))
    assert (itself["same"], itself["changed"], itself["only_here"]) == (7, 0, 0)


def test_pairs_are_listed_in_the_order_of_the_first_job(client: FlaskClient, job_ids: tuple[str, str]) -> None:
    assert pairs(client, job_ids) == [(1, 4), (3, 3), (5, 1)]
    assert pairs(client, job_ids, "&from=shirt") == [(0, 5), (1, 4), (3, 3), (5, 1)]
    assert pairs(client, job_ids, "&to=dress") == [(1, 4), (3, 3), (4, 2), (5, 1)]
    assert pairs(client, job_ids, "&from=shirt&to=shirt") == [(0, 5)]
    assert pairs(client, job_ids[::-1]) == [(1, 5), (3, 3), (4, 1)]


def test_a_review_decides_which_label_is_compared(
    client: FlaskClient, database: Database, job_ids: tuple[str, str]
) -> None:
    here, there = job_ids
    review(database, here, {3: "dress", 5: None})
    review(database, there, {5: None})
    body = body_of(client.get(f"/v1/jobs/{here}/compare?with={there}"))
    assert (body["same"], body["changed"]) == (2, 3)
    assert body["changes"] == [
        {"from": None, "to": "dress", "count": 1},
        {"from": "shirt", "to": None, "count": 1},
        {"from": "shirt", "to": "dress", "count": 1},
    ]
    assert pairs(client, job_ids, "&from=") == [(5, 1)]
    assert pairs(client, job_ids, "&to=") == [(0, 5)]


def test_only_jobs_that_the_key_sees_are_compared(client: FlaskClient, database: Database) -> None:
    (mine, my_key), (other, _) = a_key(database), a_key(database)
    here, there = (a_labelled_job(database, "1", [("a", "shirt")], key_id) for key_id in (mine, other))
    for one, two in ((here, there), (there, here), (here, "job_x")):
        for path in ("compare", "compare/items"):
            refused(client.get(f"/v1/jobs/{one}/{path}?with={two}", headers=bearer(my_key)), 404, "unknown_job")
    assert client.get(f"/v1/jobs/{here}/compare?with={here}", headers=bearer(my_key)).status_code == 200


@pytest.mark.parametrize(("query", "code"), [("", "invalid_request"), ("with={there}&cursor=x", "bad_cursor")])
def test_an_invalid_comparison_is_refused(client: FlaskClient, job_ids: tuple[str, str], query: str, code: str) -> None:
    here, there = job_ids
    refused(client.get(f"/v1/jobs/{here}/compare/items?{query.format(there=there)}"), 422, code)
