"""The API in this process, without any worker: what it stores, answers and refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from api.app import LookbookApp, create_app
from api.services import EXTENSION, Services
from core.clock import utc_now
from core.messages import Queue
from core.settings import Settings
from db import jobs, model_versions
from db.jobs import NewItem, NewJob
from db.models import Chunk, Item, ItemStatus, Job, JobSource
from tests.conftest import SAMPLES, RunningRedis
from tests.integration.builders import a_blob


def services_of(app: LookbookApp) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


def upload(client: FlaskClient, files: list[tuple[bytes, str]], **fields: str) -> TestResponse:
    # As a real client writes it: Flask's test client leaves the empty line out of an empty file's part.
    parts = [("images", (name, data)) for data, name in files]
    request = httpx.Request("POST", "http://localhost/v1/jobs", files=parts, data=fields)
    return client.post("/v1/jobs", data=request.read(), content_type=request.headers["Content-Type"])


def classify(client: FlaskClient, **headers: str) -> TestResponse:
    return client.post("/v1/classifications", data=picture(), content_type="image/jpeg", headers=headers)


def problem(response: TestResponse) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = json.loads(response.data)
    assert body["status"] == response.status_code
    assert set(body) >= {"type", "title", "status", "detail", "code"}
    return body


def picture(name: str = "t-shirt-red.jpg") -> bytes:
    return (SAMPLES / name).read_bytes()


def blobs_on_disk(settings: Settings) -> list[Path]:
    return [path for path in settings.blobs_folder.rglob("*") if path.is_file()]


def test_an_upload_is_stored_and_answered_with_the_job(client: FlaskClient, settings: Settings) -> None:
    response = upload(client, [(picture(), "a.jpg"), (picture("shirt-white.jpg"), "b.jpg")], name="Autumn")
    assert response.status_code == 202
    job = response.json
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["name"], job["status"], job["source"]) == ("Autumn", "queued", "uploads")
    assert job["counts"] == {"total": 2, "pending": 2, "succeeded": 0, "failed": 0, "canceled": 0, "reused": 0}
    assert job["model"] == {"name": "test", "version": "1"}
    assert job["created_at"].endswith("Z")
    assert len(blobs_on_disk(settings)) == 2


def test_without_redis_the_submission_is_stored_and_its_chunks_are_due_at_once(
    app: LookbookApp, client: FlaskClient
) -> None:
    assert upload(client, [(picture(), "a.jpg")]).status_code == 202
    with services_of(app).database.reading() as session:
        chunk = session.scalars(select(Chunk)).one()
        item = session.scalars(select(Item)).one()
    assert (item.status, item.chunk_id) == (ItemStatus.PENDING, chunk.id)
    assert (chunk.attempts, chunk.queued_at) == (0, None)
    assert chunk.due_at <= utc_now()


def test_with_redis_the_chunks_are_in_the_queue_of_bulk_work(
    settings: Settings, redis: RunningRedis, app: LookbookApp
) -> None:
    made = create_app(settings.model_copy(update={"redis_url": redis.url}))
    response = upload(made.test_client(), [(picture(), f"{n}.jpg") for n in range(6)])
    assert response.status_code == 202
    assert redis.connection.llen("bulk") == 2
    assert classify(made.test_client(), Prefer="wait=0").status_code == 202
    assert redis.connection.llen("interactive") == 1
    services_of(made).database.close()
    services_of(made).broker.close()


def test_a_thousand_and_more_files_fit_in_one_request(app: LookbookApp, client: FlaskClient) -> None:
    small = picture("t-shirt-black.webp")[:100]
    response = upload(client, [(small + str(n).encode(), f"{n}.webp") for n in range(1500)])
    assert response.status_code == 202
    assert response.json["counts"]["total"] == 1500
    with services_of(app).database.reading() as session:
        assert len(set(session.scalars(select(Item.blob_sha256)))) == 1500


def test_names_of_files_are_text_to_show_and_never_paths(client: FlaskClient) -> None:
    name = "../../<script>한글.jpg"
    job = upload(client, [(picture(), name)]).json
    item = client.get(f"/v1/jobs/{job['id']}/items").json["data"][0]
    assert item["source"]["name"] == name


def test_an_empty_and_a_too_large_file_fail_their_items_only(client: FlaskClient, settings: Settings) -> None:
    job = upload(client, [(b"", "empty.jpg"), (b"x" * 200_001, "large.jpg"), (picture(), "good.jpg")]).json
    assert (job["counts"]["failed"], job["counts"]["pending"], job["status"]) == (2, 1, "queued")
    items = client.get(f"/v1/jobs/{job['id']}/items").json["data"]
    assert [item["error"] and item["error"]["code"] for item in items] == ["not_an_image", "too_large", None]
    assert items[1]["image"] is None
    assert "200,000 bytes, got 200,001" in items[1]["error"]["detail"]
    assert len(blobs_on_disk(settings)) == 1


def test_a_job_of_refused_files_only_is_completed(client: FlaskClient) -> None:
    job = upload(client, [(b"", "empty.jpg")]).json
    assert (job["status"], job["counts"]["failed"], job["eta_seconds"]) == ("completed", 1, 0)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "nobody"}, "unknown_model"),
        ({"top_k": "0"}, "invalid_request"),
        ({"metadata": "{not json"}, "invalid_request"),
        ({"metadata": json.dumps({"a": "x" * 17_000})}, "invalid_request"),
        ({"priority": "highest"}, "invalid_request"),
        ({"unknown_option": "1"}, "invalid_request"),
    ],
)
def test_options_that_cannot_be_used_are_422_with_a_pointer_and_leave_nothing_behind(
    client: FlaskClient, settings: Settings, fields: dict[str, str], code: str
) -> None:
    response = upload(client, [(picture(), "a.jpg")], **fields)
    body = problem(response)
    assert (response.status_code, body["code"]) == (422, code)
    assert body["errors"][0]["pointer"] == f"/{next(iter(fields))}"
    assert blobs_on_disk(settings) == []
    assert client.get("/v1/jobs").json["data"] == []


def test_no_files_at_all_is_said_so(client: FlaskClient) -> None:
    body = problem(client.post("/v1/jobs", data={"name": "x"}, content_type="multipart/form-data"))
    assert (body["status"], body["code"]) == (422, "no_source")
    body = problem(client.post("/v1/classifications", data={"picture": (io.BytesIO(b"x"), "x")}))
    assert (body["status"], body["code"]) == (422, "no_image")


def test_another_content_type_is_415_and_says_what_came(client: FlaskClient) -> None:
    for path in ("/v1/jobs", "/v1/classifications"):
        body = problem(client.post(path, data="hello", content_type="text/plain"))
        assert (body["status"], body["code"]) == (415, "unsupported_media_type")
        assert "text/plain" in body["detail"]


def test_a_body_over_the_limit_is_413_and_leaves_nothing_behind(client: FlaskClient, settings: Settings) -> None:
    body = problem(upload(client, [(b"x" * 160_000, f"{n}.jpg") for n in range(3)]))
    assert (body["status"], body["code"]) == (413, "too_large")
    assert blobs_on_disk(settings) == []


def test_an_empty_body_and_a_too_large_picture_are_refused_at_once(client: FlaskClient) -> None:
    body = problem(client.post("/v1/classifications", data=b"", content_type="image/jpeg"))
    assert (body["status"], body["code"]) == (415, "not_an_image")
    body = problem(client.post("/v1/classifications", data=b"x" * 200_001, content_type="image/jpeg"))
    assert (body["status"], body["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"anything", "multipart/form-data"),
        (b"no part at all", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\nhalf a',
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_a_multipart_body_that_is_none_is_400(client: FlaskClient, body: bytes, content_type: str) -> None:
    response = client.post("/v1/classifications", data=body, content_type=content_type)
    assert (problem(response)["code"], response.status_code) == ("bad_request", 400)


def test_names_of_files_may_be_in_any_script(client: FlaskClient) -> None:
    name = '가을 "코트" 100%.jpg'
    response = upload(client, [(picture(), name)])
    assert response.status_code == 202
    items = client.get(response.get_json()["links"]["items"]).get_json()["data"]
    assert items[0]["source"]["name"] == name


@pytest.mark.parametrize("crop", ["{}", "[1,2,3,4]", '{"x":0,"y":0,"width":0,"height":5}', "nonsense"])
def test_a_crop_that_is_none_is_422(client: FlaskClient, crop: str) -> None:
    response = client.post("/v1/classifications", data={"image": (io.BytesIO(picture()), "a.jpg"), "crop": crop})
    assert problem(response)["errors"][0]["pointer"].startswith("/crop")
    assert response.status_code == 422


def test_a_crop_that_is_no_json_is_told_what_a_crop_looks_like(client: FlaskClient) -> None:
    response = client.post("/v1/classifications", data={"image": (io.BytesIO(picture()), "a.jpg"), "crop": "0,0,9,9"})
    (error,) = problem(response)["errors"]
    assert error["detail"] == """expected JSON: {"x", "y", "width", "height"} in pixels, got '0,0,9,9'"""


@pytest.mark.parametrize(
    "path",
    ["/v1/jobs/job_x", "/v1/jobs/job_x/items", "/v1/jobs/job_x/summary", "/v1/items/itm_x", "/v1/items/itm_x/thumbnail",
     "/v1/items/itm_x/image", "/v1/models/nobody/1", "/nowhere"],
)  # fmt: skip
def test_what_does_not_exist_is_404_as_a_problem(client: FlaskClient, path: str) -> None:
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
def test_a_query_that_cannot_be_understood_is_422_with_a_pointer(client: FlaskClient, query: str, pointer: str) -> None:
    job = upload(client, [(picture(), "a.jpg")]).json
    body = problem(client.get(f"/v1/jobs/{job['id']}/items?{query}"))
    assert (body["status"], body["errors"][0]["pointer"]) == (422, pointer)


def test_a_wrong_method_is_405_and_names_the_right_ones(client: FlaskClient) -> None:
    response = client.delete("/v1/classifications")
    assert problem(response)["code"] == "method_not_allowed"
    assert "POST" in response.headers["Allow"]


def test_a_poll_with_the_etag_of_an_unchanged_job_is_304(client: FlaskClient) -> None:
    job = upload(client, [(picture(), "a.jpg")]).json
    first = client.get(job["links"]["self"])
    assert first.headers["Retry-After"] == "1"
    again = client.get(job["links"]["self"], headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    other = client.get(job["links"]["self"], headers={"If-None-Match": '"999"'})
    assert other.status_code == 200


def test_jobs_are_listed_newest_first_in_pages(client: FlaskClient) -> None:
    made = [upload(client, [(picture(), "a.jpg")], name=f"job {n}").json["id"] for n in range(5)]
    first = client.get("/v1/jobs?limit=3")
    second = client.get(f"/v1/jobs?limit=3&cursor={first.json['next_cursor']}")
    assert [job["id"] for job in first.json["data"] + second.json["data"]] == made[::-1]
    assert second.json["next_cursor"] is None
    assert first.headers["Link"].endswith('rel="next"')
    assert [job["name"] for job in client.get("/v1/jobs?q=JOB+3").json["data"]] == ["job 3"]


def test_a_pending_item_has_no_thumbnail_but_its_original(client: FlaskClient) -> None:
    job = upload(client, [(picture(), "a.jpg")]).json
    item = client.get(job["links"]["items"]).json["data"][0]
    assert item["image"]["thumbnail"] is None
    assert problem(client.get(f"/v1/items/{item['id']}/thumbnail"))["code"] == "no_thumbnail"
    with client.get(item["image"]["original"]) as original:
        assert original.data == picture()
        # No decoder has opened it yet: it is handed out as bytes, not as something to show.
        assert original.content_type == "application/octet-stream"
        assert original.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in original.headers["Content-Security-Policy"]


def test_an_item_says_all_that_is_known_of_where_it_came_from(app: LookbookApp, client: FlaskClient) -> None:
    known = {
        "page_url": "https://shop.example/1",
        "title": "가을 코트",
        "price": "39.90",
        "currency": "EUR",
        "alt": "a coat",
    }
    details: dict[str, Any] = {"sku": 17, "tags": ["new"]}
    url = "https://shop.example/look-1.jpg"
    new_item = NewItem("look-1.jpg", None, None, None, "sku 17", url, known, details)
    with services_of(app).database.writing() as session:
        new = NewJob("x", JobSource.ITEMS, model_versions.resolve(session, "production"))
        job = jobs.create(session, new, [new_item, NewItem("b.jpg", a_blob("b"))], utc_now())
    full, bare = client.get(f"/v1/jobs/{job.id}/items").get_json()["data"]
    assert full["source"].items() >= {"name": "look-1.jpg", "url": url, **known}.items()
    assert (full["custom_id"], full["metadata"], full["image"]) == ("sku 17", details, None)
    assert bare["source"].items() >= {"name": "b.jpg", "url": None, **dict.fromkeys(known)}.items()
    assert (bare["custom_id"], bare["metadata"]) == (None, {})


def test_ready_says_what_is_missing(client: FlaskClient) -> None:
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json["missing"] == ["broker", "worker"]
    assert response.json["unserved"] == [queue.value for queue in Queue]
    assert client.get("/healthz").json == {"status": "ok"}


def test_a_sane_request_id_is_kept_and_a_strange_one_replaced(client: FlaskClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "abc-123"}).headers["X-Request-ID"] == "abc-123"
    assert client.get("/healthz", headers={"X-Request-ID": "a b<>"}).headers["X-Request-ID"] not in {"a b<>", ""}


def test_prefer_that_is_no_number_is_400(client: FlaskClient) -> None:
    assert problem(classify(client, Prefer="wait=x"))["status"] == 400


def test_a_classification_that_nobody_can_make_now_is_202_with_its_place(client: FlaskClient) -> None:
    response = classify(client)
    assert response.status_code == 202
    assert response.headers["Location"] == f"/v1/items/{response.json['id']}"
    assert client.get(response.headers["Location"]).json["status"] == "pending"


def test_models_and_labels_are_described(client: FlaskClient) -> None:
    (model,) = client.get("/v1/models").json["data"]
    assert (model["name"], model["aliases"], model["metrics"]) == ("test", ["production"], {"accuracy": 0.5})
    detail = client.get("/v1/models/test/1").json
    assert detail["card"] == "card"
    labels = client.get("/v1/labels").json
    assert labels["model"] == "test@1"
    names = {"en": "Shirt", "ko": "셔츠"}
    assert labels["labels"][0] == {"id": "shirt", "name": "Shirt", "group": "tops", "names": names}
    assert problem(client.get("/v1/labels?model=nobody"))["code"] == "unknown_model"


def test_a_job_is_canceled_then_deleted_and_then_unknown(client: FlaskClient) -> None:
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


def test_a_job_past_retention_is_gone(app: LookbookApp, client: FlaskClient) -> None:
    job = upload(client, [(picture(), "a.jpg")]).get_json()
    etag = client.get(job["links"]["self"]).headers["ETag"]
    client.post(job["links"]["cancel"])
    with services_of(app).database.writing() as session:
        session.execute(update(Job).values(expires_at=utc_now()))
    gone = client.get(job["links"]["self"], headers={"If-None-Match": etag})
    assert (gone.status_code, gone.get_json()["code"]) == (410, "expired")
    assert client.get("/v1/jobs").get_json()["data"] == []


def test_a_job_may_say_until_when_it_is_kept_if_that_is_to_come(client: FlaskClient) -> None:
    kept = upload(client, [(picture(), "a.jpg")], expires_at="2999-01-31T00:00:00Z")
    assert (kept.status_code, kept.get_json()["expires_at"]) == (202, "2999-01-31T00:00:00.000Z")
    past = upload(client, [(picture(), "a.jpg")], expires_at="1999-01-31T00:00:00Z")
    assert (past.status_code, problem(past)["errors"][0]["pointer"]) == (422, "/expires_at")


def test_the_next_look_makes_sense_after_a_sixtieth_of_what_a_job_still_takes(
    app: LookbookApp, client: FlaskClient
) -> None:
    job = upload(client, [(picture(), f"{n}.jpg") for n in range(3)]).json
    path = job["links"]["self"]
    first = client.get(path)
    assert first.headers["Retry-After"] == "1"
    for rate, seconds in ((100.0, "1"), (0.01, "5"), (0.001, "10")):
        with services_of(app).database.writing() as session:
            session.execute(update(Job).values(rate=rate))
        unchanged = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (unchanged.status_code, unchanged.headers["Retry-After"]) == (304, seconds)
        assert client.get(path).headers["Retry-After"] == seconds
        item = client.get(f"{path}/items").json["data"][0]
        assert client.get(f"/v1/items/{item['id']}").headers["Retry-After"] == seconds


def test_a_saturated_service_asks_for_bulk_work_later_and_takes_single_pictures(
    app: LookbookApp, settings: Settings
) -> None:
    small = create_app(settings.having(max_pending_items=3))
    client = small.test_client()
    assert upload(client, [(picture(), f"{n}.jpg") for n in range(3)]).status_code == 202
    refused = upload(client, [(picture(), "another.jpg")])
    assert (refused.status_code, problem(refused)["code"]) == (503, "saturated")
    assert refused.headers["Retry-After"] == "10"
    with services_of(small).database.writing() as session:
        session.execute(update(Job).values(pending=603, total=603, rate=2.0))
    assert upload(client, [(picture(), "another.jpg")]).headers["Retry-After"] == "300"
    assert classify(client, Prefer="wait=0").status_code == 202
    services_of(small).database.close()
    services_of(small).broker.close()
