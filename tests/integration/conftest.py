"""The API in this process, without any worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp, create_app
from api.services import EXTENSION, Services
from core.settings import Settings
from db.engine import Database
from db.migrate import upgrade
from tests.integration.builders import a_model


@pytest.fixture
def app(settings: Settings) -> Iterator[LookbookApp]:
    database = Database(settings.resolved_database_url)
    upgrade(database)
    with database.writing() as session:
        a_model(session)
    database.close()
    made = create_app(settings.model_copy(update={"max_picture_bytes": 200_000, "max_request_bytes": 470_000}))
    yield made
    services: Services = made.extensions[EXTENSION]
    services.database.close()
    services.broker.close()


@pytest.fixture
def client(app: LookbookApp) -> FlaskClient:
    return app.test_client()
