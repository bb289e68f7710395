"""Archives and manifests in the running service, also when the worker that reads them is killed."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.conftest import SAMPLES, RunningService, find_process, until
from tests.jobs import run_job

PICTURES = sorted(SAMPLES.iterdir())[:6]


def all_items(http: httpx.Client, job: dict[str, Any]) -> list[dict[str, Any]]:
    found, path = [], f"{job['links']['items']}?limit=200"
    cursor: str | None = ""
    while cursor is not None:
        page = http.get(path, params={"cursor": cursor} if cursor else {}).raise_for_status().json()
        found += page["data"]
        cursor = page["next_cursor"]
    return found


def a_tar(pictures: list[Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in pictures:
            archive.add(path, f"룩북/{path.name}")
    return buffer.getvalue()


def test_an_archive_is_classified_completely(http: httpx.Client) -> None:
    job = run_job(http, files={"archive": ("looks", a_tar(PICTURES))})
    assert (job["status"], job["discovering"], job["source"]) == ("completed", False, "archive")
    items = all_items(http, job)
    assert [item["source"]["name"] for item in items] == [f"룩북/{path.name}" for path in PICTURES]
    assert {item["status"] for item in items} == {"succeeded"}


def test_bad_rows_of_a_manifest_become_failed_items(http: httpx.Client) -> None:
    data = "url;id\nhttp://127.0.0.1/a.jpg;one\n;two\n".encode("utf-16")
    job = run_job(http, files={"manifest": ("looks.csv", data)})
    assert (job["status"], job["counts"]["failed"]) == ("completed", 2)
    errors = [item["error"] for item in all_items(http, job)]
    assert [error["code"] for error in errors] == ["blocked_address", "bad_row"]
    assert errors[1]["detail"] == "row 3: url: expected a value, got none"


def test_an_archive_is_read_completely_although_its_worker_is_killed(
    service: RunningService, http: httpx.Client
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(3000):
            archive.writestr(f"{number}.jpg", f"no picture {number}")
    job = http.post("/v1/jobs", files={"archive": ("looks.zip", buffer.getvalue())}).raise_for_status().json()
    path = job["links"]["self"]
    until(lambda: http.get(path).json()["counts"]["total"] > 0)
    find_process(service, "ingest").kill()
    until(lambda: http.get(path).json()["status"] == "completed", 120)
    assert [item["source"]["name"] for item in all_items(http, job)] == [f"{number}.jpg" for number in range(3000)]


def test_the_page_of_a_job_shows_why_its_source_could_not_be_read(
    http: httpx.Client, open_page: Callable[..., Page]
) -> None:
    job = run_job(http, files={"manifest": ("looks.csv", b"title,price\nCoat,39.90\n")})
    assert job["status"] == "failed"
    page = open_page(job["links"]["page"])
    expect(page.locator("#facts .failed")).to_contain_text("got the columns 'title', 'price'. Rename the column")
