"""The actions on a job on its page: stop it, rename it, export it, delete it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.conftest import RunningService, suspended_worker
from tests.e2e.pages.conftest import ALL
from tests.e2e.pages.objects import JobPage, assert_accessible

OpenPage = Callable[..., Page]


def test_a_stopped_job_says_how_much_of_it_is_done(
    open_page: OpenPage, http: httpx.Client, service: RunningService
) -> None:
    with suspended_worker(service):
        files = [("images", (Path(path).name, Path(path).read_bytes())) for path in ALL]
        job = http.post("/v1/jobs", files=files).json()
        page = open_page(job["links"]["page"])
        JobPage(page).open_menu("more")
        expect(page.locator("#delete")).to_be_hidden()
        page.get_by_role("button", name="Stop this job").click()
        expect(page.locator("#facts")).to_contain_text("0 of 26")
        expect(page.locator("#facts")).to_contain_text("26 stopped")
    expect(page.locator("#line.done")).to_be_visible()
    expect(page.locator("#cancel")).to_be_hidden()
    expect(page.locator("#retry")).to_be_hidden()
    assert http.get(job["links"]["self"]).json()["status"] == "canceled"


def test_a_job_is_renamed_in_its_place(open_page: OpenPage, http: httpx.Client, finished_job: str) -> None:
    page = open_page(finished_job)
    page.get_by_role("button", name="Rename").click()
    page.keyboard.type("Herbst & <Winter>")
    page.keyboard.press("Enter")
    expect(page.locator("#name")).to_have_text("Herbst & <Winter>")
    expect(page).to_have_title("✓ Herbst & <Winter> · Lookbook")
    assert http.get(f"/v1{finished_job}").json()["name"] == "Herbst & <Winter>"
    page.get_by_role("button", name="Rename").click()
    page.keyboard.type("Nothing")
    page.keyboard.press("Escape")
    expect(page.locator("#name")).to_have_text("Herbst & <Winter>")


def test_a_job_is_deleted_only_after_a_confirmation(open_page: OpenPage, http: httpx.Client, finished_job: str) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.open_menu("more")
    page.get_by_role("button", name="Delete this job").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator("#sure")).to_be_hidden()
    assert http.get(f"/v1{finished_job}").status_code == 200
    job.open_menu("more")
    page.get_by_role("button", name="Delete this job").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url("**/jobs")
    assert http.get(f"/v1{finished_job}").status_code == 404


def test_pictures_are_classified_again_with_the_chosen_model(
    open_page: OpenPage, http: httpx.Client, service: RunningService, finished_job: str, other_version: str
) -> None:
    def created() -> dict[str, Any]:
        """Return the new job, whose page opens."""
        page.wait_for_url(lambda url: "/jobs/job_" in url and finished_job not in url)
        job: dict[str, Any] = http.get(f"/v1/jobs/{page.url.rpartition('/')[2]}").json()
        return job

    page = open_page(finished_job)
    job = JobPage(page)
    job.expect_length(30)
    # Nothing has loaded the other version, so the worker must not see the new job before it is stopped.
    with suspended_worker(service):
        job.open_menu("more")
        page.get_by_role("button", name="Classify again…").click()
        dialog = page.get_by_role("dialog", name="Classify this job again")
        expect(dialog.get_by_label("model").locator("option:checked")).to_have_text("garments@4 · production")
        assert_accessible(page)
        dialog.get_by_label("model").select_option(other_version)
        dialog.get_by_role("button", name="Classify again").click()
        again = created()
        http.post(again["links"]["cancel"]).raise_for_status()
    # Of an empty file, nothing is stored.
    assert again["model"] == {"name": "other", "version": "1"}
    assert (again["rerun_of"], again["counts"]["total"]) == (finished_job.rpartition("/")[2], 29)
    page.goto(finished_job)
    job.expect_length(30)
    job.sheet.focus()
    page.keyboard.press("s")
    page.locator("#bulk-rerun").click()
    dialog = page.get_by_role("dialog", name="Classify the selected pictures again (1)")
    dialog.get_by_role("button", name="Classify again").click()
    one = created()
    assert (one["counts"]["total"], one["model"]["name"]) == (1, "garments")


def test_a_job_with_a_webhook_leads_to_its_deliveries(
    open_page: OpenPage, http: httpx.Client, finished_job: str
) -> None:
    page = open_page(finished_job)
    JobPage(page).open_menu("more")
    expect(page.get_by_role("button", name="Delete this job")).to_be_visible()
    expect(page.get_by_role("link", name="Webhook deliveries")).to_be_hidden()
    webhook = {"url": "https://hooks.example/lookbook"}
    job = http.post("/v1/jobs", json={"open": True, "webhook": webhook}).json()
    page.goto(job["links"]["page"])
    JobPage(page).open_menu("more")
    page.get_by_role("link", name="Webhook deliveries").click()
    expect(page.get_by_role("heading", name="Webhook deliveries")).to_be_visible()
    http.post(job["links"]["cancel"]).raise_for_status()


def test_what_is_shown_is_exported_or_everything_or_the_failures(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(f"{finished_job}?label=dress")
    job = JobPage(page)
    expect(job.bar("Dress")).to_have_attribute("aria-pressed", "true")
    dresses = job.count_of("Dress")
    for what, rows in (("seen", dresses), ("all", 30), ("failed", 4)):
        job.open_menu("export")
        page.locator(f"#export-{what}").check()
        with page.expect_download() as started:
            page.get_by_text("for spreadsheets").click()
        assert started.value.suggested_filename.endswith(".csv")
        assert len(Path(started.value.path()).read_text("utf-8-sig").splitlines()) == rows + 1
        expect(page.get_by_text("for spreadsheets")).to_be_hidden()
    expect(page.locator("#export-partial")).to_be_hidden()


def test_what_is_shown_is_exported_for_label_tools(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(f"{finished_job}?label=dress")
    job = JobPage(page)
    expect(job.bar("Dress")).to_have_attribute("aria-pressed", "true")
    dresses = job.count_of("Dress")
    for words, ending in (("tasks", "label-studio"), ("categories and boxes", "coco"), ("labels.json", "fiftyone")):
        job.open_menu("export")
        page.locator("#export-seen").check()
        with page.expect_download() as started:
            page.get_by_text(words, exact=True).click()
        assert started.value.suggested_filename.endswith(f".{ending}.json")
        assert Path(started.value.path()).read_text("utf-8").count("/thumbnail?") == 0
        assert Path(started.value.path()).read_text("utf-8").count("&signature=") == dresses
    job.open_menu("export")
    with page.expect_download() as started:
        page.get_by_text("configuration").click()
    assert "<Choices" in Path(started.value.path()).read_text("utf-8")


def test_the_page_shows_the_calls_that_read_what_it_shows(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(f"{finished_job}?label=dress&reviewed=false")
    page.locator(".about > summary").click()
    page.get_by_text("Do this from a script").click()
    curl, python, command = page.locator("#script code").all_inner_texts()
    assert f"{page.url.split('/jobs')[0]}/v1{finished_job}/export?format=csv&label=dress&reviewed=false" in curl
    assert 'job.items(sort="position", label="dress", reviewed=False)' in python
    assert command.endswith("-o predictions.csv --label dress --not-reviewed")
