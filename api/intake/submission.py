"""Stores a submission and waits for it. Single classifications and jobs share this code."""

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
from api.connections.turns import lend_turn
from api.door.access import caller
from api.intake.idempotency import record_created_job
from api.intake.uploads import current_uploads
from api.schemas.jobs import WebhookIn
from api.services import current_services
from broker.dispatch import dispatch, run_task_soon
from broker.subscriptions import Subscription
from core import tracing
from core.clock import utc_now
from core.errors import BlobStoreUnavailable, BrokerUnavailable, StorageFull
from core.fetching import Fetcher
from core.fetching.urls import parse_url
from core.item_errors import ItemError
from core.messages import CRAWL, DELIVER_WEBHOOKS, EXPAND, ChunkMessage, Queue
from db.access import usage
from db.crawls.requests import CrawlRequest
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob, UnreadSource
from db.tables import Job, JobSource
from db.views import jobs

log = structlog.get_logger(__name__)

MAX_WAIT_SECONDS = 30
_MIN_SATURATED_RETRY, _MAX_SATURATED_RETRY = 10, 3600
"""Bounds of the `Retry-After` that a saturated service asks for, in seconds."""


@dataclass(frozen=True, slots=True)
class WaitPreference:
    """How long an answer may wait for the end of the work (RFC 7240)."""

    seconds: int
    is_requested: bool
    """Whether the request has `Prefer: wait=N`."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Preference-Applied": f"wait={self.seconds}"} if self.is_requested else {}


def wait_preference(default: int) -> WaitPreference:
    """Return how long the client wants to wait for the end of the work.

    Raises:
        Problem: 400, `wait` is not a whole number of seconds.
    """
    for part in request.headers.get("Prefer", "").split(","):
        name, _, value = part.partition("=")
        if name.strip().lower() != "wait":
            continue
        value = value.partition(";")[0].strip().strip('"')
        if not value.isdecimal():
            raise Problem(400, "bad_request", f"Prefer: wait must be a whole number of seconds, got {value!r}.")
        return WaitPreference(min(int(value), MAX_WAIT_SECONDS), is_requested=True)
    return WaitPreference(default, is_requested=False)


def refuse_when_saturated() -> None:
    """Refuse bulk work while too many pictures are pending. Single pictures are always accepted and go ahead of it.

    Raises:
        Problem: 503. Its `Retry-After` follows from the rate at which pictures are classified.
    """
    services = current_services()
    maximum = services.settings.max_pending_items
    backlog = jobs.read_backlog(services.database)
    if backlog.pending < maximum:
        return
    seconds = (backlog.pending - maximum) / backlog.rate if backlog.rate else _MIN_SATURATED_RETRY
    retry_after = min(_MAX_SATURATED_RETRY, max(_MIN_SATURATED_RETRY, math.ceil(seconds)))
    detail = f"{backlog.pending:,} pictures are pending, and the maximum is {maximum:,}. Try again later."
    raise Problem(503, "saturated", detail, headers={"Retry-After": str(retry_after)})


def expiry_time(requested: datetime | None = None) -> datetime | None:
    """Return when a new job expires: at the time that the client requested, or as the settings say. None: never."""
    days = current_services().settings.retention_days
    if requested is None and days > 0:
        return utc_now() + timedelta(days=days)
    return requested


def read_webhook(webhook: WebhookIn | None) -> dict[str, Any] | None:
    """Return a webhook as the job stores it: with its URL in normalized form, and its events.

    The IP addresses of its host are checked only when a delivery is sent.

    Raises:
        Problem: 422, nothing may be sent to this URL.
    """
    if webhook is None:
        return None
    try:
        target = parse_url(webhook.url)
        with Fetcher(allow=current_services().settings.fetch_allow) as fetcher:
            fetcher.check_without_lookup(target)
    except ItemError as error:
        raise Problem(422, error.code, f"webhook: {error.detail}", errors=[("/webhook/url", error.detail)]) from error
    return {"url": str(target), "events": [event.value for event in webhook.events]}


def refuse_without_quota() -> None:
    """Refuse a request before its pictures are read if the quota is used up. `submit` checks the exact number.

    Raises:
        QuotaExceeded: the caller may submit no more pictures this month.
    """
    if caller().quota is not None:
        with current_services().database.reading() as session:
            usage.check_quota(session, caller().owner, utc_now())


def submit(
    new: NewJob, items: Sequence[NewItem], wait_seconds: int, unread: UnreadSource | CrawlRequest | None = None
) -> Job:
    """Store a job with its items, enqueue its first chunks, and wait up to `wait_seconds` for its end.

    A worker later adds the items that it reads from `unread`. The job is stored even if Redis is unavailable, because
    the sweeper enqueues later what cannot be enqueued now.

    Raises:
        QuotaExceeded: the owner may not submit this many pictures this month.
        BlobStoreUnavailable, StorageFull: pictures may be missing and cannot be stored again. No job is stored then.
    """
    services = current_services()
    new = replace(new, key_id=caller().owner)
    with tracing.span("ingest", {"lookbook.items": len(items)}):
        job, messages = _store(new, items, unread)
    services.broker.keep_trace(job.id)
    with ExitStack() as stack:
        wait: Subscription | None = None
        if wait_seconds and not job.finished:
            try:
                # Subscribe before the chunks are sent, so that the end of the job cannot be missed.
                wait = stack.enter_context(services.broker.waiting_for(job.id))
            except BrokerUnavailable as error:
                log.warning("cannot_wait", job=job.id, reason=str(error))
        dispatch(services.database, services.broker, messages)
        if unread is not None:
            _wake_reader(job)
        if job.finished and job.webhook is not None:
            run_task_soon(services.broker, DELIVER_WEBHOOKS)
        # Temporary files are removed after the chunks are sent, because removing a thousand files takes a while.
        current_uploads().discard()
        if wait is not None:
            _wait(wait, wait_seconds)
    return job


def _store(
    new: NewJob, items: Sequence[NewItem], unread: UnreadSource | CrawlRequest | None
) -> tuple[Job, list[ChunkMessage]]:
    """Store a job with its items and its bytes. Return it, and the messages of its first chunks."""
    services = current_services()
    with services.database.writing() as session:
        messages: list[ChunkMessage] = []
        if unread is not None:
            job = submitting.create_discovering(session, new, unread, utc_now())
        else:
            job, messages = submitting.create_with_chunks(session, new, items, services.policy, utc_now())
        record_created_job(session, job.id)
    try:
        current_uploads().confirm()
    except (BlobStoreUnavailable, StorageFull):
        with services.database.writing() as session:
            submitting.withdraw(session, job.id)
        raise
    return job, messages


def _wake_reader(job: Job) -> None:
    if job.source == JobSource.CRAWL:
        run_task_soon(current_services().broker, CRAWL, Queue.CRAWL)
    else:
        run_task_soon(current_services().broker, EXPAND, Queue.INGEST)


def _wait(wait: Subscription, seconds: int) -> None:
    try:
        with lend_turn():
            wait.wait(seconds)
    except BrokerUnavailable as error:
        # The client receives the unfinished job and polls.
        log.warning("wait_failed", reason=str(error))
