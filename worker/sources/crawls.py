"""Crawls, as the worker sees them: each a child process, started when its job is taken up and never two for one.

The child renews the lease with what it commits. If it stalls, the lease ends like any other, the sweeper decides, and
whoever started the child ends it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from broker.client import Broker
from broker.dispatch import announce_end, run_task_soon
from core.clock import utc_now
from core.messages import PURGE
from core.settings import PROJECT, Settings
from crawler.exits import CrawlExit
from db.database import TRANSIENT_ERRORS, Database
from db.steps import crawling, discoveries, expanding
from db.steps.chunks import ChunkPolicy
from db.steps.discoveries import LeasedSource
from db.steps.leasing import SOURCE_LEASES
from db.views import jobs
from worker.background import BackgroundThreads
from worker.leases import OUTAGE_PAUSE

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
"""How often it is looked whether a child has ended, or has to."""
STOP_SECONDS = 5.0
"""How long a child that was told to end may take to commit what it has."""
_NICENESS = 5


class Crawls(BackgroundThreads[LeasedSource]):
    """Runs the crawls that wait. Once it is stopped it ends all children, and gives their crawls back."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        settings: Settings,
        worker: str,
        policy: ChunkPolicy,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__("crawls", settings.crawls)
        self.worker = worker
        self._database = database
        self._broker = broker
        self._settings = settings
        self._policy = policy
        self._clock = clock
        self.children: dict[str, int] = {}
        """Job -> process id of the child that crawls for it."""

    def _take(self) -> LeasedSource | None:
        with self._database.reading() as session:
            if discoveries.find_next_waiting(session, self._clock(), crawls=True) is None:
                return None
        with self._database.writing() as session:
            return crawling.take(session, self.worker, self._policy, self._clock())

    def _do(self, taken: LeasedSource) -> None:
        log.info("crawling", job=taken.job_id, position=taken.position)
        child = self._start(taken)
        self.children[taken.job_id] = child.pid
        try:
            self._watch(taken, child)
        finally:
            _kill(child)
            del self.children[taken.job_id]
        try:
            self._settle(taken, child.returncode)
        except TRANSIENT_ERRORS as error:
            log.warning("lease_not_given_back", job=taken.job_id, until="its lease ends", reason=str(error.orig))

    def _start(self, taken: LeasedSource) -> subprocess.Popen[bytes]:
        with self._log_path().open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "crawler", taken.job_id, taken.worker],
                # It ends when this end of the pipe is closed, however this process ends.
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=PROJECT,
                env={**os.environ, **_environment(self._settings)},
                start_new_session=True,
            )

    def _log_path(self) -> Path:
        logs = self._settings.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        return logs / "crawler.log"

    def _watch(self, taken: LeasedSource, child: subprocess.Popen[bytes]) -> None:
        """Until the child has ended, of itself or because it has to."""
        _be_nice(child.pid)
        while True:
            try:
                child.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if not self.stopping.is_set() and self._wanted(taken):
                    continue
                child.terminate()
                try:
                    child.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    log.warning("crawl_killed", job=taken.job_id, reason=f"it did not end in {STOP_SECONDS:g} s")
            return

    def _wanted(self, taken: LeasedSource) -> bool:
        """Whether the crawl is to go on, and is this worker's; if the database does not answer, that is not known."""
        try:
            with self._database.reading() as session:
                mine = discoveries.get_held(session, taken.job_id, taken.source, taken.worker) is not None
                return mine and jobs.is_wanted(session, taken.job_id)
        except TRANSIENT_ERRORS:
            return True

    def _settle(self, taken: LeasedSource, code: int) -> None:
        """What follows from the end of a child, if it has not brought its crawl to an end."""
        with self._database.writing() as session:
            stopped = expanding.stop_canceled(session, taken, self._clock())
        if stopped is not None:
            log.info("crawl_canceled", job=taken.job_id)
            if stopped.job_terminal:
                announce_end(self._broker, taken.job_id, webhook=stopped.has_webhook)
            run_task_soon(self._broker, PURGE)
            return
        with self._database.writing() as session:
            if self.stopping.is_set() or code == CrawlExit.OUTAGE:
                pause = timedelta() if self.stopping.is_set() else OUTAGE_PAUSE
                reason = "its worker was stopped" if self.stopping.is_set() else "part of the service was away"
                SOURCE_LEASES.give_back(session, [taken.job_id], taken.worker, self._clock() + pause, reason)
            elif code not in {CrawlExit.ENDED, CrawlExit.LEASE_LOST, CrawlExit.FAILED}:
                reason = f"its process ended with {code}" if code >= 0 else f"its process was killed (signal {-code})"
                log.error("crawl_failed", job=taken.job_id, reason=reason)
                SOURCE_LEASES.fail_attempt(session, taken.job_id, taken.worker, self._clock(), reason)


def _environment(settings: Settings) -> dict[str, str]:
    """What a child has to know: the settings of this process, some of which did not come from its environment."""
    told: dict[str, str] = {}
    for name in ("home", "database_url", "redis_url", "blobs", "crawl_delay", "crawl_connections", "lease_seconds"):
        told[f"LOOKBOOK_{name.upper()}"] = str(getattr(settings, name))
    # Threads that each have a pool of malloc's own keep what another could use.
    told["MALLOC_ARENA_MAX"] = "2"
    told["LOOKBOOK_FETCH_ALLOW"] = ",".join(str(network) for network in settings.fetch_allow)
    return told


def _be_nice(process_id: int) -> None:
    """Whoever waits for a picture goes before whoever waits for a shop."""
    with suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, process_id, _NICENESS)


def _kill(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
