"""Previews of shops: what the first page of a crawl would yield, asked over HTTP and made by a worker's part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from broker.client import Broker
from core.settings import Settings
from tests.conftest import RunningRedis
from tests.integration.apps import bearer, body_of, prepare, refused, services_of, serving
from tests.integration.builders import a_key
from tests.shop.shop import Shop, running_shop
from worker.sources.previews import PreviewRunner

Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop(seed=7, products=12) as running:
        yield running


@pytest.fixture
def app(settings: Settings, redis: RunningRedis) -> Iterator[LookbookApp]:
    prepare(settings)
    with serving(settings.with_changes(redis_url=redis.url, fetch_allow="127.0.0.0/8")) as made:
        yield made


@pytest.fixture
def make(app: LookbookApp, client: FlaskClient) -> Iterator[Make]:
    """A function that asks for a preview, makes it, and returns it."""
    services = services_of(app)
    runner = PreviewRunner(services.broker, services.settings)

    def ask(**request: str) -> dict[str, Any]:
        asked = client.post("/v1/previews", json=request)
        assert (asked.status_code, body_of(asked)["state"]) == (202, "running")
        runner.make(body_of(asked)["id"])
        return body_of(client.get(asked.headers["Location"]))

    yield ask
    runner.close()


def test_a_preview_lists_the_pictures_of_a_page_with_title_price_and_thumbnail(make: Make, shop: Shop) -> None:
    preview = make(url=shop.address_url("next"))
    assert (preview["state"], preview["error"]) == ("done", None)
    page = preview["page"]
    assert page["kind"] in {"listing", "product", "other"}
    assert page["links"]["products"] + page["links"]["others"] > 0
    found = [picture for picture in page["pictures"] if picture["title"] and picture["price"]]
    assert found
    assert found[0]["thumbnail"].startswith("data:image/jpeg;base64,")


def test_a_page_that_cannot_be_fetched_is_a_failed_preview(make: Make) -> None:
    preview = make(url="http://shop.invalid/")
    assert (preview["state"], preview["page"]) == ("failed", None)
    assert preview["error"]["code"] == "fetch_failed"


def test_a_preview_that_no_crawl_could_make_is_refused(client: FlaskClient) -> None:
    body = refused(client.post("/v1/previews", json={"url": "ftp://shop.example/"}), 422, "fetch_forbidden")
    assert body["errors"][0]["pointer"] == "/url"
    body = refused(
        client.post("/v1/previews", json={"url": "https://s.example", "recipe": "no"}), 422, "invalid_request"
    )
    assert body["errors"][0]["pointer"] == "/recipe"
    refused(client.get("/v1/previews/prv_unknown"), 404, "unknown_preview")


def test_another_key_does_not_see_a_preview(app: LookbookApp, client: FlaskClient) -> None:
    database = services_of(app).database
    (_, mine), (_, other) = a_key(database), a_key(database)
    asked = client.post("/v1/previews", json={"url": "https://shop.example/"}, headers=bearer(mine))
    path = asked.headers["Location"]
    assert client.get(path, headers=bearer(mine)).status_code == 200
    refused(client.get(path, headers=bearer(other)), 404, "unknown_preview")


def test_previews_are_refused_while_many_wait(broker: Broker) -> None:
    kept = {"owner": None, "state": "running", "request": {"url": "https://shop.example/"}}
    accepted = [broker.queue_preview(f"prv_{number}", kept) for number in range(21)]
    assert accepted == [True] * 20 + [False]
    assert broker.read_preview("prv_20") is None
