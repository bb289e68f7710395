"""Measure the pages in Chromium: the page of a job of 100,000 pictures, and the size of the first load of each page."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import BrowserContext, Page, Response, sync_playwright
from rich.progress import Progress
from sqlalchemy import text

from benchmarks.api_alone import Api, running_api
from benchmarks.million import store_million
from benchmarks.pipeline import empty_installation
from benchmarks.run import percentile, spread
from core.clock import utc_now
from core.settings import PROJECT, Settings
from db.blobs.opening import open_blob_store
from db.database import Database

PICTURES = 100_000
ROUNDS = 7
KEYS = 40
FRAMES = 180
"""Frames of the scroll that is measured: about three seconds."""
WATCHERS = 50
"""Pages that watch the same job."""
WATCHED_SECONDS = 20
PATHS = ("/", "/new", "/jobs", "/models")
SAMPLES = PROJECT / "samples" / "pictures"
ARGUMENTS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]

_FIRST_PICTURE = """() => new Promise(resolve => {
  const look = () => {
    if (document.querySelector(".cell.succeeded")) resolve(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})"""
_KEY = """() => new Promise(resolve => {
  const begin = performance.now();
  document.querySelector("#sheet").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - begin)));
})"""
_LANGUAGE = """() => new Promise(resolve => {
  const begin = performance.now();
  document.querySelector("#language").click();
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - begin)));
})"""
_SCROLL = """([frames, step_px]) => new Promise(resolve => {
  const times = [];
  let before = performance.now();
  const step = now => {
    times.push(now - before);
    before = now;
    scrollBy({ top: step_px, behavior: "instant" });
    if (times.length < frames) requestAnimationFrame(step);
    else resolve(times.slice(2));
  };
  requestAnimationFrame(step);
})"""


def run(progress: Progress) -> dict[str, Any]:
    """Return milliseconds and numbers of nodes of the job's page, and the bytes of the first load of every page."""
    task = progress.add_task("browsing", total=3 + ROUNDS)
    with empty_installation("sqlite") as settings:
        database = Database(settings.resolved_database_url)
        job_id = store_million(database, PICTURES)
        give_pictures(settings, database)
        progress.advance(task)
        with running_api(settings) as api, open_browser(f"http://127.0.0.1:{api.port}") as context:
            sizes = {path: _first_load(context, path) for path in (*PATHS, f"/jobs/{job_id}")}
            sizes["/jobs/…"] = sizes.pop(f"/jobs/{job_id}")
            progress.advance(task)
            rounds = []
            for _ in range(ROUNDS):
                rounds.append(_use(context, f"/jobs/{job_id}"))
                progress.advance(task)
            watched = _watch(context, api)
            progress.advance(task)
        database.close()
    figures = {name: spread([one[name] for one in rounds]) for name in rounds[0]}
    return {"pictures": PICTURES, "page": figures, "first_load_bytes": sizes, "watched": watched}


def give_pictures(settings: Settings, database: Database) -> None:
    """Store the sample pictures, and let all items show them in turn."""
    blobs = open_blob_store(settings)
    samples = [blobs.put(path.read_bytes()) for path in sorted(SAMPLES.iterdir())]
    with database.writing() as session:
        connection = session.connection()
        connection.execute(
            text(
                "INSERT INTO blobs (sha256, bytes, format, width, height, created_at) "
                "VALUES (:sha256, 9, 'jpeg', 9, 9, :now)"
            ),
            [{"sha256": sha256, "now": utc_now()} for sha256 in samples],
        )
        connection.execute(
            text("UPDATE items SET blob_sha256 = :sha256 WHERE position % :count = :number"),
            [{"sha256": sha256, "count": len(samples), "number": n} for n, sha256 in enumerate(samples)],
        )


@contextmanager
def open_browser(url: str) -> Iterator[BrowserContext]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser.new_context(base_url=url, viewport={"width": 1440, "height": 900})
        browser.close()


def _first_load(context: BrowserContext, path: str) -> dict[str, int]:
    """Return the bytes (as sent) and the requests of the first load of a page, without pictures."""
    page = context.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  Playwright refuses built-in methods
    page.goto(path, wait_until="networkidle")
    sizes = [answer.request.sizes() for answer in answers if answer.request.resource_type != "image"]
    page.close()
    return {"bytes": sum(size["responseBodySize"] for size in sizes), "requests": len(sizes)}


def _use(context: BrowserContext, path: str) -> dict[str, float]:
    """Return what a person waits for on the page of a large job, in milliseconds, and the number of its nodes."""
    page = context.new_page()
    page.goto(path)
    first = page.evaluate(_FIRST_PICTURE)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.wait_for_load_state("networkidle")
    page.locator("#sheet").focus()
    keys = [page.evaluate(_KEY) for _ in range(KEYS)]
    slow, fast = (page.evaluate(_SCROLL, [FRAMES, step]) for step in (20, 60))
    language = page.evaluate(_LANGUAGE)
    figures = {
        "first paint (ms)": paint,
        "first picture's cell (ms)": first,
        "nodes": float(page.evaluate("document.querySelectorAll('*').length")),
        "arrow key, p95 (ms)": percentile(keys, 0.95),
        "frame while scrolling 1,200 px/s, p95 (ms)": percentile(slow, 0.95),
        "frame while scrolling 3,600 px/s, p95 (ms)": percentile(fast, 0.95),
        "switch of the language (ms)": language,
        "jump to the middle (ms)": _jump(page),
    }
    page.close()
    return figures


def _jump(page: Page) -> float:
    """Return the milliseconds until the picture in the middle of the list is named in its cell."""
    script = """middle => new Promise(resolve => {
      const begin = performance.now();
      document.querySelector("#jump-to").value = middle;
      document.querySelector("#jump").requestSubmit();
      const look = () => document.querySelector(".cell[aria-current=true] .name")?.innerText.includes(`-${middle - 1}.`)
        ? resolve(performance.now() - begin) : requestAnimationFrame(look);
      look();
    })"""
    return float(page.evaluate(script, PICTURES // 2))


def _watch(context: BrowserContext, api: Api) -> dict[str, float]:
    """Return what 50 open pages of a job that does not end ask for, and how fast the API answers others meanwhile."""
    files = [("images", (path.name, path.read_bytes())) for path in sorted(SAMPLES.iterdir())]
    job = api.http.post("/v1/jobs", files=files).raise_for_status().json()
    answers: list[Response] = []
    pages = []
    for _ in range(WATCHERS):
        page = context.new_page()
        page.goto(job["links"]["page"])
        page.locator(".cell").first.wait_for()
        page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 (Playwright takes no built-ins)
        pages.append(page)
    waited = []
    begin, spent = time.monotonic(), api.processor_seconds()
    while (passed := time.monotonic() - begin) < WATCHED_SECONDS:
        asked = time.monotonic()
        api.http.get("/v1/jobs").raise_for_status()
        waited.append((time.monotonic() - asked) * 1000)
        pages[0].wait_for_timeout(200)
    spent = api.processor_seconds() - spent
    for page in pages:
        page.close()
    return {
        "pages": WATCHERS,
        "polls per second": len(answers) / passed,
        "answers other than 200 and 304": sum(answer.status not in (200, 304) for answer in answers),
        "processor seconds of the API per second": spent / passed,
        "list of jobs, p95 (ms)": percentile(waited, 0.95),
    }
