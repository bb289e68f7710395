"""Pictures inside JSON, and request bodies that are compressed."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.integration.apps import body_of, picture, problem

DATA = picture()
BASE64 = base64.b64encode(DATA).decode()


def items_of(client: FlaskClient, job: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body_of(client.get(job["links"]["items"]))["data"]
    return found


@pytest.mark.parametrize(
    "text",
    [
        f"data:image/jpeg;base64,{BASE64}",
        BASE64,
        base64.urlsafe_b64encode(DATA).decode().rstrip("="),
        "\n".join(BASE64[start : start + 76] for start in range(0, len(BASE64), 76)),
    ],
)
def test_a_picture_inside_json_is_stored_as_if_it_were_uploaded(client: FlaskClient, text: str) -> None:
    answer = client.post("/v1/classifications", json={"image": text, "top_k": 3}, headers={"Prefer": "wait=0"})
    assert answer.status_code == 202
    item = body_of(answer)
    with client.get(item["image"]["original"]) as original:
        assert original.data == DATA


@pytest.mark.parametrize("text", ["", "no base64!", "böse", "data:image/jpeg,raw", "https://shop.example/1.jpg"])
def test_text_that_is_no_picture_is_refused_alone_and_fails_only_its_item(client: FlaskClient, text: str) -> None:
    answer = client.post("/v1/classifications", json={"image": text})
    assert answer.status_code in {415, 422}
    items = [{"image": BASE64, "custom_id": "good"}, {"image": text, "custom_id": "bad"}]
    job = body_of(client.post("/v1/jobs", json={"items": items}))
    good, bad = items_of(client, job)
    assert (good["status"], good["source"]["name"], good["image"]["bytes"]) == ("pending", "good", len(DATA))
    assert (bad["status"], bad["error"]["code"]) == ("failed", "empty_file" if not text else "not_an_image")


@pytest.mark.parametrize("body", [{}, {"image": BASE64, "url": "https://shop.example/1.jpg"}])
def test_a_picture_has_either_a_url_or_its_bytes(client: FlaskClient, body: dict[str, str]) -> None:
    assert problem(client.post("/v1/classifications", json=body))["status"] == 422
    assert problem(client.post("/v1/jobs", json={"items": [body]}))["status"] == 422


def post(client: FlaskClient, body: bytes, encoding: str, content_type: str = "application/json") -> Any:
    return client.post("/v1/jobs", data=body, headers={"Content-Encoding": encoding, "Content-Type": content_type})


def test_a_gzip_body_is_read_as_what_it_unpacks_to(client: FlaskClient) -> None:
    items = [{"url": f"https://shop.example/{number}.jpg"} for number in range(1000)]
    job = body_of(post(client, gzip.compress(json.dumps({"items": items}).encode()), "gzip"))
    assert job["counts"]["total"] == 1000
    form = b'--x\r\nContent-Disposition: form-data; name="manifest"; filename="a.csv"\r\n\r\nurl\r\n--x--\r\n'
    job = body_of(post(client, gzip.compress(form), "x-gzip", "multipart/form-data; boundary=x"))
    assert job["source"] == "manifest"


@pytest.mark.parametrize(
    ("body", "encoding", "content_type", "status"),
    [
        (b"{}", "br", "application/json", 415),
        (gzip.compress(DATA), "gzip", "image/jpeg", 415),
        (b"{}", "gzip", "application/json", 400),
        (gzip.compress(b'{"items": []}')[:-5], "gzip", "application/json", 400),
        (gzip.compress(b" " * (65 * 2**20)), "gzip", "application/json", 413),
        (gzip.compress(b" " * (65 * 2**20)), "gzip", "multipart/form-data; boundary=x", 413),
    ],
    # Without names, the packed bytes would name the cases, and they hold the time.
    ids=["unknown", "picture", "not packed", "cut off", "large JSON", "large form"],
)
def test_other_encodings_are_refused_with_their_reason(
    client: FlaskClient, body: bytes, encoding: str, content_type: str, status: int
) -> None:
    answer = post(client, body, encoding, content_type)
    assert (answer.status_code, problem(answer)["status"]) == (status, status), answer.text
    assert status != 415 or answer.headers["Accept-Encoding"] == "gzip"
