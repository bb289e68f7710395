"""From the reviews of a job to a better model in production, on the pages alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.artifacts import own_models
from tests.conftest import SAMPLES, RunningService, ready_service, until
from tests.e2e.conftest import provide_open_page
from tests.e2e.pages.objects import JobPage
from tests.jobs import run_job

REVIEWED = 20
LESSON_MILLISECONDS = 120_000


@pytest.fixture(scope="module")
def service_with_own_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The whole service with a folder of models of its own, into which it publishes."""
    folder = tmp_path_factory.mktemp("teaching")
    with ready_service(folder / "home", LOOKBOOK_MODELS=str(own_models(folder))) as running:
        yield running


@pytest.fixture
def open_page(
    browser: Browser, service_with_own_models: RunningService, console_errors: list[str]
) -> Iterator[Callable[..., Page]]:
    yield from provide_open_page(browser, service_with_own_models, console_errors)


def test_reviews_by_keyboard_become_the_model_in_production(
    open_page: Callable[..., Page], service_with_own_models: RunningService
) -> None:
    with httpx.Client(base_url=service_with_own_models.url, trust_env=False, timeout=60) as http:
        job = submit_samples(http)
        page = open_page(job["links"]["page"])
        review_by_keyboard(page, http, job["id"])

        JobPage(page).open_menu("more")
        page.get_by_role("link", name="Teach a model").click()
        page.get_by_role("button", name="Teach", exact=True).click()
        expect(page.locator("#result-title")).to_contain_text("garments-taught@1", timeout=LESSON_MILLISECONDS)
        lesson = page.url
        page.locator("#changes-here").click()
        expect(page.locator("#changes-facts")).to_contain_text("of 26", timeout=LESSON_MILLISECONDS)

        page.locator("#to-version").click()
        page.locator("#promote").click()
        page.get_by_role("dialog").get_by_role("button", name="Use it").click()
        until(lambda: production(http) == "garments-taught@1")

        page.goto(lesson)
        page.locator("#relabel").click()
        page.wait_for_url("**/jobs/job_*")
        relabelled = page.url.rpartition("/")[2]
        until(lambda: http.get(f"/v1/jobs/{relabelled}").json()["status"] == "completed")
        made = http.get(f"/v1/jobs/{relabelled}").json()
        assert (made["model"], made["rerun_of"]) == ({"name": "garments-taught", "version": "1"}, job["id"])
        assert made["counts"]["succeeded"] == 26 - REVIEWED


def submit_samples(http: httpx.Client) -> dict[str, Any]:
    files = [("images", (path.name, path.read_bytes())) for path in sorted(Path(SAMPLES).iterdir())]
    job = run_job(http, files=files)
    assert (job["status"], job["counts"]["succeeded"]) == ("completed", 26)
    return job


def review_by_keyboard(page: Page, http: httpx.Client, job_id: object) -> None:
    """Confirm the first label of the first pictures."""
    names = [item["source"]["name"] for item in http.get(f"/v1/jobs/{job_id}/items").json()["data"]]
    page.get_by_role("button", name="Review", exact=True).click()
    for name in names[:REVIEWED]:
        expect(page.locator("#viewer-name")).to_have_text(name)
        page.keyboard.press("1")
    until(lambda: len(http.get(f"/v1/jobs/{job_id}/items?reviewed=true").json()["data"]) == REVIEWED)
    page.keyboard.press("Escape")


def production(http: httpx.Client) -> str:
    """Return the version that new jobs use."""
    versions = http.get("/v1/models").json()["data"]
    return next(f"{row['name']}@{row['version']}" for row in versions if "production" in row["aliases"])
