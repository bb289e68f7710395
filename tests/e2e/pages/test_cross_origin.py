"""A page of another origin calls the API in Chromium, and shows a picture by a signed URL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIServer, make_server

import pytest
from playwright.sync_api import Browser, Page

from api.app import LookbookApp
from core.settings import Settings
from db.blobs.opening import open_blob_store
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import Item, JobSource, Scope
from tests.answering import Reply, answering
from tests.integration.apps import picture, prepare, services_of, serving
from tests.integration.builders import NOW, POLICY, a_key, a_model, finish

PAGE = Reply(200, b"<!doctype html><title>elsewhere</title><img>", {"Content-Type": "text/html"})
CALL = """async ({ path, options }) => {
  const answer = await fetch(path, options);
  return { status: answer.status, id: answer.headers.get("X-Request-ID"), body: await answer.json() };
}"""
SHOW = """(url) => new Promise((done) => {
  const image = document.querySelector("img");
  image.onload = () => done(image.naturalWidth);
  image.onerror = () => done(0);
  image.src = url;
})"""


class _Server(ThreadingMixIn, WSGIServer):
    """Chromium opens several connections at once."""


@contextmanager
def listening(app: LookbookApp) -> Iterator[str]:
    """Serve an application over HTTP. Yield its URL."""
    server = make_server("127.0.0.1", 0, app, server_class=_Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def elsewhere(browser: Browser) -> Iterator[Page]:
    """A page of a server that is not Lookbook."""
    with answering(*[PAGE] * 3) as other:
        context = browser.new_context()
        page = context.new_page()
        page.goto(other.url)
        yield page
        context.close()


def origin_of(page: Page) -> str:
    return str(page.evaluate("location.origin"))


def call(page: Page, path: str, **options: Any) -> Any:
    return page.evaluate(CALL, {"path": path, "options": options})


def test_a_page_of_an_allowed_origin_reads_answers_and_errors_and_sends_changes(
    settings: Settings, elsewhere: Page
) -> None:
    prepare(settings)
    allowed = settings.with_changes(cors_origins=origin_of(elsewhere))
    with serving(allowed) as app, listening(app) as url:
        key = a_key(services_of(app).database, Scope.ADMIN)[1]
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        listed = call(elsewhere, f"{url}/v1/jobs", headers=headers)
        assert (listed["status"], listed["body"]["data"]) == (200, [])
        assert listed["id"]
        made = call(elsewhere, f"{url}/v1/keys", method="POST", headers=headers, body='{"name": "from elsewhere"}')
        assert (made["status"], made["body"]["name"]) == (201, "from elsewhere")
        assert call(elsewhere, f"{url}/v1/jobs")["body"]["code"] == "key_required"
        assert call(elsewhere, f"{url}/v1/jobs/job_x", method="DELETE", headers=headers)["status"] == 404


def test_a_page_of_another_origin_reads_nothing_without_the_setting_but_shows_signed_pictures(
    settings: Settings, elsewhere: Page
) -> None:
    prepare(settings)
    with serving(settings) as app, listening(app) as url:
        database = services_of(app).database
        blob = StoredBlob(open_blob_store(settings).put(picture()), len(picture()))
        with database.writing() as session:
            new = NewJob("shown", JobSource.UPLOADS, a_model(session))
            _, (message,) = submitting.create_with_chunks(session, new, [NewItem("a.jpg", blob)], POLICY, NOW)
        finish(database, message)
        with database.reading() as session:
            item_id = session.query(Item).one().id
        with pytest.raises(Exception, match="Failed to fetch"):
            call(elsewhere, f"{url}/v1/jobs")
        with app.test_client() as client:
            urls = client.get(f"/v1/items/{item_id}/picture-urls", base_url=url).get_json()
        assert elsewhere.evaluate(SHOW, f"{url}/v1/items/{item_id}/image") == 0
        assert elsewhere.evaluate(SHOW, urls["shown"]) > 0
        assert elsewhere.evaluate(SHOW, urls["thumbnail"]) > 0
        assert elsewhere.evaluate(SHOW, urls["shown"] + "x") == 0
