"""Requests with unusual mistakes, on both databases: the answer says what the API expects and what it got."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient

from core.settings import Settings
from db.database import Database
from tests.integration.apps import picture, problem, serving, upload
from tests.integration.builders import a_model


@pytest.fixture
def client(settings: Settings, database: Database) -> Iterator[FlaskClient]:
    with database.writing() as session:
        a_model(session)
    with serving(settings, database) as made:
        yield made.test_client()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/%00",
        "/v1/jobs/%00/items",
        "/v1/items/itm_%00",
        "/v1/items/%00/thumbnail",
        "/v1/models/a%00/1",
        "/v1/jobs/x/deliveries/%00/replay",
    ],
)
def test_an_id_with_a_nul_character_is_not_found(client: FlaskClient, path: str) -> None:
    answer = client.post(path) if path.endswith("replay") else client.get(path)
    assert problem(answer)["status"] == 404


@pytest.mark.parametrize("query", ["jobs?q=%00", "labels?model=%00", "jobs?cursor=eyJiZWZvcmUiOiAiXHUwMDAwIn0"])
def test_a_query_with_a_nul_character_is_refused(client: FlaskClient, query: str) -> None:
    assert problem(client.get(f"/v1/{query}"))["status"] == 422


def test_options_with_a_nul_character_are_refused(client: FlaskClient) -> None:
    for member in ("name", "model"):
        answer = client.post("/v1/jobs", json={"items": [{"url": "https://shop.example/1.jpg"}], member: "a\0b"})
        assert problem(answer)["errors"][0]["pointer"] == f"/{member}"
    assert problem(upload(client, [(picture(), "a.jpg")], name="a\0b"))["status"] == 422
    answer = client.post("/v1/classifications", json={"url": "https://shop.example/1.jpg", "model": "\0"})
    assert problem(answer)["status"] == 422


@pytest.mark.parametrize("wrong", [True, "1", 1.5])
def test_booleans_and_texts_are_no_numbers_in_json(client: FlaskClient, wrong: object) -> None:
    url = "https://shop.example/1.jpg"
    crop = {"x": 0, "y": 0, "width": 9, "height": wrong}
    bodies = [
        ("/v1/classifications", {"url": url, "top_k": wrong}, "/top_k"),
        ("/v1/classifications", {"url": url, "crop": crop}, "/crop/height"),
        ("/v1/jobs", {"items": [{"url": url, "crop": crop}]}, "/items/0/crop/height"),
        ("/v1/jobs", {"crawl": {"start_urls": [url], "limits": {"pages": wrong}}}, "/crawl/limits/pages"),
        ("/v1/keys", {"name": "a", "scopes": ["admin"], "rate_limit": wrong}, "/rate_limit"),
    ]
    for path, body, pointer in bodies:
        answer = client.post(path, json=body)
        assert problem(answer)["errors"][0]["pointer"] == pointer
    form = {"image": (io.BytesIO(picture()), "a.jpg"), "crop": json.dumps(crop)}
    assert problem(client.post("/v1/classifications", data=form))["status"] == 422


def test_a_whole_number_may_have_a_decimal_point(client: FlaskClient) -> None:
    crop = {"x": 0.0, "y": 0.0, "width": 9.0, "height": 9}
    answer = client.post(
        "/v1/jobs", json={"items": [{"url": "https://shop.example/1.jpg", "crop": crop}], "top_k": 3.0}
    )
    assert answer.status_code == 202


def test_nul_characters_of_a_file_name_are_replaced(client: FlaskClient) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a\0b.jpg"\r\n\r\n'
    body = head + picture() + b"\r\n--x--\r\n"
    made = client.post("/v1/jobs", data=body, content_type="multipart/form-data; boundary=x")
    (item,) = client.get(f"{made.headers['Location']}/items").get_json()["data"]
    assert (made.get_json()["name"], item["source"]["name"]) == ("a\N{REPLACEMENT CHARACTER}b.jpg",) * 2
    by_url = client.post("/v1/jobs", json={"items": [{"url": "https://shop.example/a%00b.jpg"}]})
    assert by_url.status_code == 202


def test_member_names_in_pointers_are_escaped(client: FlaskClient) -> None:
    # RFC 6901 escapes ~ as ~0 and / as ~1.
    answer = client.post("/v1/jobs", json={"items": [{"url": "https://shop.example/1.jpg"}], "a/b~c": 1})
    assert problem(answer)["errors"][0]["pointer"] == "/a~1b~0c"


def test_the_error_of_a_query_contains_its_value(client: FlaskClient) -> None:
    answer = problem(client.get("/v1/jobs?limit=2000"))
    assert answer["errors"] == [
        {"pointer": "/limit", "detail": "Input should be less than or equal to 200, got '2000'"}
    ]


def test_a_body_that_is_no_json_is_refused_with_the_reason(client: FlaskClient) -> None:
    def put(data: bytes, content_type: str) -> dict[str, Any]:
        return problem(client.put("/v1/items/itm_1/review", data=data, content_type=content_type))

    assert put(b"{", "application/json")["detail"].startswith("The body is not valid JSON: ")
    assert put(b"", "application/json")["status"] == 400
    assert put(b"{}", "text/plain")["detail"] == "Expected application/json, got text/plain."
    assert put(b"{}", "text/plain")["status"] == 415


def test_errors_name_unknown_paths_and_methods(client: FlaskClient) -> None:
    assert problem(client.get("/v1/nothing"))["detail"] == "There is nothing at '/v1/nothing'."
    assert problem(client.get("/v1/jobs//items"))["detail"] == "There is nothing at '/v1/jobs//items'."
    refused = client.patch("/v1/jobs")
    assert problem(refused)["detail"] == "This URL allows GET, HEAD, OPTIONS or POST, but not PATCH."
    assert "POST" in refused.headers["Allow"]


def test_a_file_in_an_unknown_field_is_refused(client: FlaskClient) -> None:
    def sent(path: str, *fields: str) -> dict[str, Any]:
        parts = [(field, (f"{field}.jpg", picture())) for field in fields]
        request = httpx.Request("POST", f"http://localhost{path}", files=parts)
        return problem(client.post(path, data=request.read(), content_type=request.headers["Content-Type"]))

    assert sent("/v1/jobs", "images", "image")["errors"] == [
        {"pointer": "/image", "detail": "expected files in images, archive, manifest"}
    ]
    assert sent("/v1/classifications", "image", "images")["status"] == 422
    assert sent("/v1/classifications", "image", "image")["status"] == 422


def test_a_strong_etag_matches(client: FlaskClient) -> None:
    # Some clients drop the W/ of a weak ETag, and If-None-Match compares weakly (RFC 9110, section 13.1.2).
    job = upload(client, [(picture(), "a.jpg")])
    url, tag = job.headers["Location"], job.headers["ETag"]
    assert client.get(url, headers={"If-None-Match": tag.removeprefix("W/")}).status_code == 304


def test_the_connection_closes_if_the_body_of_a_refused_request_was_not_read(client: FlaskClient) -> None:
    refused = client.post("/v1/jobs", data=picture(), content_type="image/jpeg")
    assert (refused.status_code, refused.headers["Connection"]) == (415, "close")
    read = client.post("/v1/jobs", data=json.dumps({"items": []}), content_type="application/json")
    assert (read.status_code, "Connection" in read.headers) == (422, False)
    stored = upload(client, [(picture(), "a.jpg")])
    assert (stored.status_code, "Connection" in stored.headers) == (202, False)
    assert "Connection" not in client.get("/v1/jobs").headers


FILE_NAMES = [
    ('filename="가을.jpg"'.encode("cp949"), "가을.jpg"),
    ('filename="가을.jpg"'.encode(), "가을.jpg"),
    (b'filename="caf\x82.jpg"', "café.jpg"),
    (b"filename*=UTF-8''%EA%B0%80%EC%9D%84.jpg", "가을.jpg"),
    (b"filename*=euc-kr''%B0%A1%C0%BB.jpg; filename=\"_.jpg\"", "가을.jpg"),
    (b"filename=\"=?utf-8?B?6rCA7J2ELmpwZw==?=\"; filename*=UTF-8''%EA%B0%80.jpg", "가.jpg"),
    (b'filename="=?utf-8?B?6rCA7J2ELmpwZw==?="', "가을.jpg"),
    (b'filename="=?utf-8?Q?=EA=B0=80=EC=9D=84.jpg?="', "가을.jpg"),
    (b'filename="=?nothing?B?6rCA?="', "=?nothing?B?6rCA?="),
    (b"filename*0*=UTF-8''%EA%B0%80; filename*1=.jpg", "가.jpg"),
    (b"filename*=UTF-8''%FF%FE.jpg", "\ufffd\ufffd.jpg"),
]


def test_the_name_of_a_file_may_be_written_in_any_way(client: FlaskClient) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="images"; '
    body = b"".join(head + disposition + b"\r\n\r\n" + picture() + b"\r\n" for disposition, _ in FILE_NAMES)
    made = client.post("/v1/jobs", data=body + b"--x--\r\n", content_type="multipart/form-data; boundary=x")
    assert made.status_code == 202, made.text
    items = client.get(f"{made.headers['Location']}/items").get_json()["data"]
    assert [item["source"]["name"] for item in items] == [name for _, name in FILE_NAMES]


SHOP = "https://shop.example/1.jpg"
DEEP, DEEPEST = (depth * "[" + depth * "]" for depth in (2000, 100_000))
"""The second one is too deep for the parser of every supported Python."""
ODD_BODIES: list[tuple[str, str, str, int]] = [
    ("POST", "/v1/jobs", f'{{"items":[{{"url":"{SHOP}"}}],"expires_at":"9999-12-31T23:59:59-14:00"}}', 422),
    ("POST", "/v1/jobs", f'{{"items":[{{"url":"{SHOP}"}}],"expires_at":"0001-01-01T00:00:00+14:00"}}', 422),
    ("POST", "/v1/jobs", f'{{"items":[{{"url":"{SHOP}","metadata":{{"a":NaN}}}}]}}', 422),
    ("POST", "/v1/jobs", f'{{"items":[{{"url":"{SHOP}","metadata":{{"a":"\\ud800"}}}}]}}', 400),
    ("POST", "/v1/classifications", '{"image":"가을"}', 415),
    ("POST", "/v1/jobs", DEEPEST, 400),
    ("POST", "/session", '{"key":"\\ud800"}', 401),
    ("POST", "/session", DEEP, 401),
    ("POST", "/v1/models/garments/promote", '{"version":"\\ud800"}', 400),
    ("POST", "/v1/models/garments/promote", '{"version":"\\udc00\\ud800"}', 400),
    ("POST", "/v1/models/garments/promote", f'{{"version":{DEEPEST}}}', 400),
    ("PUT", "/v1/items/itm_1/review", '{"label":"\\ud83d\\ude00"}', 404),
    ("PUT", "/v1/items/itm_1/review", '{"label":"\\ud83d"}', 400),
    ("PUT", "/v1/items/itm_1/review", '{"label":NaN}', 422),
    ("PATCH", "/v1/jobs/job_1", '{"expires_at":"9999-12-31T23:59:59-14:00"}', 422),
]


def test_bodies_with_texts_dates_and_depths_that_cannot_be_stored_are_refused(client: FlaskClient) -> None:
    answered = []
    for method, path, body, _ in ODD_BODIES:
        answer = client.open(path, method=method, data=body, content_type="application/json")
        answered.append((method, path, body, problem(answer)["status"]))
    assert answered == ODD_BODIES
    surrogate = client.post("/session", data=b'{"key":"\xed\xa0\x80"}', content_type="application/json")
    assert surrogate.status_code == 401


@pytest.mark.parametrize("origin", ["http://[", "http://]", "null", "\\\\", "http://[::1", "https://\xff"])
def test_an_origin_that_is_no_url_is_another_site(client: FlaskClient, origin: str) -> None:
    answer = client.post("/v1/jobs", json={"items": [{"url": SHOP}]}, headers={"Origin": origin})
    assert problem(answer)["code"] == "cross_site"


@pytest.mark.parametrize("host", ["[", "a b", "a/b", "[::1", "localhost:99999999", "x" * 5000, "", "\xff"])
def test_a_host_that_is_no_host_is_no_error_of_ours(client: FlaskClient, host: str) -> None:
    for path in ("/healthz", "/v1/jobs", "/", "/openapi.json"):
        assert client.get(path, headers={"Host": host}).status_code < 500
    answer = client.post("/v1/jobs", json={"items": []}, headers={"Host": host, "Origin": "http://x"})
    assert answer.status_code < 500


def test_a_pointer_names_only_members_of_the_body(client: FlaskClient) -> None:
    body = {"items": [{"url": SHOP}, {"url": SHOP, "product": {"price": {}}}]}
    (error,) = problem(client.post("/v1/jobs", json=body))["errors"]
    assert error["pointer"] == "/items/1/product/price"
    assert "Input should be a valid number" in error["detail"]
    (extra,) = problem(client.post("/v1/jobs", json={"items": [{"url": SHOP, "price": {}}]}))["errors"]
    assert extra == {"pointer": "/items/0/price", "detail": "Extra inputs are not permitted, got {}"}
    (missing,) = problem(client.post("/v1/keys", json={"scopes": ["read"]}))["errors"]
    assert missing["pointer"] == "/name"


def test_a_body_above_the_limit_is_refused_in_words_of_ours(client: FlaskClient) -> None:
    answer = client.post("/session", data=b" " * 5000, content_type="application/json")
    assert problem(answer)["detail"] == "Expected a body of at most 4,096 bytes, got a larger one."
