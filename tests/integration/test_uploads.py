"""Uploads into every kind of store, and what becomes of them when something is not as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, event

from api.app import LookbookApp, create_app
from api.services import EXTENSION, Services
from core.settings import Settings
from db.migrate import upgrade
from tests.integration.builders import a_model
from tests.integration.test_api import picture, upload


@pytest.fixture
def app_of() -> Iterator[Callable[[Settings], LookbookApp]]:
    """Makes applications with an empty database and a model."""
    made: list[Services] = []

    def make(settings: Settings) -> LookbookApp:
        app = create_app(settings)
        services: Services = app.extensions[EXTENSION]
        made.append(services)
        upgrade(services.database)
        with services.database.writing() as session:
            a_model(session)
        return app

    yield make
    for services in made:
        services.database.close()
        services.broker.close()


def test_an_upload_can_be_looked_at_again(blob_settings: Settings, app_of: Callable[[Settings], LookbookApp]) -> None:
    client = app_of(blob_settings).test_client()
    job = upload(client, [(picture(), "a.jpg"), (b"", "empty.jpg"), (picture(), "twin.jpg")]).json
    for item in client.get(job["links"]["items"]).json["data"][::2]:
        with client.get(item["image"]["original"]) as original:
            assert original.data == picture()
    assert list(blob_settings.spool_folder.iterdir()) == []


def test_a_picture_that_a_purger_deletes_during_its_submission_is_there_in_the_end(
    blob_settings: Settings, app_of: Callable[[Settings], LookbookApp]
) -> None:
    app = app_of(blob_settings)
    services: Services = app.extensions[EXTENSION]
    sha256 = services.blobs.put(picture())

    @event.listens_for(services.database.engine, "before_cursor_execute")
    def purge(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        # The upload has found the bytes and skipped writing them; its rows come next. Up to here the purger, who sees
        # nobody refer to the blob, may remove it.
        if statement.startswith("INSERT INTO blobs"):
            services.blobs.delete([sha256])
            purged.append(sha256)

    purged: list[str] = []
    client = app.test_client()
    job = upload(client, [(picture(), "a.jpg")]).json
    assert purged == [sha256]
    item = client.get(job["links"]["items"]).json["data"][0]
    with client.get(item["image"]["original"]) as original:
        assert original.data == picture()
