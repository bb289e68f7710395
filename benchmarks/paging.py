"""Measure the first page and a deep page of the items of a million-item job, and its summary."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import httpx
from rich.progress import Progress, TaskID
from sqlalchemy import select

from api.answers.paging import encode_cursor
from benchmarks.api_alone import running_api
from benchmarks.million import ITEMS, store_million
from benchmarks.pipeline import empty_installation
from benchmarks.run import spread
from db.database import Database
from db.tables import Item, ItemStatus
from db.views import jobs
from db.views.item_pages import ItemCursor, ItemFilter, ItemSort, select_page

DEEP_PAGE = 5000
"""Number of the page that is compared with page 1."""
LIMIT = 50
ROUNDS = 20
_DATABASES = ("sqlite", "postgresql")
_SORTS = (ItemSort.POSITION, ItemSort.CONFIDENCE)


def run(progress: Progress) -> dict[str, Any]:
    """Return the milliseconds of both pages for each order and filter, their ratio, and those of the summary."""
    task = progress.add_task("paging", total=len(_DATABASES) * (1 + len(_SORTS) * 5))
    databases = {kind: _measure(kind, progress, task) for kind in _DATABASES}
    return {"items": ITEMS, "page": DEEP_PAGE, "limit": LIMIT, "databases": databases}


def _measure(kind: str, progress: Progress, task: TaskID) -> dict[str, Any]:
    with empty_installation(kind) as settings:
        database = Database(settings.resolved_database_url)
        job_id = store_million(database)
        progress.advance(task)
        with database.reading() as session:
            job = jobs.get(session, job_id)
            assert job is not None
            labels = job.model_version.taxonomy["labels"]
        group = labels[0]["group"]
        of_group = tuple(label["id"] for label in labels if label["group"] == group)
        filters = {
            "": ItemFilter(),
            "status=succeeded": ItemFilter(ItemStatus.SUCCEEDED),
            "status=failed": ItemFilter(ItemStatus.FAILED),
            f"label={labels[0]['id']}": ItemFilter(labels=of_group[:1]),
            f"group={group}": ItemFilter(labels=of_group),
        }
        with running_api(settings) as api:
            path, pages = f"/v1/jobs/{job_id}", {}
            for sort in _SORTS:
                for name, item_filter in filters.items():
                    first = f"{path}/items?{name}&{urlencode({'sort': sort.value, 'limit': LIMIT})}"
                    deep = f"{first}&cursor={_cursor(database, job_id, item_filter, sort)}"
                    pages[f"{sort.value}, {name or 'all'}"] = _compare(api.http, first, deep)
                    progress.advance(task)
            summary = [_milliseconds(api.http, f"{path}/summary") for _ in range(ROUNDS)]
        database.close()
    return {"pages": pages, "summary_ms": spread(summary)}


def _cursor(database: Database, job_id: str, item_filter: ItemFilter, sort: ItemSort) -> str:
    """Return the cursor that leads to the deep page."""
    shown = (DEEP_PAGE - 1) * LIMIT
    with database.reading() as session:
        keys = select_page(select(Item.position, Item.confidence), job_id, item_filter, sort, None, shown)
        last = ItemCursor(*session.execute(keys).all()[shown - 1])
    return encode_cursor({"position": last.position, "confidence": last.confidence, "sort": sort.value})


def _compare(http: httpx.Client, first: str, deep: str) -> dict[str, Any]:
    times: dict[str, list[float]] = {"first": [], "deep": []}
    for number in range(ROUNDS + 3):
        for name, path in (("first", first), ("deep", deep)):
            took = _milliseconds(http, path)
            # The first three rounds only fill caches.
            if number >= 3:
                times[name].append(took)
    found = {f"{name}_ms": spread(values) for name, values in times.items()}
    ratios = [deep / first for first, deep in zip(times["first"], times["deep"], strict=True)]
    return {**found, "ratio": spread(ratios)}


def _milliseconds(http: httpx.Client, path: str) -> float:
    started = time.perf_counter()
    http.get(path).raise_for_status()
    return (time.perf_counter() - started) * 1000
