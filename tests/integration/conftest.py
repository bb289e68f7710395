"""Fixtures: an application in this process without a worker, and a broker with its own Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from broker.client import Broker
from core.settings import Settings
from tests.conftest import RunningRedis
from tests.integration.apps import prepare, serving


@pytest.fixture
def app(settings: Settings) -> Iterator[LookbookApp]:
    prepare(settings)
    with serving(settings.with_changes(max_picture_bytes=200_000, max_request_bytes=470_000)) as made:
        yield made


@pytest.fixture
def client(app: LookbookApp) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def broker(settings: Settings, redis: RunningRedis) -> Iterator[Broker]:
    made = Broker.connect(settings.with_changes(redis_url=redis.url))
    yield made
    made.close()
