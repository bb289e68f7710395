"""Requests that the OpenAPI document allows, and ones that it does not allow, are answered as documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis.strategies import booleans
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks
from sqlalchemy import select

from api.app import LookbookApp, create_app
from core.settings import Settings
from db.access import keys
from db.steps import chunks
from db.tables import Item, ItemStatus, Scope
from db.views import items
from tests.conftest import RunningRedis
from tests.integration.apps import services_of, serving
from tests.integration.builders import FAILED, NOW, POLICY, a_job, record_chunk, scored

# Other tests cover every line that these requests reach, and measuring coverage takes half as long again.
pytestmark = pytest.mark.no_cover

EXAMPLES = 25
"""Cases of each operation and generation mode."""

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


@cache
def document() -> dict[str, Any]:
    with TemporaryDirectory() as home:
        spec = create_app(Settings(home=Path(home), redis_url="redis://127.0.0.1:1/0")).spec
    assert isinstance(spec, dict)
    return spec


def cases() -> Iterator[Any]:
    """Yield method, path and generation mode. Operations that take only ids are tested only with valid requests."""
    for path, calls in document()["paths"].items():
        for method, operation in calls.items():
            has_input = "requestBody" in operation or any(p["in"] == "query" for p in operation["parameters"])
            for mode in GenerationMode if has_input else [GenerationMode.POSITIVE]:
                yield pytest.param(method, path, mode, id=f"{mode.value}-{method.upper()} {path}")


def takes_form(path: str, method: str) -> bool:
    return "multipart/form-data" in document()["paths"][path][method].get("requestBody", {}).get("content", {})


@dataclass(frozen=True, slots=True)
class Served:
    """The API with a Redis, a key with all scopes, and the ids of stored resources."""

    app: LookbookApp
    key: str
    ids: dict[str, str]

    def schema(self) -> Any:
        """Return the document for Schemathesis, without the security requirements, which have their own tests."""
        without_security = json.loads(json.dumps(document()))
        for calls in without_security["paths"].values():
            for operation in calls.values():
                operation.pop("security", None)
        loaded = schemathesis.openapi.from_dict(without_security)
        loaded.app = self.app
        return loaded


@pytest.fixture
def served(settings: Settings, redis: RunningRedis, app: LookbookApp) -> Iterator[Served]:
    with serving(settings.with_changes(redis_url=redis.url)) as made:
        services = services_of(made)
        pictures = ["shirt", "broken", "waiting"]
        for content in pictures:
            services.blobs.put(content.encode())
        with services.database.writing() as session:
            job = a_job(session, pictures)
            key, token = keys.create(session, "test", Scope, NOW)
            job.key_id = key.id
            (message,) = chunks.claim(session, job, POLICY, NOW)
            shirt, broken, _ = items.list_pending_pictures(session, message.chunk_id)
            record_chunk(session, message, {shirt: scored(), broken: FAILED})
            job_id = job.id
            item_id = session.scalars(select(Item.id).where(Item.status == ItemStatus.FAILED)).one()
        yield Served(made, token, {"job_id": job_id, "item_id": item_id, "name": "test", "version": "1"})


# Schemathesis does not close the file of an answer, which raises a ResourceWarning.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("method", "path", "mode"), list(cases()))
def test_every_operation_answers_as_documented(served: Served, method: str, path: str, mode: GenerationMode) -> None:
    schema = served.schema()
    applied = CHECKS
    if mode == GenerationMode.NEGATIVE and not takes_form(path, method):
        # A form sends every value as text, so a value of a wrong type may be valid there.
        applied = [*CHECKS, checks.negative_data_rejection]
    if path == "/readyz":
        # Without a worker 503 is the right and documented answer.
        applied = [check for check in applied if check is not not_a_server_error]

    @given(case=schema[path][method].as_strategy(generation_mode=mode), known=booleans())
    @hypothesis_settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    def holds(case: Any, known: bool) -> None:
        if known:
            case.path_parameters |= {n: served.ids[n] for n in case.path_parameters if n in served.ids}
        # No worker runs, so a request must not wait for a prediction. Schemathesis does not unpack compressed answers.
        known_headers = {"Prefer": "wait=0", "Accept-Encoding": "identity", "Authorization": f"Bearer {served.key}"}
        case.headers.update(known_headers)
        case.validate_response(case.call(), checks=applied)

    holds()
