"""Signed URLs of pictures: what they show without a key, to whom the service gives them, and how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from api.identity.picture_urls import Variant
from core.clock import rfc3339, utc_now
from core.settings import Settings
from db.blobs.opening import open_blob_store
from db.database import Database
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import Item, JobSource, Scope
from tests.conftest import RunningS3
from tests.integration.apps import bearer, body_of, picture, refused, services_of, serving
from tests.integration.builders import NOW, POLICY, a_key, a_model, delete_job, finish

WRONG_KEYS = Settings().wrong_keys


@dataclass
class Shop:
    """A service with a job of one owner that has two items."""

    app: LookbookApp
    owner: str
    job_id: str
    items: list[str]

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def urls(self, item: int = 0, **query: int) -> dict[str, str]:
        path = f"/v1/items/{self.items[item]}/picture-urls"
        answer = self.client.get(path, query_string=query, headers=bearer(self.owner))
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store"), answer.text
        return body_of(answer)

    def shows(self, url: str) -> bytes:
        """Return the picture that a URL shows to somebody without a key."""
        with self.client.get(url) as answer:
            assert answer.status_code == 200, url
            return bytes(answer.data)


def a_shop(settings: Settings, database: Database, app: LookbookApp) -> Shop:
    key_id, owner = a_key(database, name="owner")
    store = open_blob_store(settings)
    blobs = [
        StoredBlob(store.put(picture(name)), len(picture(name))) for name in ("t-shirt-red.jpg", "dress-green.jpg")
    ]
    with database.writing() as session:
        new = NewJob("signed", JobSource.UPLOADS, a_model(session), key_id=key_id)
        new_items = [NewItem("a.jpg", blobs[0]), NewItem("b.jpg", blobs[1])]
        job, (message,) = submitting.create_with_chunks(session, new, new_items, POLICY, NOW)
    finish(database, message)
    with database.reading() as session:
        items = [item.id for item in session.query(Item).where(Item.job_id == job.id).order_by(Item.position)]
    return Shop(app, owner, job.id, items)


@pytest.fixture
def shop(settings: Settings, database: Database) -> Iterator[Shop]:
    with serving(settings, database) as app:
        yield a_shop(settings, database, app)


def test_a_signed_url_shows_one_picture_without_a_key(shop: Shop) -> None:
    urls = shop.urls(expires_in=600)
    assert urls["original"] == urls["shown"]
    assert urls["original"].startswith("http://localhost/v1/items/")
    with shop.client.get(urls["original"]) as answer:
        assert (answer.status_code, answer.data, answer.content_type) == (200, picture(), "image/jpeg")
    thumbnail = shop.client.get(urls["thumbnail"])
    assert (thumbnail.status_code, thumbnail.content_type) == (200, "image/jpeg")
    with shop.client.head(urls["original"]) as head:
        assert head.status_code == 200
    with shop.client.get(urls["original"], headers={"Range": "bytes=0-9"}) as part:
        assert (part.status_code, part.data) == (206, picture()[:10])


def test_the_headers_let_other_pages_show_the_picture_and_have_caches_ask_again(shop: Shop) -> None:
    with shop.client.get(shop.urls()["original"]) as answer:
        assert answer.status_code == 200
    assert answer.headers.getlist("Cross-Origin-Resource-Policy") == ["cross-origin"]
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = shop.client.get(shop.urls()["original"], headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.headers["Cross-Origin-Resource-Policy"]) == (304, "cross-origin")
    with shop.client.get(f"/v1/items/{shop.items[0]}/image", headers=bearer(shop.owner)) as with_key:
        assert with_key.data == picture()
    assert with_key.headers.getlist("Cross-Origin-Resource-Policy") == ["same-origin"]


def test_a_signature_of_another_item_variant_or_expiry_is_refused(shop: Shop) -> None:
    url = shop.urls()["original"]
    path, query = url.split("?")
    expires, signature = (part.partition("=")[2] for part in query.split("&"))
    other = url.replace(shop.items[0], shop.items[1])
    forged = [
        other,
        f"{path}?expires={int(expires) + 1}&signature={signature}",
        f"{path}?format=jpeg&expires={expires}&signature={signature}",
        f"{path.replace('/image', '/thumbnail')}?expires={expires}&signature={signature}",
        f"{path}?expires={expires}&signature={signature[:-1]}",
        f"{path}?expires={expires}&signature=é",
        f"{path}?expires={expires}&signature=",
        f"{path}?expires={expires}",
        f"{path}?signature={signature}",
        f"{path}?expires=9999999999999999999&signature={signature}",
        f"{path}?expires=-1&signature={signature}",
    ]
    for changed in forged:
        assert "signature" in refused(shop.client.get(changed), 403, "bad_signature")["detail"], changed
    # Not even a valid key makes up for it, so that a wrong URL is noticed before it is sent to others.
    refused(shop.client.get(other, headers=bearer(shop.owner)), 403, "bad_signature")
    assert shop.shows(url) == picture()


def test_an_expired_url_says_when_it_expired(shop: Shop) -> None:
    expired_at = utc_now().replace(microsecond=0) - timedelta(seconds=1)
    url = services_of(shop.app).picture_urls.sign(shop.items[0], Variant.ORIGINAL, expired_at)
    assert rfc3339(expired_at) in refused(shop.client.get(url), 403, "picture_url_expired")["detail"]


def test_a_signed_url_opens_nothing_but_its_picture(shop: Shop) -> None:
    query = urlsplit(shop.urls()["original"]).query
    for path in (
        f"/v1/items/{shop.items[0]}",
        f"/v1/items/{shop.items[0]}/explanation",
        f"/v1/items/{shop.items[0]}/picture-urls",
        f"/v1/items/{shop.items[1]}/image",
        f"/v1/jobs/{shop.job_id}",
        "/v1/jobs",
        "/v1/usage",
    ):
        assert shop.client.get(f"{path}?{query}").status_code in {401, 403, 404}, path
    assert shop.client.delete(f"/v1/jobs/{shop.job_id}?{query}").status_code == 401


def test_deleting_the_job_ends_its_urls(shop: Shop) -> None:
    url = shop.urls()["original"]
    with shop.client.get(url) as shown:
        etag = shown.headers["ETag"]
    delete_job(services_of(shop.app).database, shop.job_id)
    refused(shop.client.get(url), 404, "unknown_item")
    refused(shop.client.get(url, headers={"If-None-Match": etag}), 404, "unknown_item")


def test_other_owners_and_visitors_get_no_urls(shop: Shop) -> None:
    database = services_of(shop.app).database
    path = f"/v1/items/{shop.items[0]}/picture-urls"
    for scope in (Scope.READ, Scope.ADMIN):
        refused(shop.client.get(path, headers=bearer(a_key(database, scope)[1])), 404, "unknown_item")
    refused(shop.client.get(path, headers=bearer(a_key(database, Scope.SUBMIT)[1])), 403, "insufficient_scope")
    link = body_of(shop.client.post(f"/v1/jobs/{shop.job_id}/shares", json={}, headers=bearer(shop.owner)))["url"]
    visitor = shop.client
    visitor.get(link)
    refused(visitor.get(path), 401, "key_required")
    export = f"/v1/jobs/{shop.job_id}/export"
    assert visitor.get(f"{export}?format=csv").status_code == 200
    refused(visitor.get(f"{export}?format=csv&picture_urls=60"), 403, "shared_only")
    refused(visitor.get(f"{export}?format=coco"), 403, "shared_only")


def test_a_life_that_is_no_number_of_seconds_up_to_30_days_is_refused(shop: Shop) -> None:
    path = f"/v1/items/{shop.items[0]}/picture-urls"
    for life in ("0", "-1", "2592001", "week", ""):
        refused(shop.client.get(f"{path}?expires_in={life}", headers=bearer(shop.owner)), 422, "invalid_request")


def test_exports_contain_urls_on_request(shop: Shop) -> None:
    answer = shop.client.get(f"/v1/jobs/{shop.job_id}/export?format=jsonl&picture_urls=60", headers=bearer(shop.owner))
    (first, _) = map(json.loads, answer.text.splitlines())
    assert shop.shows(first["picture_url"]) == picture()
    assert shop.client.get(first["thumbnail_url"]).content_type == "image/jpeg"


def test_forged_signatures_count_as_wrong_keys(shop: Shop) -> None:
    forged = shop.urls()["original"] + "x"
    answers = [shop.client.get(forged).status_code for _ in range(WRONG_KEYS + 1)]
    assert answers == [403] * WRONG_KEYS + [429]
    assert shop.shows(shop.urls()["original"]) == picture()


def test_every_process_of_an_installation_accepts_the_urls(shop: Shop, settings: Settings) -> None:
    url = shop.urls()["original"]
    with serving(settings, services_of(shop.app).database) as second:
        assert replace(shop, app=second).shows(url) == picture()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_bucket_sends_the_pictures_of_signed_urls_itself_if_the_settings_say_so(
    settings: Settings, database: Database, s3: RunningS3
) -> None:
    settings = settings.with_changes(blobs=f"s3://{s3.make_bucket()}", s3_redirect=True)
    with serving(settings, database) as app:
        shop = a_shop(settings, database, app)
        url = shop.urls()["original"]
        answer = shop.client.get(url)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
        assert "X-Amz-Expires=60" in answer.headers["Location"]
        with httpx.Client(trust_env=False) as http:
            assert http.get(answer.headers["Location"]).content == picture()
        with shop.client.get(f"/v1/items/{shop.items[0]}/image", headers=bearer(shop.owner)) as with_key:
            assert with_key.data == picture()
        assert shop.client.get(shop.urls()["thumbnail"]).status_code == 200
        delete_job(database, shop.job_id)
        refused(shop.client.get(url), 404, "unknown_item")
