"""Reading what is stored, without any worker: answers, pages, and refusals."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text, update

from api.app import LookbookApp
from core.clock import utc_now
from core.messages import Queue
from db import model_versions
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import Job, JobSource
from tests.integration.apps import body_of, picture, problem, refused, services_of, upload
from tests.integration.builders import a_blob, a_varied_job


@pytest.mark.parametrize(
    "path",
    ["/v1/jobs/job_x", "/v1/jobs/job_x/items", "/v1/jobs/job_x/summary", "/v1/items/itm_x", "/v1/items/itm_x/thumbnail",
     "/v1/items/itm_x/image", "/v1/models/nobody/1", "/nowhere"],
)  # fmt: skip
def test_a_missing_resource_is_answered_with_404_as_a_problem(client: FlaskClient, path: str) -> None:
    assert problem(client.get(path))["status"] == 404


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("status=nonsense", "/status"),
        ("min_confidence=2", "/min_confidence"),
        ("label=socks", "/label"),
        ("group=socks", "/group"),
        ("cursor=garbage", "/cursor"),
        ("cursor=eyJwb3NpdGlvbiI6ICJ4In0", "/cursor"),
        ("sort=colour", "/sort"),
        ("unknown=1", "/unknown"),
    ],
)
def test_a_wrong_query_is_answered_with_422_and_a_pointer(client: FlaskClient, query: str, pointer: str) -> None:
    job = body_of(upload(client, [(picture(), "a.jpg")]))
    body = problem(client.get(f"/v1/jobs/{job['id']}/items?{query}"))
    assert (body["status"], body["errors"][0]["pointer"]) == (422, pointer)


def test_a_wrong_method_is_answered_with_405_and_the_allowed_methods(client: FlaskClient) -> None:
    response = client.delete("/v1/classifications")
    assert problem(response)["code"] == "method_not_allowed"
    assert "POST" in response.headers["Allow"]


def test_a_poll_with_the_etag_of_an_unchanged_job_is_answered_with_304(client: FlaskClient) -> None:
    job = body_of(upload(client, [(picture(), "a.jpg")]))
    first = client.get(job["links"]["self"])
    assert first.headers["Retry-After"] == "1"
    again = client.get(job["links"]["self"], headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    other = client.get(job["links"]["self"], headers={"If-None-Match": '"999"'})
    assert other.status_code == 200


def test_jobs_are_listed_newest_first_in_pages(client: FlaskClient) -> None:
    job_ids = [body_of(upload(client, [(picture(), "a.jpg")], name=f"job {n}"))["id"] for n in range(5)]
    first = client.get("/v1/jobs?limit=3")
    second = client.get(f"/v1/jobs?limit=3&cursor={body_of(first)['next_cursor']}")
    assert [job["id"] for job in body_of(first)["data"] + body_of(second)["data"]] == job_ids[::-1]
    assert body_of(second)["next_cursor"] is None
    assert first.headers["Link"].endswith('rel="next"')
    assert [job["name"] for job in body_of(client.get("/v1/jobs?q=JOB+3"))["data"]] == ["job 3"]


def test_listed_jobs_have_as_many_thumbnails_as_asked_for(client: FlaskClient, app: LookbookApp) -> None:
    job_id = a_varied_job(services_of(app).database)
    waiting = body_of(upload(client, [(picture(), "a.jpg")]))["id"]
    items = body_of(client.get(f"/v1/jobs/{job_id}/items?status=succeeded&limit=3"))["data"]
    listed = {job["id"]: job["thumbnails"] for job in body_of(client.get("/v1/jobs?thumbnails=3"))["data"]}
    assert listed == {job_id: [item["image"]["thumbnail"] for item in items], waiting: []}
    assert [job["thumbnails"] for job in body_of(client.get("/v1/jobs"))["data"]] == [[], []]
    refused(client.get("/v1/jobs?thumbnails=11"), 422, "invalid_request")


def test_a_pending_item_has_its_original_but_no_thumbnail(client: FlaskClient) -> None:
    job = body_of(upload(client, [(picture(), "a.jpg")]))
    item = body_of(client.get(job["links"]["items"]))["data"][0]
    assert item["image"]["thumbnail"] is None
    assert problem(client.get(f"/v1/items/{item['id']}/thumbnail"))["code"] == "no_thumbnail"
    with client.get(item["image"]["original"]) as original:
        assert original.data == picture()
        # No decoder has opened the file yet, so the browser must not show it.
        assert original.content_type == "application/octet-stream"
        assert original.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in original.headers["Content-Security-Policy"]


def test_an_item_shows_everything_known_about_its_source(app: LookbookApp, client: FlaskClient) -> None:
    known = {"page_url": "https://shop.example/1", "alt": "a coat"}
    product = {"title": "가을 코트", "price": "39.90", "currency": "EUR"}
    details: dict[str, Any] = {"sku": 17, "tags": ["new"]}
    url = "https://shop.example/look-1.jpg"
    new_item = NewItem("look-1.jpg", None, None, None, "sku 17", url, {**known, "product": product}, details)
    with services_of(app).database.writing() as session:
        new = NewJob("x", JobSource.ITEMS, model_versions.resolve(session, "production"))
        job = submitting.create(session, new, [new_item, NewItem("b.jpg", a_blob("b"))], utc_now())
    full, bare = client.get(f"/v1/jobs/{job.id}/items").get_json()["data"]
    assert full["source"].items() >= {"name": "look-1.jpg", "url": url, **known}.items()
    assert full["product"].items() >= product.items()
    assert (full["custom_id"], full["metadata"], full["image"]) == ("sku 17", details, None)
    assert bare["source"].items() >= {"name": "b.jpg", "url": None, **dict.fromkeys(known)}.items()
    assert (bare["custom_id"], bare["metadata"]) == (None, {})


def test_the_readiness_answer_lists_missing_parts(client: FlaskClient) -> None:
    response = client.get("/readyz")
    assert response.status_code == 503
    assert body_of(response)["missing"] == ["broker", "worker", "beat"]
    assert body_of(response)["unserved"] == [queue.value for queue in Queue]
    assert body_of(client.get("/healthz")) == {"status": "ok"}


def test_a_database_of_another_version_and_a_full_disk_are_not_ready(
    client: FlaskClient, app: LookbookApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    with services_of(app).database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))

    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    assert body_of(client.get("/readyz"))["missing"][:2] == ["schema", "blobs"]


def test_a_valid_request_id_is_kept_and_an_invalid_one_replaced(client: FlaskClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "abc-123"}).headers["X-Request-ID"] == "abc-123"
    assert client.get("/healthz", headers={"X-Request-ID": "a b<>"}).headers["X-Request-ID"] not in {"a b<>", ""}


def test_models_and_labels_are_described(client: FlaskClient) -> None:
    (model,) = body_of(client.get("/v1/models"))["data"]
    assert (model["name"], model["aliases"], model["metrics"]) == ("test", ["production"], {"accuracy": 0.5})
    detail = body_of(client.get("/v1/models/test/1"))
    assert detail["card"] == "card"
    labels = body_of(client.get("/v1/labels"))
    assert labels["model"] == "test@1"
    names = {"en": "Shirt", "ko": "셔츠"}
    assert labels["labels"][0] == {"id": "shirt", "name": "Shirt", "group": "tops", "names": names}
    assert problem(client.get("/v1/labels?model=nobody"))["code"] == "unknown_model"


def test_a_job_can_be_canceled_and_deleted_and_is_unknown_afterwards(client: FlaskClient) -> None:
    job = upload(client, [(picture(), "a.jpg")]).get_json()
    refused = client.delete(job["links"]["self"])
    assert (refused.status_code, refused.get_json()["code"]) == (409, "job_not_over")
    for _ in range(2):
        canceled = client.post(job["links"]["cancel"])
        assert canceled.status_code == 202
        body = canceled.get_json()
        assert (body["status"], body["canceling"], body["counts"]["canceled"]) == ("canceled", False, 1)
    retried = client.post(job["links"]["retry"])
    assert (retried.status_code, retried.get_json()["code"]) == (409, "job_over")
    assert client.delete(job["links"]["self"]).status_code == 204
    for method, path in (("get", ""), ("get", "/items"), ("get", "/summary"), ("post", "/cancel"), ("delete", "")):
        assert getattr(client, method)(job["links"]["self"] + path).status_code == 404
    assert client.get("/v1/jobs").get_json()["data"] == []


def test_a_job_past_its_retention_is_answered_with_410(app: LookbookApp, client: FlaskClient) -> None:
    job = upload(client, [(picture(), "a.jpg")]).get_json()
    etag = client.get(job["links"]["self"]).headers["ETag"]
    client.post(job["links"]["cancel"])
    with services_of(app).database.writing() as session:
        session.execute(update(Job).values(expires_at=utc_now()))
    gone = client.get(job["links"]["self"], headers={"If-None-Match": etag})
    assert (gone.status_code, gone.get_json()["code"]) == (410, "expired")
    assert client.get("/v1/jobs").get_json()["data"] == []


def test_retry_after_is_a_sixtieth_of_the_time_that_a_job_still_needs(app: LookbookApp, client: FlaskClient) -> None:
    job = body_of(upload(client, [(picture(), f"{n}.jpg") for n in range(3)]))
    path = job["links"]["self"]
    first = client.get(path)
    assert first.headers["Retry-After"] == "1"
    for rate, seconds in ((100.0, "1"), (0.01, "5"), (0.001, "10")):
        with services_of(app).database.writing() as session:
            session.execute(update(Job).values(rate=rate))
        unchanged = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (unchanged.status_code, unchanged.headers["Retry-After"]) == (304, seconds)
        assert client.get(path).headers["Retry-After"] == seconds
        item = body_of(client.get(f"{path}/items"))["data"][0]
        assert client.get(f"/v1/items/{item['id']}").headers["Retry-After"] == seconds
