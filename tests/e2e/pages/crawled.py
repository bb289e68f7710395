"""A crawl that has ended, as the tests write it into the database of a running service."""

from __future__ import annotations

from typing import Any

import httpx
from sqlalchemy import insert, select, update

from core.clock import utc_now
from db.crawls.requests import digest_of
from db.database import Database
from db.tables import Crawl, CrawlUrl, Item, Job, JobSource, UrlKind, UrlState
from tests.conftest import SAMPLES
from tests.jobs import run_job

SHOP = "https://shop.example"
SCRIPT = "<script>alert(1)</script>"
URL_COUNT = 130
"""More URLs than the page requests at once."""


def make_crawl(http: httpx.Client, database: Database) -> str:
    """Classify the samples, write the URLs of a crawl into the database, and return the path of the job's page."""
    files = [("images", (path.name, path.read_bytes())) for path in sorted(SAMPLES.iterdir())]
    job = run_job(http, files=files)
    assert job["status"] == "completed"
    progress = {
        "pages": {"done": 90, "failed": 2, "blocked_by_robots": 1, "queued": 8},
        "pictures": {"done": 26, "left_out": 3},
        "left_out": {"logo": 40, "limit_depth": 3},
        "bytes": 1_234_567,
        "waiting_on": [],
    }
    request = {
        "start_urls": [SHOP + "/"],
        "recipe": "shop-cards",
        "query": "코트 <b>",
        "limits": {"pages": 200, "pictures": 2000, "bytes": 2**30, "depth": 3, "minutes": 30, "hosts": []},
    }
    with database.writing() as session:
        session.execute(update(Job).where(Job.id == job["id"]).values(source=JobSource.CRAWL, revision=100))
        session.execute(insert(Crawl).values(job_id=job["id"], request=request, progress=progress))
        session.execute(insert(CrawlUrl), [url_row(job["id"], number) for number in range(1, URL_COUNT + 1)])
        items = session.scalars(select(Item).where(Item.job_id == job["id"]).order_by(Item.position)).all()
        for item in items:
            item.provenance = {
                "page_url": f"{SHOP}/p/{item.position}",
                "rule": "json_ld",
                "product": {
                    "title": f"Wool coat number {item.position} {SCRIPT}",
                    "price": "39000",
                    "currency": "KRW",
                    "brand": "Aire",
                    "sources": {"price": "json_ld", "brand": "microdata"},
                },
            }
        unusual = {"title": "A shirt", "price": "about 10"}
        items[1].provenance = {"page_url": "javascript:alert(1)", "product": unusual}
    return str(job["links"]["page"])


def url_row(job_id: str, number: int) -> dict[str, Any]:
    url = f"{SHOP}/p/{number}"
    state = UrlState.DONE
    reason: str | None = None
    detail: str | None = None
    status: int | None = 200
    if number == 2:
        url, state, reason, detail, status = "javascript:alert(2)", UrlState.NOT_ALLOWED, "fetch_forbidden", None, None
    elif number == 3:
        state, reason, detail, status = UrlState.FAILED, "fetch_failed", f"answered 500 {SCRIPT}", 500
    elif number == 4:
        state, reason = UrlState.LEFT_OUT, "limit_depth"
    elif number == 5:
        state, reason = UrlState.LEFT_OUT, "not_in_the_words_of_the_pages"
    return {
        "job_id": job_id,
        "digest": digest_of(url),
        "seq": number,
        "url": url,
        "kind": UrlKind.PICTURE if number % 2 else UrlKind.PAGE,
        "state": state,
        "reason_code": reason,
        "reason_detail": detail,
        "status": status,
        "referrer": None if number == 1 else SHOP + "/",
        "found_at": utc_now(),
    }
