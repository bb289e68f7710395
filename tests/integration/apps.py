"""The API in this process: applications, and the requests that many tests send."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import LookbookApp, create_app
from api.services import EXTENSION, Services
from core.settings import Settings
from db.database import Database
from tests.conftest import SAMPLES
from tests.databases import make_sqlite
from tests.integration.builders import a_model


def prepare(settings: Settings) -> None:
    """Create the SQLite database that the settings name, and register a production model."""
    database = Database(settings.resolved_database_url)
    assert database.url.database is not None
    make_sqlite(Path(database.url.database))
    with database.writing() as session:
        a_model(session)
    database.close()


@contextmanager
def serving(settings: Settings, database: Database | None = None) -> Iterator[LookbookApp]:
    """Open an application, on `database` if it is given, and close its connections afterwards."""
    if database is not None:
        settings = settings.with_changes(database_url=database.url.render_as_string(hide_password=False))
    app = create_app(settings)
    yield app
    services_of(app).database.close()
    services_of(app).broker.close()


def services_of(app: LookbookApp) -> Services:
    services: Services = app.extensions[EXTENSION]
    return services


def upload(client: FlaskClient, files: list[tuple[bytes, str]], **fields: str) -> TestResponse:
    # httpx writes the form, because Flask's test client leaves out the empty line of an empty file's part.
    parts = [("images", (name, data)) for data, name in files]
    request = httpx.Request("POST", "http://localhost/v1/jobs", files=parts, data=fields)
    return client.post("/v1/jobs", data=request.read(), content_type=request.headers["Content-Type"])


def upload_with(client: FlaskClient, key: str, pictures: int = 1, idempotency_key: str | None = None) -> TestResponse:
    """Submit pictures with an API key."""
    files = [(io.BytesIO(picture()), f"{n}.jpg") for n in range(pictures)]
    headers = bearer(key) | ({"Idempotency-Key": idempotency_key} if idempotency_key else {})
    return client.post("/v1/jobs", data={"images": files}, headers=headers)


def classify(client: FlaskClient, **headers: str) -> TestResponse:
    return client.post("/v1/classifications", data=picture(), content_type="image/jpeg", headers=headers)


def body_of(response: TestResponse) -> dict[str, Any]:
    """Return the JSON object that an answer has to be."""
    body = response.get_json()
    assert isinstance(body, dict)
    return body


def problem(response: TestResponse) -> dict[str, Any]:
    """Return the problem (RFC 9457) that an answer has to be."""
    assert response.content_type == "application/problem+json"
    body = body_of(response)
    assert body["status"] == response.status_code
    assert set(body) >= {"type", "title", "status", "detail", "code"}
    return body


def refused(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is this problem, and return it."""
    body = problem(response)
    assert (response.status_code, body["code"]) == (status, code)
    return body


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def picture(name: str = "t-shirt-red.jpg") -> bytes:
    return (SAMPLES / name).read_bytes()


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def blobs_on_disk(settings: Settings) -> list[Path]:
    return files_in(settings.blobs_folder)
