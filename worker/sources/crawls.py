"""Runs crawls in child processes: one process for each crawl, started when a worker takes up the job.

The worker renews the lease while the child starts, which may take longer than a lease on a busy machine. After that,
the child renews it each time it commits. If the child stalls, the lease ends, the sweeper ends the attempt, and the
worker that started the child kills it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from broker.client import Broker
from broker.dispatch import announce_end, run_task_soon
from core import tracing
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

POLL_SECONDS = 0.5
"""Seconds between two looks at whether a child has ended or has to end."""
START_SECONDS = 60.0
"""For how long a child may start. Until then its worker renews the lease."""
STOP_SECONDS = 5.0
"""Seconds that a child has for its last commit after SIGTERM. After that it is killed."""
_NICENESS = 5
"""The nice value of a child, because a client that waits for a single picture is more urgent than a crawl."""


class CrawlRunner(BackgroundThreads[LeasedSource]):
    """Runs the crawls that wait. When it is stopped, it ends all children and gives their leases back."""

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
        """The process id of the child that crawls for a job, by job id."""

    def _take(self) -> LeasedSource | None:
        with self._database.reading() as session:
            if discoveries.find_next_waiting(session, self._clock(), crawls=True) is None:
                return None
        with self._database.writing() as session:
            return crawling.take(session, self.worker, self._policy, self._clock())

    def _do(self, lease: LeasedSource) -> None:
        log.info("crawling", job=lease.job_id, position=lease.position)
        self._broker.join_trace(lease.job_id)
        child = self._start(lease)
        self.children[lease.job_id] = child.pid
        try:
            with tracing.span("crawl", {"lookbook.job": lease.job_id}):
                self._watch(lease, child)
        finally:
            _kill(child)
            is_last = self._is_last(lease, child)
            if is_last:
                del self.children[lease.job_id]
        if not is_last:
            return
        try:
            self._record_end(lease, child.returncode)
        except TRANSIENT_ERRORS as error:
            log.warning("lease_not_given_back", job=lease.job_id, until="its lease ends", reason=str(error.orig))

    def _start(self, lease: LeasedSource) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "crawler", lease.job_id, lease.worker],
            # The child ends when this end of the pipe is closed, which the kernel does however this process ends.
            stdin=subprocess.PIPE,
            cwd=PROJECT,
            env={**os.environ, **child_environment(self._settings)},
            start_new_session=True,
        )

    def _watch(self, lease: LeasedSource, child: subprocess.Popen[bytes]) -> None:
        """Wait until the child has ended, or has not ended within `STOP_SECONDS` after SIGTERM."""
        _lower_priority(child.pid)
        began = renewed = time.monotonic()
        while True:
            try:
                child.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                now = time.monotonic()
                is_due = now - renewed >= self._policy.deadlines.renewal_interval.total_seconds()
                if is_due and now - began < START_SECONDS:
                    self._renew(lease)
                    renewed = now
                if not self.stopping.is_set() and self._is_last(lease, child) and self._is_wanted(lease):
                    continue
                child.terminate()
                try:
                    child.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    log.warning("crawl_killed", job=lease.job_id, reason=f"it did not end in {STOP_SECONDS:g} s")
            return

    def _is_last(self, lease: LeasedSource, child: subprocess.Popen[bytes]) -> bool:
        """Return whether this worker has started no other child for the crawl, after the lease of this one ended."""
        return self.children.get(lease.job_id) == child.pid

    def _renew(self, lease: LeasedSource) -> None:
        """Renew the lease of a child that has not settled any URL yet."""
        try:
            with self._database.writing() as session:
                discoveries.renew(session, lease, self._policy, self._clock())
        except TRANSIENT_ERRORS as error:
            log.warning("lease_not_renewed", job=lease.job_id, reason=str(error.orig))

    def _is_wanted(self, lease: LeasedSource) -> bool:
        """Return whether this worker has the lease and the job is not canceled. During an outage, assume so."""
        try:
            with self._database.reading() as session:
                is_held = discoveries.get_held(session, lease.job_id, lease.source, lease.worker) is not None
                return is_held and jobs.is_wanted(session, lease.job_id)
        except TRANSIENT_ERRORS:
            return True

    def _record_end(self, lease: LeasedSource, code: int) -> None:
        """End the crawl of a canceled job. Otherwise end the attempt, if the child has not done so itself."""
        with self._database.writing() as session:
            stopped = expanding.stop_canceled(session, lease, self._clock())
        if stopped is not None:
            log.info("crawl_canceled", job=lease.job_id)
            if stopped.job_finished:
                announce_end(self._broker, lease.job_id, webhook=stopped.has_webhook)
            run_task_soon(self._broker, PURGE)
            return
        with self._database.writing() as session:
            if self.stopping.is_set() or code == CrawlExit.OUTAGE:
                pause, reason = OUTAGE_PAUSE, "the database or the blob store was down or full"
                if self.stopping.is_set():
                    pause, reason = timedelta(), "its worker was stopped"
                SOURCE_LEASES.give_back(session, [lease.job_id], lease.worker, self._clock() + pause, reason)
            elif code not in {CrawlExit.ENDED, CrawlExit.LEASE_LOST, CrawlExit.FAILED}:
                reason = f"its process ended with {code}" if code >= 0 else f"its process was killed (signal {-code})"
                log.error("crawl_failed", job=lease.job_id, reason=reason)
                SOURCE_LEASES.fail_attempt(session, lease.job_id, lease.worker, self._clock(), reason)


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the settings of this process for a child, because some of them did not come from the environment."""
    variables: dict[str, str] = {}
    names = ("home", "database_url", "redis_url", "blobs", "crawl_delay", "crawl_connections", "lease_seconds")
    for name in (*names, "render", "chromium", "chromium_sandbox"):
        variables[f"LOOKBOOK_{name.upper()}"] = str(getattr(settings, name))
    # The variables above hold the content of these files already, and a setting may not come from both.
    variables |= {f"LOOKBOOK_{name.upper()}_FILE": "" for name in ("database_url", "redis_url")}
    # By default malloc has a pool for each thread, and memory that is freed in one is not used by another.
    variables["MALLOC_ARENA_MAX"] = "2"
    variables["LOOKBOOK_FETCH_ALLOW"] = ",".join(str(network) for network in settings.fetch_allow)
    return variables


def _lower_priority(process_id: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.setpriority(os.PRIO_PROCESS, process_id, _NICENESS)


def _kill(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
