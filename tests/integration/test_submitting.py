"""Submitting pictures without a worker: what is stored, answered and refused."""

from __future__ import annotations

import io
import json

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from api.app import LookbookApp
from core.clock import utc_now
from core.settings import Settings
from db.tables import Chunk, Item, ItemStatus, Job
from tests.conftest import RunningRedis
from tests.integration.apps import blobs_on_disk, body_of, classify, picture, problem, services_of, serving, upload


def test_an_upload_is_stored_and_answered_with_its_job(client: FlaskClient, settings: Settings) -> None:
    response = upload(client, [(picture(), "a.jpg"), (picture("shirt-white.jpg"), "b.jpg")], name="Autumn")
    assert response.status_code == 202
    job = body_of(response)
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["name"], job["status"], job["source"]) == ("Autumn", "queued", "uploads")
    assert job["counts"] == {"total": 2, "pending": 2, "succeeded": 0, "failed": 0, "canceled": 0, "reused": 0}
    assert job["model"] == {"name": "test", "version": "1"}
    assert job["created_at"].endswith("Z")
    assert len(blobs_on_disk(settings)) == 2


def test_a_submission_without_redis_is_stored_with_chunks_that_are_due_at_once(
    app: LookbookApp, client: FlaskClient
) -> None:
    assert upload(client, [(picture(), "a.jpg")]).status_code == 202
    with services_of(app).database.reading() as session:
        chunk = session.scalars(select(Chunk)).one()
        item = session.scalars(select(Item)).one()
    assert (item.status, item.chunk_id) == (ItemStatus.PENDING, chunk.id)
    assert (chunk.attempts, chunk.queued_at) == (0, None)
    assert chunk.due_at <= utc_now()


def test_chunks_of_a_submission_are_queued_by_priority(
    settings: Settings, redis: RunningRedis, app: LookbookApp
) -> None:
    with serving(settings.with_changes(redis_url=redis.url)) as made:
        response = upload(made.test_client(), [(picture(), f"{n}.jpg") for n in range(6)])
        assert response.status_code == 202
        assert redis.connection.llen("bulk") == 2
        assert classify(made.test_client(), Prefer="wait=0").status_code == 202
        assert redis.connection.llen("interactive") == 1


def test_a_job_stores_vectors_unless_it_or_the_service_leaves_them_out(
    settings: Settings, app: LookbookApp, client: FlaskClient
) -> None:
    assert body_of(upload(client, [(picture(), "a.jpg")]))["vectors"] is True
    assert body_of(upload(client, [(picture(), "a.jpg")], vectors="false"))["vectors"] is False
    assert body_of(client.post("/v1/jobs", json={"open": True, "vectors": False}))["vectors"] is False
    with serving(settings.with_changes(vectors=False)) as without:
        answer = without.test_client().post("/v1/jobs", json={"open": True})
        assert body_of(answer)["vectors"] is False
        refused = problem(without.test_client().post("/v1/jobs", json={"open": True, "vectors": True}))
    assert (refused["status"], refused["code"]) == (422, "vectors_off")
    assert "LOOKBOOK_VECTORS" in refused["detail"]


def test_a_request_can_contain_more_than_a_thousand_files(app: LookbookApp, client: FlaskClient) -> None:
    small = picture("t-shirt-black.webp")[:100]
    response = upload(client, [(small + str(n).encode(), f"{n}.webp") for n in range(1500)])
    assert response.status_code == 202
    assert body_of(response)["counts"]["total"] == 1500
    with services_of(app).database.reading() as session:
        assert len(set(session.scalars(select(Item.blob_sha256)))) == 1500


def test_file_names_are_kept_as_text(client: FlaskClient) -> None:
    name = "../../<script>한글.jpg"
    job = body_of(upload(client, [(picture(), name)]))
    item = body_of(client.get(f"/v1/jobs/{job['id']}/items"))["data"][0]
    assert item["source"]["name"] == name


def test_empty_and_too_large_files_fail_only_their_items(client: FlaskClient, settings: Settings) -> None:
    job = body_of(upload(client, [(b"", "empty.jpg"), (b"x" * 200_001, "large.jpg"), (picture(), "good.jpg")]))
    assert (job["counts"]["failed"], job["counts"]["pending"], job["status"]) == (2, 1, "queued")
    items = body_of(client.get(f"/v1/jobs/{job['id']}/items"))["data"]
    assert [item["error"] and item["error"]["code"] for item in items] == ["empty_file", "too_large", None]
    assert items[1]["image"] is None
    assert "200,000 bytes, got 200,001" in items[1]["error"]["detail"]
    assert len(blobs_on_disk(settings)) == 1


def test_a_job_of_refused_files_only_is_completed(client: FlaskClient) -> None:
    job = body_of(upload(client, [(b"", "empty.jpg")]))
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
def test_wrong_options_are_answered_with_422_and_a_pointer_and_store_nothing(
    client: FlaskClient, settings: Settings, fields: dict[str, str], code: str
) -> None:
    response = upload(client, [(picture(), "a.jpg")], **fields)
    body = problem(response)
    assert (response.status_code, body["code"]) == (422, code)
    assert body["errors"][0]["pointer"] == f"/{next(iter(fields))}"
    assert blobs_on_disk(settings) == []
    assert body_of(client.get("/v1/jobs"))["data"] == []


def test_a_form_without_files_is_refused(client: FlaskClient) -> None:
    body = problem(client.post("/v1/jobs", data={"name": "x"}, content_type="multipart/form-data"))
    assert (body["status"], body["code"]) == (422, "no_source")
    body = problem(client.post("/v1/classifications", data={"picture": (io.BytesIO(b"x"), "x")}))
    assert (body["status"], body["code"]) == (422, "no_image")


def test_another_content_type_is_answered_with_415(client: FlaskClient) -> None:
    for path in ("/v1/jobs", "/v1/classifications"):
        body = problem(client.post(path, data="hello", content_type="text/plain"))
        assert (body["status"], body["code"]) == (415, "unsupported_media_type")
        assert "text/plain" in body["detail"]


def test_a_body_over_the_limit_is_answered_with_413_and_stores_nothing(client: FlaskClient, settings: Settings) -> None:
    body = problem(upload(client, [(b"x" * 160_000, f"{n}.jpg") for n in range(3)]))
    assert (body["status"], body["code"]) == (413, "too_large")
    assert blobs_on_disk(settings) == []


def test_an_empty_body_and_a_too_large_picture_are_refused_at_once(client: FlaskClient) -> None:
    body = problem(client.post("/v1/classifications", data=b"", content_type="image/jpeg"))
    assert (body["status"], body["code"]) == (422, "empty_file")
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
def test_a_broken_multipart_body_is_answered_with_400(client: FlaskClient, body: bytes, content_type: str) -> None:
    response = client.post("/v1/classifications", data=body, content_type=content_type)
    assert (problem(response)["code"], response.status_code) == ("bad_request", 400)


def test_file_names_can_contain_any_script(client: FlaskClient) -> None:
    name = '가을 "코트" 100%.jpg'
    response = upload(client, [(picture(), name)])
    assert response.status_code == 202
    items = client.get(response.get_json()["links"]["items"]).get_json()["data"]
    assert items[0]["source"]["name"] == name


@pytest.mark.parametrize("crop", ["{}", "[1,2,3,4]", '{"x":0,"y":0,"width":0,"height":5}', "nonsense"])
def test_an_invalid_crop_is_answered_with_422(client: FlaskClient, crop: str) -> None:
    response = client.post("/v1/classifications", data={"image": (io.BytesIO(picture()), "a.jpg"), "crop": crop})
    assert problem(response)["errors"][0]["pointer"].startswith("/crop")
    assert response.status_code == 422


def test_the_error_of_a_crop_that_is_no_json_describes_a_crop(client: FlaskClient) -> None:
    response = client.post("/v1/classifications", data={"image": (io.BytesIO(picture()), "a.jpg"), "crop": "0,0,9,9"})
    (error,) = problem(response)["errors"]
    assert error["detail"] == "expected a JSON object with `x`, `y`, `width` and `height` in pixels, got '0,0,9,9'"


def test_an_invalid_prefer_header_is_answered_with_400(client: FlaskClient) -> None:
    assert problem(classify(client, Prefer="wait=x"))["status"] == 400


def test_a_classification_without_a_worker_is_answered_with_202_and_a_location(client: FlaskClient) -> None:
    response = classify(client)
    assert response.status_code == 202
    assert response.headers["Location"] == f"/v1/items/{body_of(response)['id']}"
    assert body_of(client.get(response.headers["Location"]))["status"] == "pending"


def test_the_expiry_of_a_job_can_be_set_to_a_future_time(client: FlaskClient) -> None:
    kept = upload(client, [(picture(), "a.jpg")], expires_at="2999-01-31T00:00:00Z")
    assert (kept.status_code, kept.get_json()["expires_at"]) == (202, "2999-01-31T00:00:00.000Z")
    past = upload(client, [(picture(), "a.jpg")], expires_at="1999-01-31T00:00:00Z")
    assert (past.status_code, problem(past)["errors"][0]["pointer"]) == (422, "/expires_at")


def test_a_saturated_service_refuses_jobs_and_accepts_single_pictures(app: LookbookApp, settings: Settings) -> None:
    with serving(settings.with_changes(max_pending_items=3)) as small:
        client = small.test_client()
        assert upload(client, [(picture(), f"{n}.jpg") for n in range(3)]).status_code == 202
        refused = upload(client, [(picture(), "another.jpg")])
        assert (refused.status_code, problem(refused)["code"]) == (503, "saturated")
        assert refused.headers["Retry-After"] == "10"
        with services_of(small).database.writing() as session:
            session.execute(update(Job).values(pending=603, total=603, rate=2.0))
        assert upload(client, [(picture(), "another.jpg")]).headers["Retry-After"] == "300"
        assert classify(client, Prefer="wait=0").status_code == 202
