"""Hints on both databases: computed by the worker when a job ends, listed, filtered, asked for again, and removed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from api.app import LookbookApp
from classifier.hints import Reference
from core.clock import utc_now
from core.settings import Settings
from db.database import Database
from db.steps import hinting, purging, submitting
from db.steps.hinting import HintItem
from db.steps.submitting import NewItem, NewJob
from db.tables import HintKind, HintRun, Item, ItemHint, Job, JobSource, Scope
from tests.integration.apps import bearer, serving
from tests.integration.builders import POLICY, a_blob, a_key, a_model, finish, review, scored
from worker.maintenance.hints import HintMaker, _Columns


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(settings, database) as made:
        yield made


@pytest.fixture
def maker(database: Database, settings: Settings) -> HintMaker:
    return HintMaker(database, settings)


def a_finished_job(database: Database, confidences: list[float], key_id: str | None = None, **new_item: Any) -> str:
    """Create a finished job with four pictures of each confidence, all predicted as shirt."""
    with database.writing() as session:
        names = [f"{confidence} {n}" for confidence in confidences for n in range(4)]
        new_items = [NewItem(f"{name}.jpg", a_blob(f"hint {name}"), **new_item) for name in names]
        new = NewJob("hints", JobSource.UPLOADS, a_model(session), key_id=key_id)
        job, messages = submitting.create_with_chunks(session, new, new_items, POLICY, utc_now())
    for confidence in confidences:
        messages += finish(database, messages.pop(0), scored("shirt", confidence), utc_now()).next_chunks
    assert not messages
    return job.id


def hints_of(client: FlaskClient, job_id: str) -> dict[str, dict[str, Any]]:
    answer = client.get(f"/v1/jobs/{job_id}/hints").get_json()
    return {row["kind"]: row for row in answer["hints"]}


def positions(client: FlaskClient, job_id: str, query: str, limit: int = 3) -> list[int]:
    """Return the positions of a list of items, read page by page, and by the marks at once."""
    found: list[int] = []
    cursor = ""
    while True:
        page = client.get(f"/v1/jobs/{job_id}/items?limit={limit}&{query}{cursor}").get_json()
        found += [item["position"] for item in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    marks = client.get(f"/v1/jobs/{job_id}/marks?every=20&{query}").get_json()
    assert marks["total"] == len(found)
    for number, mark in enumerate(marks["cursors"][1:], start=1):
        page = client.get(f"/v1/jobs/{job_id}/items?limit=20&{query}&cursor={mark}").get_json()
        assert [item["position"] for item in page["data"]] == found[20 * number : 20 * (number + 1)]
    return found


def test_a_job_that_ends_gets_hints_and_another_etag(client: FlaskClient, database: Database, maker: HintMaker) -> None:
    job_id = a_finished_job(database, [0.9, 0.55, 0.52, 0.99, 0.8, 0.7])
    path = f"/v1/jobs/{job_id}"
    waiting = client.get(f"{path}/hints")
    assert (waiting.get_json()["computed_at"], waiting.get_json()["hints"]) == (None, [])
    assert positions(client, job_id, "sort=doubt") == []
    assert maker.run_pending() == 1
    done = client.get(f"{path}/hints", headers={"If-None-Match": waiting.headers["ETag"]})
    assert done.status_code == 200
    assert client.get(f"{path}/hints", headers={"If-None-Match": done.headers["ETag"]}).status_code == 304
    assert client.get(path, headers={"If-None-Match": waiting.headers["ETag"]}).status_code == 200
    assert done.get_json()["computed_at"] is not None
    found = hints_of(client, job_id)
    assert (found["doubt"]["items"], found["doubt"]["listed"], found["doubt"]["flagged"]) == (24, 24, 8)
    in_order = [8, 9, 10, 11, 4, 5, 6, 7, *range(20, 24), *range(16, 20), 0, 1, 2, 3, 12, 13, 14, 15]
    assert positions(client, job_id, "sort=doubt") == in_order
    assert positions(client, job_id, "hint=doubt") == [4, 5, 6, 7, 8, 9, 10, 11]
    assert positions(client, job_id, "hint=doubt&sort=doubt") == in_order[:8]
    assert positions(client, job_id, "hint=doubt&sort=confidence") == in_order[:8]
    assert positions(client, job_id, "sort=doubt&min_confidence=0.8&label=shirt") == in_order[12:]
    assert positions(client, job_id, "sort=doubt&status=failed") == []


def test_hints_without_vectors_or_an_artifact_say_why_there_are_none(
    client: FlaskClient, database: Database, maker: HintMaker
) -> None:
    job_id = a_finished_job(database, [0.9])
    maker.run_pending()
    found = hints_of(client, job_id)
    assert found["diverse"]["missing"].startswith("the items have no vectors")
    assert found["surprise"]["missing"] == found["unknown"]["missing"]
    assert "test@1" in found["unknown"]["missing"]
    assert found["mislabelled"]["missing"] == "no item has a label of a person or of the catalog"
    assert positions(client, job_id, "sort=unknown") == positions(client, job_id, "hint=diverse") == []


def test_labels_of_people_are_judged_when_the_hints_are_asked_for_again(
    client: FlaskClient, database: Database, maker: HintMaker
) -> None:
    job_id = a_finished_job(database, [0.97, 0.98, 0.99])
    maker.run_pending()
    given: dict[int, str | None] = dict.fromkeys(range(12), "shirt")
    review(database, job_id, {**given, 10: "dress", 3: None})
    with database.writing() as session:
        session.execute(update(HintRun).values(reviews=0))
    assert client.get(f"/v1/jobs/{job_id}/hints").get_json()["changed_reviews"] == 12
    asked = client.post(f"/v1/jobs/{job_id}/hints")
    assert (asked.status_code, asked.get_json()["computed_at"]) == (202, None)
    # The order from before stays until the new one is there.
    assert len(positions(client, job_id, "sort=doubt")) == 12
    assert maker.run_pending() == 1
    assert client.get(f"/v1/jobs/{job_id}/hints").get_json()["changed_reviews"] == 0
    found = hints_of(client, job_id)["mislabelled"]
    # A picture that no label fits has no label that could be wrong.
    assert (found["items"], found["flagged"]) == (11, 1)
    assert positions(client, job_id, "sort=mislabelled")[:2] == [10, 0]
    assert positions(client, job_id, "hint=mislabelled") == [10]
    assert positions(client, job_id, "hint=mislabelled&reviewed=true&sort=mislabelled&label=dress") == [10]


def test_labels_of_the_catalog_are_judged_unless_a_person_says_otherwise(
    client: FlaskClient, database: Database, maker: HintMaker
) -> None:
    product = {"product": {"title": "Evening", "category": "Women > Dresses"}}
    job_id = a_finished_job(database, [0.97, 0.6], provenance=product)
    review(database, job_id, {0: "shirt"})
    maker.run_pending()
    assert positions(client, job_id, "sort=mislabelled") == [1, 2, 3, 4, 5, 6, 7, 0]


def test_strange_and_surprising_pictures_come_first() -> None:
    random = np.random.default_rng(3)
    centres = random.normal(size=(2, 24))

    def near(label: int, count: int) -> Any:
        return (centres[label] + random.normal(scale=0.3, size=(count, 24))).astype(np.float16)

    reference = Reference(np.concatenate([near(0, 60), near(1, 60)]), np.repeat([0, 1], 60), near(0, 100))
    vectors = [*near(0, 20), *near(1, 1), random.normal(size=24).astype(np.float16)]
    page = [HintItem(n, [0.9, 0.1], "shirt", None, vector) for n, vector in enumerate(vectors)]
    columns = _Columns(["shirt", "dress"], reference)
    columns.add(page[:10])
    columns.add([*page[10:], HintItem(22, [0.9, 0.1], "shirt", None, None)])
    orders = columns.orders("")
    assert orders[HintKind.SURPRISE].rows[0][::2] == (20, True)
    assert orders[HintKind.UNKNOWN].rows[0][::2] == (21, True)
    assert len(orders[HintKind.UNKNOWN].rows) == 22
    assert {row[0] for row in orders[HintKind.DIVERSE].rows[:4]} >= {20, 21}
    assert len(orders[HintKind.DOUBT].rows) == 23


def test_a_job_whose_hints_are_asked_for_meanwhile_keeps_the_request(database: Database) -> None:
    job_id = a_finished_job(database, [0.9])
    with database.reading() as session:
        due = hinting.first_due(session)
    assert due is not None
    with database.writing() as session:
        assert hinting.request(session, session.get_one(Job, job_id), utc_now())
    with database.writing() as session:
        assert not hinting.store(session, session.get_one(Job, job_id), due, {}, utc_now())
        assert session.get_one(HintRun, job_id).computed_at is None


def test_hints_of_others_and_of_running_jobs_are_refused(client: FlaskClient, database: Database) -> None:
    owner, _ = a_key(database, Scope.SUBMIT, Scope.READ)
    _, other = a_key(database, Scope.SUBMIT, Scope.READ, name="other")
    _, written = a_key(database, Scope.ADMIN, name="admin")
    job_id = a_finished_job(database, [0.9], key_id=owner)
    assert client.get(f"/v1/jobs/{job_id}/hints", headers=bearer(other)).status_code == 404
    assert client.post(f"/v1/jobs/{job_id}/hints", headers=bearer(other)).status_code == 404
    with database.writing() as session:
        new = NewJob("running", JobSource.UPLOADS, a_model(session))
        running = submitting.create(session, new, [NewItem("a.jpg", a_blob("a"))], utc_now())
    refused = client.post(f"/v1/jobs/{running.id}/hints", headers=bearer(written))
    assert (refused.status_code, refused.get_json()["code"]) == (409, "job_not_over")
    for query in ("sort=strange", "hint=position", "sort=doubt&after=3", "sort=doubt&cursor=e30"):
        assert client.get(f"/v1/jobs/{job_id}/items?{query}", headers=bearer(written)).status_code == 422


def test_hints_are_removed_with_their_items_and_job(database: Database, maker: HintMaker) -> None:
    job_id = a_finished_job(database, [0.9, 0.8])
    maker.run_pending()
    with database.writing() as session:
        session.execute(update(Job).where(Job.id == job_id).values(expires_at=utc_now()))
        assert session.scalars(select(ItemHint)).all()
        purging.remove_items(session, job_id)
        assert session.scalars(select(Item)).all() == []
        assert session.scalars(select(ItemHint)).all() == []
        purging.finish_purge(session, job_id, utc_now())
    with database.reading() as session:
        assert session.scalars(select(HintRun)).all() == []
    assert maker.run_pending() == 0
