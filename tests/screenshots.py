"""Take the screenshots of the documents: every page, wide, on a phone, in the dark and in Korean.

`make screenshots` starts a service with the project's own sample pictures and replaces docs/screenshots/.
`make screenshots ARGS="photo job"` takes those of some pages. A new page gets a function in `PAGES`; a test says so.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from core.settings import PROJECT
from lookbook import Client
from samples import broken
from tests.artifacts import own_models
from tests.conftest import SAMPLES, RunningService, ready_service, until
from tests.e2e.conftest import launch_chromium
from tests.jobs import run_job

TARGET = PROJECT / "docs" / "screenshots"
_OWN_LABEL = {"id": "long-sleeves", "group": "tops", "name": {"en": "Long sleeves", "ko": "긴소매"}}
_LONG_SLEEVES = ("longsleeve", "shirt")
"""The labels of the model that the own label replaces."""
_QUALITY = 84
"""Of the WebP files: the type of the pages stays sharp, and a file has about 50 kB."""


@dataclass(frozen=True, slots=True)
class Look:
    """One of the ways in which each page is shown."""

    viewport: ViewportSize
    dark: bool = False
    locale: str = "en-US"
    touch: bool = False


_WIDE: ViewportSize = {"width": 1440, "height": 900}
LOOKS = {
    "wide": Look(_WIDE),
    "phone": Look({"width": 390, "height": 844}, touch=True),
    "dark": Look(_WIDE, dark=True),
    "korean": Look(_WIDE, locale="ko-KR"),
}


@dataclass(frozen=True, slots=True)
class Content:
    """The contents of the service of the screenshots."""

    job: dict[str, Any]
    """An ended job of the samples and two broken files. Nobody receives its webhook."""
    rerun: dict[str, Any]
    """A job of the same pictures, three of which have a review with another label."""
    learned: dict[str, Any]
    """A job of the samples, all with reviews, six of them with an own label. It has a map."""
    lesson: str
    """The id of the lesson from the reviews of `learned`. It has published a version."""
    model: dict[str, Any]
    """The default model version."""
    key: str = ""
    """A key with all scopes. Empty while the service needs none."""


def fill(service: RunningService) -> Content:
    """Submit the sample pictures."""
    with httpx.Client(base_url=service.url, timeout=120.0, trust_env=False) as http:
        files = [("images", (path.name, path.read_bytes())) for path in sorted(SAMPLES.iterdir())]
        files += [("images", ("cut.jpg", broken.truncated_jpeg())), ("images", ("list.jpg", broken.text()))]
        for name, some in (("Hats and shoes", files[:1] + files[5:6]), ("Autumn catalog", files)):
            options = {"name": name, "webhook": '{"url": "https://shop.example/hooks/lookbook"}'}
            job = run_job(http, files=some, data=options)
        again = {"name": "Autumn catalog, reviewed", "rerun": {"job": job["id"]}}
        rerun = run_job(http, json=again)
        doubtful = http.get(f"{rerun['links']['items']}?sort=confidence&limit=3").json()["data"]
        reviews = [{"item": item["id"], "label": item["prediction"]["labels"][1]["id"]} for item in doubtful]
        http.post(f"{rerun['links']['self']}/reviews", json={"reviews": reviews}).raise_for_status()
        model = http.get("/v1/models").json()["data"][0]
        learned = run_job(http, json={**again, "name": "Autumn catalog, our labels"})
        http.put("/v1/taxonomy", json={"groups": [], "labels": [_OWN_LABEL]}).raise_for_status()
    return Content(job, rerun, learned, teach(service.url, learned["id"]), model)


def teach(url: str, job_id: str) -> str:
    """Make the map of a job, review its pictures, teach a version from the reviews, and return the id of the lesson."""
    with Client(url) as client:
        job = client.job(job_id)
        job.make_map()
        for item in job.items(status="succeeded"):
            assert item.prediction is not None
            has_long_sleeves = item.prediction.label.id in _LONG_SLEEVES
            client.review(item, str(_OWN_LABEL["id"]) if has_long_sleeves else item.prediction.label.id)
        job.compute_hints()
        return client.wait_for_lesson(client.teach([job_id])).id


def show_start(page: Page, content: Content) -> None:
    page.goto("/")
    page.locator("#tagline:not(:empty)").wait_for()


def show_photo(page: Page, content: Content) -> None:
    page.goto("/")
    page.set_input_files("#files", str(SAMPLES / "coat-camel.jpg"))
    page.locator("#ranks li").first.wait_for()
    page.locator("[data-part='3:4']").click()
    page.locator("cropper-selection").press("Enter")
    page.locator("#answer-list li").nth(1).wait_for()
    page.locator("#why").click()
    until(lambda: page.locator("#heat").evaluate("image => image.naturalWidth") > 0)
    page.evaluate("scrollTo(0, 0)")


def show_new(page: Page, content: Content) -> None:
    page.goto("/new")
    page.locator("#start").wait_for()
    page.set_input_files("#files", sorted(SAMPLES.iterdir()))
    page.locator("#ready").wait_for()


def show_jobs(page: Page, content: Content) -> None:
    page.goto("/jobs")
    page.get_by_text(content.job["name"]).first.wait_for()


def show_job(page: Page, content: Content) -> None:
    page.goto(content.job["links"]["page"])
    page.locator("#line.done").wait_for()
    page.locator(".cell img.in").nth(5).wait_for()


def show_review(page: Page, content: Content) -> None:
    page.goto(f"{content.rerun['links']['page']}?sort=confidence")
    page.locator(".cell img.in").nth(2).wait_for()
    page.locator(".cell.reviewed").nth(1).click()
    page.locator("#viewer-photo").wait_for()


def show_teach(page: Page, content: Content) -> None:
    page.goto(f"/teach?jobs={content.rerun['id']}")
    page.locator("#jobs input:checked").wait_for()


def show_taught(page: Page, content: Content) -> None:
    page.goto(f"/teach?jobs={content.learned['id']}&lesson={content.lesson}")
    page.locator("#changes-here").click()
    page.locator("#changes-facts:not(:empty)").wait_for()
    page.locator("#result-title").evaluate("title => title.scrollIntoView()")


def show_map(page: Page, content: Content) -> None:
    page.goto(f"{content.learned['links']['page']}?view=map")
    page.locator("#map-legend li").first.wait_for()


def show_similar(page: Page, content: Content) -> None:
    show_job(page, content)
    page.locator(".cell", has_text="dress-green.jpg").click()
    page.locator("#viewer-name").wait_for()
    page.keyboard.press("m")
    page.locator("#similar-list img").nth(5).wait_for()


def show_trust(page: Page, content: Content) -> None:
    show_job(page, content)
    page.locator("#trust").click()
    page.locator("#trust-source:not(:empty)").wait_for()


def show_hints(page: Page, content: Content) -> None:
    page.goto(f"{content.job['links']['page']}?hint=diverse&sort=diverse")
    page.locator("#hint").wait_for()
    page.locator(".cell img.in").nth(5).wait_for()


def show_compare(page: Page, content: Content) -> None:
    page.goto(f"/compare?jobs={content.job['id']},{content.rerun['id']}")
    page.locator("#pairs img").first.wait_for()


def show_deliveries(page: Page, content: Content) -> None:
    page.goto(f"{content.job['links']['page']}/deliveries")
    page.locator("#deliveries li").first.wait_for()


def show_models(page: Page, content: Content) -> None:
    page.goto("/models")
    page.get_by_text(content.model["name"]).first.wait_for()


def show_model(page: Page, content: Content) -> None:
    page.goto(f"/models/{content.model['name']}/{content.model['version']}")
    page.locator("#matrix td").first.wait_for()


def show_docs(page: Page, content: Content) -> None:
    page.goto("/docs")
    page.get_by_text("/v1/classifications").first.wait_for()


def show_missing(page: Page, content: Content) -> None:
    page.goto("/jbos")


PAGES: dict[str, Callable[[Page, Content], None]] = {
    "start": show_start,
    "photo": show_photo,
    "new": show_new,
    "jobs": show_jobs,
    "job": show_job,
    "review": show_review,
    "compare": show_compare,
    "map": show_map,
    "similar": show_similar,
    "hints": show_hints,
    "trust": show_trust,
    "teach": show_teach,
    "taught": show_taught,
    "deliveries": show_deliveries,
    "models": show_models,
    "model": show_model,
    "docs": show_docs,
    "missing": show_missing,
}
"""How each page is opened. A key is the name of a template in frontend/pages/, or of a further state of one."""


def show_login(page: Page, content: Content) -> None:
    page.goto("/login")
    page.locator("#key").wait_for()


def show_account(page: Page, content: Content) -> None:
    page.goto("/login?next=/account")
    page.locator("#key").fill(content.key)
    page.locator("#key").press("Enter")
    page.wait_for_url("**/account")
    page.get_by_text("operator").first.wait_for()


PAGES_WITH_KEYS: dict[str, Callable[[Page, Content], None]] = {"login": show_login, "account": show_account}
"""The pages that show what they are for only if the service has keys."""


def take(browser: Browser, url: str, name: str, show: Callable[[Page, Content], None], content: Content) -> None:
    """Write the screenshots of one page, in all looks."""
    for look_name, look in LOOKS.items():
        context = browser.new_context(
            base_url=url,
            viewport=look.viewport,
            color_scheme="dark" if look.dark else "light",
            locale=look.locale,
            has_touch=look.touch,
            is_mobile=look.touch,
            reduced_motion="reduce",
        )
        page = context.new_page()
        show(page, content)
        page.wait_for_load_state("networkidle")
        target = TARGET / f"{name}-{look_name}.webp"
        Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB").save(target, quality=_QUALITY)
        print(f"wrote {target.relative_to(PROJECT)}")
        context.close()


def main(names: list[str]) -> None:
    """Take the screenshots of the named pages, or of all."""
    known = [*PAGES, *PAGES_WITH_KEYS]
    if set(names) - set(known):
        sys.exit(f"expected names of pages ({', '.join(known)}), got {' '.join(names)}")
    wanted = names or known
    with (
        tempfile.TemporaryDirectory() as folder,
        ready_service(Path(folder) / "home", LOOKBOOK_MODELS=str(own_models(Path(folder)))) as service,
        sync_playwright() as playwright,
        launch_chromium(playwright) as browser,
    ):
        content = fill(service)
        for name in filter(wanted.__contains__, PAGES):
            take(browser, service.url, name, PAGES[name], content)
        request = {"name": "operator", "scopes": ["submit", "read", "admin"]}
        answer = httpx.post(f"{service.url}/v1/keys", json=request, trust_env=False).raise_for_status()
        with_key = replace(content, key=answer.json()["key"])
        for name in filter(wanted.__contains__, PAGES_WITH_KEYS):
            take(browser, service.url, name, PAGES_WITH_KEYS[name], with_key)


if __name__ == "__main__":
    main(sys.argv[1:])
