"""When a request that failed is tried again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 16.0
"""Seconds before the second attempt, doubled before each further one until the longest."""
LONGEST_RETRY_AFTER = 120.0
"""A `Retry-After` of more seconds than that is for the caller to wait for."""

_REFUSED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
"""Answers after which nothing was done."""
_LOST = {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
"""Answers of a proxy that got none: what was asked for may have been done."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_OWN_FAULT = (httpx.LocalProtocolError, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Retrying:
    """How often, and which: `repeatable` requests may be sent twice although the first may have had its effect."""

    retries: int
    repeatable: bool

    def after_answer(self, response: httpx.Response, attempt: int) -> float | None:
        """Seconds until an answered request is tried again, `attempt` being its attempts so far; None: it is not."""
        status, wanted = response.status_code, retry_after(response.headers)
        # A first attempt with the same Idempotency-Key is still being worked on, perhaps for a while.
        running = self.repeatable and status == HTTPStatus.CONFLICT and wanted is not None
        lost = self.repeatable and status in _LOST
        if attempt > self.retries or not (status in _REFUSED or running or lost):
            return None
        if running and wanted is not None:
            return max(wanted, pause(attempt))
        if wanted is None:
            return pause(attempt)
        return wanted if wanted <= LONGEST_RETRY_AFTER else None

    def after_silence(self, attempt: int, error: httpx.TransportError | None = None) -> float | None:
        """The same of a request that got no answer, or only a part of one."""
        if attempt > self.retries or isinstance(error, _OWN_FAULT):
            return None
        return pause(attempt) if self.repeatable or isinstance(error, _NEVER_SENT) else None


def pause(attempt: int) -> float:
    """Seconds after `attempt` attempts: doubled each time, then shortened by up to half so that many clients spread."""
    longest: float = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer's `Retry-After` asks for (as a number or a date); None: nothing that can be read."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
