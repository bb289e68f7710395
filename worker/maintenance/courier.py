"""The courier delivers webhooks: it takes due deliveries from the outbox, signs and posts them, records the answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

import structlog
from standardwebhooks import Webhook

from core import metrics
from core.clock import utc_now
from core.fetching import Fetched, Fetcher, FetchLimits
from core.item_errors import ItemError
from db.database import Database
from db.steps import webhooks
from db.steps.webhooks import Answer, Attempt
from worker.background import BackgroundThreads

log = structlog.get_logger(__name__)

ATTEMPT_LIMITS = FetchLimits(seconds=15.0, max_bytes=64 * 1024, max_redirects=0)
"""Limits of one attempt. Standard Webhooks recommends at least this time, and no answer needs more bytes."""

MAX_ATTEMPTS_AT_ONCE = 8
"""Attempts that one worker makes at the same time. A receiver that does not answer uses up one of them until the
deadline."""


class Courier(BackgroundThreads[Attempt]):
    """Delivers webhooks in threads of its own, so that the worker's tasks never wait for a receiver's server."""

    def __init__(
        self, database: Database, fetcher: Fetcher, secret: str = "", clock: Callable[[], datetime] = utc_now
    ) -> None:
        super().__init__("courier", MAX_ATTEMPTS_AT_ONCE)
        self._database = database
        self._fetcher = fetcher
        self._secret = secret
        self._clock = clock

    def _take(self) -> Attempt | None:
        with self._database.reading() as session:
            if not webhooks.any_due(session, self._clock()):
                return None
        with self._database.writing() as session:
            return webhooks.take(session, self._clock())

    def _do(self, attempt: Attempt) -> None:
        # The answer may take long, so no transaction is open while this waits for it.
        answer = self._post(attempt)
        with self._database.writing() as session:
            status = webhooks.record_attempt(session, attempt, answer, self._clock())
        outcome = "overtaken" if status is None else status.value
        metrics.WEBHOOK_ATTEMPTS.labels(outcome).inc()
        log.info(
            "webhook_attempted",
            delivery=attempt.delivery_id,
            job=attempt.job_id,
            host=urlsplit(attempt.url).hostname,
            attempt=attempt.number,
            answer=answer.status,
            error=answer.error,
            status=outcome,
        )

    def _post(self, attempt: Attempt) -> Answer:
        now = self._clock()
        secret = webhooks.signing_secret(self._database, self._secret)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": attempt.delivery_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(attempt.delivery_id, now, attempt.body),
        }
        try:
            fetched = self._fetcher.post(attempt.url, attempt.body.encode(), headers=headers, limits=ATTEMPT_LIMITS)
        except ItemError as error:
            return Answer(error=f"{error.code}: {error.detail}", final=not error.retryable)
        return _answer(fetched, now)


def _answer(fetched: Fetched, now: datetime) -> Answer:
    if fetched.ok:
        return Answer(fetched.status)
    expected = "expected a 2xx, got a redirect, which is not followed" if fetched.status in range(300, 400) else None
    return Answer(
        fetched.status,
        error=expected or f"expected a 2xx, got {fetched.status}",
        retry_after=fetched.retry_after(now),
    )
