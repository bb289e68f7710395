"""One trace leads from a request to its predictions, through the API, the ingest worker and the classifying worker."""

from __future__ import annotations

import io
import secrets
import sys
import zipfile
from typing import Any

import httpx
import pytest

from core.errors import SettingsError
from core.tracing import start_tracing
from tests.collector import Collector, ReceivedSpan
from tests.conftest import SAMPLES, RunningService, until
from tests.jobs import run_job


def traced(service: RunningService, collector: Collector, expected: set[str], **request: Any) -> list[ReceivedSpan]:
    """Submit a job as a client that has begun a trace, and return its spans when all expected ones came."""
    trace, client_span = secrets.token_hex(16), secrets.token_hex(8)
    headers = {"traceparent": f"00-{trace}-{client_span}-01"}
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as http:
        job = run_job(http, headers, **request)
        assert job["counts"]["failed"] == 0
    # Each process sends its spans by itself, and the request ends last.
    until(lambda: {span.name for span in collector.spans(trace)} >= expected | {"POST /v1/jobs"})
    spans = collector.spans(trace)
    (root,) = [span for span in spans if span.parent == client_span]
    assert (root.service, root.name) == ("lookbook-api", "POST /v1/jobs")
    ids = {span.id for span in spans}
    assert all(span.parent in ids for span in spans if span is not root)
    chunks = [span for span in spans if span.name.endswith(" chunk")]
    assert {span.attributes["lookbook.job"] for span in chunks} == {job["id"]}
    return spans


def parents(spans: list[ReceivedSpan]) -> set[tuple[str, str]]:
    """Return the names of spans with those of their parents."""
    names = {span.id: span.name for span in spans}
    return {(span.name, names.get(span.parent, "client")) for span in spans}


def unknown_picture() -> bytes:
    """Return a picture that the service has not classified before."""
    return (SAMPLES / "dress-green.jpg").read_bytes() + secrets.token_bytes(16)


CLASSIFY = {("classify chunk", "POST /v1/jobs"), ("decode", "classify chunk"), ("infer", "classify chunk")}
CLASSIFY_NAMES = {"classify chunk", "decode", "infer", "record", "ingest"}


def test_a_trace_leads_from_an_upload_to_its_prediction(loopback_service: RunningService, collector: Collector) -> None:
    files = [("images", ("a.jpg", unknown_picture()))]
    spans = traced(loopback_service, collector, CLASSIFY_NAMES, files=files)
    expected = CLASSIFY | {("ingest", "POST /v1/jobs"), ("record", "classify chunk"), ("POST /v1/jobs", "client")}
    assert parents(spans) == expected
    assert {span.service for span in spans if span.name != "ingest"} == {"lookbook-api", "lookbook-worker"}


def test_a_trace_passes_the_worker_that_downloads(loopback_service: RunningService, collector: Collector) -> None:
    items = {"items": [{"url": f"{loopback_service.url}/samples/hat-straw.jpg"}]}
    spans = traced(loopback_service, collector, {"fetch chunk", "classify chunk"}, json=items)
    assert parents(spans) >= {("fetch chunk", "POST /v1/jobs"), ("classify chunk", "POST /v1/jobs")}
    assert "lookbook-ingest" in {span.service for span in spans if span.name == "fetch chunk"}


def test_chunks_that_a_worker_finds_in_an_archive_belong_to_the_trace_of_the_request(
    loopback_service: RunningService, collector: Collector
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.jpg", unknown_picture())
    files = {"archive": ("shop.zip", packed.getvalue())}
    spans = traced(loopback_service, collector, CLASSIFY_NAMES | {"expand source"}, files=files)
    assert parents(spans) >= CLASSIFY | {("expand source", "POST /v1/jobs")}


def test_without_opentelemetry_the_process_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match="requirements/tracing"):
        start_tracing("http://127.0.0.1:1/v1/traces", "api")
