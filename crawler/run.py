"""Starts one crawl in a process of its own: `python -m crawler JOB WORKER`, run by a worker that holds the job's lease.

The process ends when the crawl ends, on SIGTERM, when its parent is gone (its standard input is closed), or when the
worker loses the job's lease. The database knows at any moment which URLs are still to be requested.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

import structlog
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.settings import Settings as ScrapySettings

from core.logs import bind_ids, configure_logging
from core.settings import Settings
from crawler.exits import CrawlExit, end_process
from crawler.process import CrawlRun
from crawler.spider import SETTINGS, ShopSpider
from db.database import Database
from db.steps import discoveries
from db.tables import JobSource

log = structlog.get_logger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Run the crawl that the command line names, and return the exit code."""
    job_id, worker = arguments
    settings = Settings.read()
    configure_logging(settings.log_level, "crawl")
    bind_ids(job=job_id)
    _end_with_parent()
    return crawl(settings, job_id, worker)


def crawl(settings: Settings, job_id: str, worker: str) -> int:
    """Crawl for a job whose lease the worker holds, and return the exit code.

    Call it once in a process, because a Twisted reactor cannot be started again.
    """
    database = Database(settings.resolved_database_url, durable=False)
    with database.reading() as session:
        lease = discoveries.get_held(session, job_id, JobSource.CRAWL, worker)
    if lease is None:
        return CrawlExit.LEASE_LOST
    run = CrawlRun(settings, database, lease)
    process = AsyncCrawlerProcess(ScrapySettings(SETTINGS, priority="cmdline"), install_root_handler=False)
    process.crawl(ShopSpider, crawling=run)
    process.start(install_signal_handlers=False)
    # `CrawlRun.run` ends the process with its own code. Only a failure of Scrapy itself comes here.
    return 1


def _end_with_parent() -> None:
    """End this process when its parent dies: the parent holds the other end of standard input, which is then closed."""

    def watch() -> None:
        while sys.stdin.buffer.read(1):
            pass
        log.warning("orphaned", reason="the worker that started this crawl is gone")
        end_process(CrawlExit.ORPHANED)

    threading.Thread(target=watch, name="parent", daemon=True).start()
