"""Measure the map of a job of 10,000 pictures: the layout, the answer with its points, and the page in Chromium."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext
from rich.progress import Progress

from benchmarks.api_alone import Api, running_api
from benchmarks.browsing import give_pictures, open_browser
from benchmarks.million import store_million
from benchmarks.pipeline import empty_installation
from benchmarks.run import percentile, spread
from core.clock import utc_now
from core.machine import Machine
from core.maps import Points
from db.database import Database
from db.steps import mapping
from db.views import jobs
from worker.maps.process import LayoutProcess

PICTURES = 10_000
LENGTH = 1280
"""Values of a vector, as those of the default model."""
CLUSTERS = 40
ROUNDS = 5
FRAMES = 120

_MOVE = """([frames, kind]) => new Promise(resolve => {
  const canvas = document.querySelector("#map");
  const { left, top, width, height } = canvas.getBoundingClientRect();
  const at = (dx, dy) => ({ clientX: left + width / 2 + dx, clientY: top + height / 2 + dy, bubbles: true });
  const pointer = (type, dx, dy) =>
    canvas.dispatchEvent(new PointerEvent(type, { ...at(dx, dy), pointerId: 1, pointerType: "mouse", button: 0 }));
  canvas.setPointerCapture = () => {};
  if (kind === "pan") pointer("pointerdown", 0, 0);
  const times = [];
  let before = performance.now();
  const step = now => {
    times.push(now - before);
    before = now;
    const turn = times.length / 10;
    if (kind === "pan") pointer("pointermove", 200 * Math.sin(turn), 100 * Math.cos(turn));
    const wheel = { ...at(0, 0), deltaY: 40 * Math.sin(turn), cancelable: true };
    if (kind === "zoom") canvas.dispatchEvent(new WheelEvent("wheel", wheel));
    if (times.length < frames) return requestAnimationFrame(step);
    if (kind === "pan") pointer("pointerup", 0, 0);
    resolve(times.slice(2));
  };
  requestAnimationFrame(step);
})"""
_DRAWN = """() => new Promise(resolve => {
  const look = () => {
    const isDrawn = document.querySelector("#map-legend li") && document.querySelector("#map").width > 300;
    if (isDrawn) resolve(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})"""


def run(progress: Progress) -> dict[str, Any]:
    """Return seconds of the layout, bytes and milliseconds of the answer, and milliseconds of frames."""
    task = progress.add_task("maps", total=2 + ROUNDS)
    vectors = clusters(PICTURES)
    begin = time.monotonic()
    places = lay_out(vectors)
    layout_seconds = time.monotonic() - begin
    progress.advance(task)
    with empty_installation("sqlite") as settings:
        database = Database(settings.resolved_database_url)
        # Every fourth item has failed, and has no point.
        job_id = store_million(database, PICTURES * 4 // 3 + 1)
        give_pictures(settings, database)
        store_points(database, job_id, places)
        progress.advance(task)
        with running_api(settings) as api, open_browser(f"http://127.0.0.1:{api.port}") as context:
            answer = _answer(api, job_id)
            rounds = []
            for _ in range(ROUNDS):
                rounds.append(_use(context, f"/jobs/{job_id}?view=map"))
                progress.advance(task)
        database.close()
    figures = {name: spread([one[name] for one in rounds]) for name in rounds[0]}
    return {"pictures": PICTURES, "layout_seconds": layout_seconds, "answer": answer, "page": figures}


def clusters(count: int) -> NDArray[np.float16]:
    """Return vectors around 40 directions, as a trained model gives them: float16 [count, 1280]."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(CLUSTERS, LENGTH)).astype(np.float32)
    noise = random.normal(size=(count, 64)).astype(np.float32) @ random.normal(size=(64, LENGTH)).astype(np.float32) / 8
    return np.maximum(centres[np.arange(count) % CLUSTERS] + noise, 0).astype(np.float16)


def lay_out(vectors: NDArray[np.float16]) -> NDArray[np.uint16]:
    """Lay out vectors in a process of its own, as a worker does."""
    with LayoutProcess(len(vectors), vectors.shape[1], Machine.here().processors) as process:
        process.send([vectors])
        while not process.wait(1.0):
            pass
        return process.places()


def store_points(database: Database, job_id: str, places: NDArray[np.uint16]) -> None:
    """Store places as the map of a job, for its succeeded items."""
    with database.writing() as session:
        job = jobs.get(session, job_id)
        assert job is not None
        mapping.request(session, job, utc_now())
        work = mapping.take(session, utc_now())
        assert work is not None
        positions = np.array([p for p in range(job.total) if p % 4 != 1][: len(places)], np.int32)
        mapping.store(session, work, Points(positions, places), len(places), utc_now())


def _answer(api: Api, job_id: str) -> dict[str, float]:
    """Return the bytes of the answer with the points as it is sent, and the milliseconds that it takes."""
    times, size = [], 0
    for _ in range(ROUNDS):
        begin = time.monotonic()
        with api.http.stream("GET", f"/v1/jobs/{job_id}/map/points", headers={"Accept-Encoding": "br"}) as answer:
            size = sum(len(block) for block in answer.iter_raw())
        times.append((time.monotonic() - begin) * 1000)
    return {"bytes": size, "milliseconds": sorted(times)[len(times) // 2]}


def _use(context: BrowserContext, path: str) -> dict[str, float]:
    page = context.new_page()
    page.goto(path)
    drawn = page.evaluate(_DRAWN)
    page.wait_for_load_state("networkidle")
    still, pan, zoom = (page.evaluate(_MOVE, [FRAMES, kind]) for kind in ("still", "pan", "zoom"))
    page.close()
    return {
        "map is drawn (ms)": drawn,
        "frame of the page at rest, p95 (ms)": percentile(still, 0.95),
        "frame while moving the map, p95 (ms)": percentile(pan, 0.95),
        "frame while zooming, p95 (ms)": percentile(zoom, 0.95),
    }


def section(figures: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    answer = figures["answer"]
    rows = "\n".join(
        f"| {name} | {one['median']:.1f} ({one['lowest']:.1f}–{one['highest']:.1f}) |"
        for name, one in figures["page"].items()
    )
    return f"""## The map of {figures["pictures"]:,} pictures

A worker lays out {figures["pictures"]:,} vectors of {LENGTH:,} values in {figures["layout_seconds"]:.0f} s. The answer
with the points has {answer["bytes"] / 1000:,.0f} kB and takes {answer["milliseconds"]:.0f} ms. The page, in headless
Chromium without a GPU at 60 frames a second, {ROUNDS} times:

| | |
| --- | --- |
{rows}
"""
