"""From a request to stored work: what single classifications and jobs have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from flask import request

from api.answers.problems import Problem
from api.door.access import caller
from api.intake.idempotency import record_created_job
from api.intake.uploads import current_uploads
from api.schemas.jobs import WebhookIn
from api.services import current_services
from broker.client import Subscription
from broker.dispatch import dispatch, run_task_soon
from core.clock import utc_now
from core.errors import BlobStoreUnavailable, BrokerUnavailable, ItemError, StorageFull
from core.fetching import Fetcher
from core.fetching.urls import parse_url
from core.messages import CRAWL, DELIVER_WEBHOOKS, EXPAND, ChunkMessage, Queue
from db.access import usage
from db.crawls.requests import CrawlRequest
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob, UnreadSource
from db.tables import Job, JobSource
from db.views import jobs

log = structlog.get_logger(__name__)

MAX_WAIT_SECONDS = 30
_SATURATED_SECONDS, _LONGEST_RETRY = 10, 3600


@dataclass(frozen=True, slots=True)
class WaitPreference:
    """`Prefer: wait=N` (RFC 7240) as it was asked for and as it is applied."""

    seconds: int
    asked: bool

    @property
    def headers(self) -> dict[str, str]:
        return {"WaitPreference-Applied": f"wait={self.seconds}"} if self.asked else {}


def wait_preference(default: int) -> WaitPreference:
    """How long the client wants to wait for the finished thing.

    Raises:
        Problem: 400, the header's `wait` is not a whole number of seconds.
    """
    for part in request.headers.get("Prefer", "").split(","):
        name, _, value = part.partition("=")
        if name.strip().lower() != "wait":
            continue
        value = value.partition(";")[0].strip().strip('"')
        if not value.isdecimal():
            raise Problem(400, "bad_request", f"Prefer: expected wait=<seconds>, got wait={value!r}")
        return WaitPreference(min(int(value), MAX_WAIT_SECONDS), asked=True)
    return WaitPreference(default, asked=False)


def refuse_when_saturated() -> None:
    """Bulk work beyond what the service is to hold comes later; single pictures go ahead of all of it anyway.

    Raises:
        Problem: 503 with `Retry-After`, from the rate at which what is there becomes less.
    """
    services = current_services()
    most = services.settings.max_pending_items
    there = jobs.read_backlog(services.database)
    if there.pending < most:
        return
    seconds = (there.pending - most) / there.rate if there.rate else _SATURATED_SECONDS
    retry_after = min(_LONGEST_RETRY, max(_SATURATED_SECONDS, math.ceil(seconds)))
    detail = f"{there.pending:,} pictures wait, of at most {most:,}: try again later"
    raise Problem(503, "saturated", detail, headers={"Retry-After": str(retry_after)})


def expiry_time(wanted: datetime | None = None) -> datetime | None:
    """Until when a job submitted now is kept: as the client wants, else as the settings say; None for ever."""
    days = current_services().settings.retention_days
    if wanted is None and days > 0:
        return utc_now() + timedelta(days=days)
    return wanted


def read_webhook(wanted: WebhookIn | None) -> dict[str, Any] | None:
    """What a job keeps of its `webhook`: the URL in its one spelling, and the events.

    Raises:
        Problem: 422, the URL is not one that anything may be sent to. What its name leads to is seen when something is.
    """
    if wanted is None:
        return None
    try:
        target = parse_url(wanted.url)
        with Fetcher(allow=current_services().settings.fetch_allow) as fetcher:
            fetcher.check_without_lookup(target)
    except ItemError as error:
        raise Problem(422, error.code, f"webhook: {error.detail}", errors=[("/webhook/url", error.detail)]) from error
    return {"url": str(target), "events": [event.value for event in wanted.events]}


def refuse_without_quota() -> None:
    """Do not take in what cannot be kept; how much exactly is left is seen when it is stored.

    Raises:
        QuotaExceeded: the caller may submit nothing more this month.
    """
    if caller().quota is not None:
        with current_services().database.reading() as session:
            usage.check_quota(session, caller().key_id, utc_now())


def submit(
    new: NewJob, items: Sequence[NewItem], wait_seconds: int, unread: UnreadSource | CrawlRequest | None = None
) -> Job:
    """Commit the job and its items, enqueue its first chunks, and wait for its end if someone wants to.

    Those that are still to be read from a source will be added to it by a worker.

    The job is stored whatever Redis does: what cannot be enqueued now is enqueued by the sweeper.

    Raises:
        QuotaExceeded: its owner may not submit that many any more this month.
        BlobStoreUnavailable, StorageFull: its pictures may be gone, and cannot be put again; nor is there a job then.
    """
    services = current_services()
    new = replace(new, key_id=caller().key_id)
    with services.database.writing() as session:
        messages: list[ChunkMessage] = []
        if unread is not None:
            job = submitting.create_discovering(session, new, unread, utc_now())
        else:
            job, messages = submitting.create_with_chunks(session, new, items, services.policy, utc_now())
        record_created_job(session, job.id)
    try:
        current_uploads().keep()
    except (BlobStoreUnavailable, StorageFull):
        with services.database.writing() as session:
            submitting.withdraw(session, job.id)
        raise
    with ExitStack() as stack:
        wait: Subscription | None = None
        if wait_seconds and not job.terminal:
            try:
                # Subscribed before anything is sent: the end cannot come before we listen.
                wait = stack.enter_context(services.broker.waiting_for(job.id))
            except BrokerUnavailable as error:
                log.warning("cannot_wait", job=job.id, reason=str(error))
        dispatch(services.database, services.broker, messages)
        if job.discovering:
            _wake_reader(job)
        if job.terminal and job.webhook is not None:
            run_task_soon(services.broker, DELIVER_WEBHOOKS)
        # Only now: a thousand files take a while to remove, and workers need not wait for it.
        current_uploads().forget()
        if wait is not None:
            _wait(wait, wait_seconds)
    return job


def _wake_reader(job: Job) -> None:
    if job.source == JobSource.CRAWL:
        run_task_soon(current_services().broker, CRAWL, Queue.CRAWL)
    else:
        run_task_soon(current_services().broker, EXPAND, Queue.INGEST)


def _wait(wait: Subscription, seconds: int) -> None:
    try:
        wait.wait(seconds)
    except BrokerUnavailable as error:
        # The client gets the thing as it stands, and polls.
        log.warning("wait_broken", reason=str(error))
