"""The list of jobs."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Page, Request, expect

from tests.conftest import SAMPLES, RunningService, suspended_worker
from tests.e2e.pages.objects import JobsPage, assert_accessible

OpenPage = Callable[..., Page]


def a_job(http: httpx.Client, name: str, *pictures: str, wait: int = 30) -> str:
    """Submit sample pictures and return the id of their job."""
    files = [("images", (picture, (SAMPLES / picture).read_bytes())) for picture in pictures]
    answer = http.post("/v1/jobs", files=files, data={"name": name}, headers={"Prefer": f"wait={wait}"})
    return str(answer.raise_for_status().json()["id"])


def an_empty_job(http: httpx.Client, name: str) -> str:
    job = http.post("/v1/jobs", json={"open": True, "name": name}).raise_for_status().json()
    http.post(f"/v1/jobs/{job['id']}/close").raise_for_status()
    return str(job["id"])


def test_running_jobs_are_followed_with_one_request_a_tick(
    open_page: OpenPage, http: httpx.Client, service: RunningService
) -> None:
    with suspended_worker(service):
        for name in ("tick one", "tick two"):
            a_job(http, name, "dress-green.jpg", "pants-denim.jpg", wait=0)
        page = open_page("/jobs?q=tick")
        jobs = JobsPage(page)
        expect(jobs.names).to_have_text(["tick two", "tick one"])
        expect(jobs.row("tick one")).to_contain_text("0 of 2")
        asked: list[Request] = []
        page.on("request", lambda request: asked.append(request) if "/v1/" in request.url else None)
    for name in ("tick one", "tick two"):
        expect(jobs.row(name)).to_contain_text("2 pictures", timeout=30_000)
        expect(jobs.row(name).locator(".strip img.in")).to_have_count(2)
    lists = [request for request in asked if "thumbnails=5" in request.url]
    assert len(lists) > 0
    others = {urlsplit(request.url).path for request in asked if request not in lists}
    assert all(path.endswith("/thumbnail") for path in others), others
    assert_accessible(page)


def test_a_job_is_renamed_in_place_and_deleted_after_a_question(open_page: OpenPage, http: httpx.Client) -> None:
    job = a_job(http, "rename me", "dress-green.jpg")
    page = open_page("/jobs?q=rename+me", width=390)
    jobs = JobsPage(page)
    jobs.rename("rename me", "<b>rename me</b> again")
    expect(jobs.names).to_have_text("<b>rename me</b> again")
    expect(page.get_by_role("button", name="Rename: <b>rename me</b> again")).to_be_focused()
    assert http.get(f"/v1/jobs/{job}").json()["name"] == "<b>rename me</b> again"
    jobs.delete("<b>rename me</b> again")
    expect(page.get_by_text("No job matches this search.")).to_be_visible()
    assert http.get(f"/v1/jobs/{job}").status_code == 404
    page.get_by_role("link", name="Show all jobs").click()
    page.wait_for_url("**/jobs")


def test_filters_and_shown_jobs_survive_back(open_page: OpenPage, http: httpx.Client) -> None:
    for number in range(35):
        an_empty_job(http, f"many {number:02}")
    page = open_page("/jobs")
    jobs = JobsPage(page)
    page.get_by_role("searchbox").fill("many")
    page.get_by_label("Status").select_option("failed")
    expect(jobs.rows).to_have_count(30)
    jobs.more.click()
    expect(jobs.rows).to_have_count(35)
    expect(jobs.more).to_be_hidden()
    jobs.row("many 02").get_by_role("link", name="many 02").click()
    page.wait_for_url("**/jobs/job_*")
    page.go_back()
    expect(jobs.rows).to_have_count(35)
    expect(jobs.row("many 02")).to_be_in_viewport()
    expect(page.get_by_role("searchbox")).to_have_value("many")
    page.get_by_label("Status").select_option("completed")
    expect(page.get_by_text("No job matches this search.")).to_be_visible()
    page.go_back()
    expect(jobs.names.first).to_have_text("many 34")


def test_two_chosen_jobs_can_be_compared(open_page: OpenPage, http: httpx.Client) -> None:
    first, second, third = (an_empty_job(http, f"choice {number}") for number in range(3))
    page = open_page("/jobs?q=choice")
    jobs = JobsPage(page)
    jobs.choose("choice 2")
    expect(page.get_by_role("status")).to_contain_text("Choose another one")
    jobs.choose("choice 0")
    compare = page.get_by_role("link", name="Compare")
    expect(compare).to_have_attribute("href", f"/compare?jobs={first},{third}")
    assert_accessible(page)
    # A third one takes the place of the one that was chosen first.
    jobs.choose("choice 1")
    expect(compare).to_have_attribute("href", f"/compare?jobs={first},{second}")
    page.reload()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(2)
