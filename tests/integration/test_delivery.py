"""How pages, scripts and JSON are sent: compressed, answered with 304 if unchanged, and samples as small pictures."""

from __future__ import annotations

import gzip
import io
import json

import brotli
import pytest
from flask.testing import FlaskClient
from PIL import Image

from tests.integration.apps import body_of, picture, upload

SCRIPT = "/static/js/shared/api.js"


def accepting(encoding: str, **headers: str) -> dict[str, str]:
    return {"Accept-Encoding": encoding, **headers}


@pytest.mark.parametrize(("accepted", "chosen"), [("gzip", "gzip"), ("gzip, deflate, br, zstd", "br")])
def test_text_is_compressed_as_the_client_prefers(client: FlaskClient, accepted: str, chosen: str) -> None:
    unpack = gzip.decompress if chosen == "gzip" else brotli.decompress
    for path in (SCRIPT, "/static/css/lookbook.css", "/openapi.json", "/samples/index.json", "/"):
        with client.get(path) as plain, client.get(path, headers=accepting(accepted)) as packed:
            assert "Content-Encoding" not in plain.headers
            assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == (chosen, "Accept-Encoding")
            assert unpack(packed.data) == plain.data
            assert len(packed.data) < 0.6 * len(plain.data)


def test_a_static_file_is_sent_again_only_if_it_has_changed(client: FlaskClient) -> None:
    tags = set()
    for encoding in ("identity", "gzip", "br"):
        with client.get(SCRIPT, headers=accepting(encoding)) as first:
            tag = first.headers["ETag"]
            assert (first.status_code, first.cache_control.no_cache) == (200, True)
        with client.get(SCRIPT, headers=accepting(encoding, **{"If-None-Match": tag})) as again:
            assert (again.status_code, again.data) == (304, b"")
        tags.add(tag)
    # The bytes differ, so each encoding has an ETag of its own.
    assert len(tags) == 3


def test_a_part_of_a_file_is_not_compressed(client: FlaskClient) -> None:
    with client.get(SCRIPT) as whole, client.get(SCRIPT, headers=accepting("br", Range="bytes=0-1999")) as part:
        assert (part.status_code, "Content-Encoding" in part.headers) == (206, False)
        assert part.data == whole.data[:2000]


def test_a_poll_is_answered_with_304_whatever_the_encoding(client: FlaskClient) -> None:
    job = body_of(upload(client, [(picture(), "a.jpg")], metadata=json.dumps({"notes": "a long job " * 100})))
    path = job["links"]["self"]
    packed = client.get(path, headers=accepting("br"))
    assert packed.headers["Content-Encoding"] == "br"
    for encoding in ("br", "gzip", "identity"):
        again = client.get(path, headers=accepting(encoding, **{"If-None-Match": packed.headers["ETag"]}))
        assert (again.status_code, again.headers["ETag"]) == (304, packed.headers["ETag"])


def test_pictures_and_exports_are_sent_as_they_are(client: FlaskClient) -> None:
    job = body_of(upload(client, [(picture(), "a.jpg")] * 2))
    item = body_of(client.get(job["links"]["items"]))["data"][0]
    with client.get(item["image"]["original"], headers=accepting("br, gzip")) as original:
        assert (original.data, "Content-Encoding" in original.headers) == (picture(), False)
    for file_format in ("csv", "jsonl", "parquet"):
        export = client.get(f"{job['links']['export']}?format={file_format}", headers=accepting("br, gzip"))
        assert export.is_streamed
        assert "Content-Encoding" not in export.headers
        export.close()


def test_each_sample_has_a_small_picture(client: FlaskClient) -> None:
    samples = body_of(client.get("/samples/index.json"))["samples"]
    answers = [client.get(sample["thumbnail"]) for sample in samples]
    assert {answer.content_type for answer in answers} == {"image/jpeg"}
    # All of them together weigh less than two of the originals.
    assert sum(len(answer.data) for answer in answers) < 200_000
    for sample, answer in zip(samples, answers, strict=True):
        with Image.open(io.BytesIO(answer.data)) as image:
            assert max(image.size) == 240
            assert image.width / image.height == pytest.approx(sample["width"] / sample["height"], abs=0.02)
    again = client.get(samples[0]["thumbnail"], headers={"If-None-Match": answers[0].headers["ETag"]})
    assert again.status_code == 304


def test_only_samples_have_thumbnails(client: FlaskClient) -> None:
    for name in ("missing.jpg", "..%2Fdraw.py", "%2e%2e/draw.py", "..", "a%00.jpg"):
        assert client.get(f"/samples/thumbnails/{name}").status_code == 404
