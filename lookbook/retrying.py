"""Decides which failed requests are repeated, and after which pause."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 16.0
"""Seconds before the second attempt. The pause doubles before each further attempt, up to the longest."""
LONGEST_RETRY_AFTER = 120.0
"""Seconds. If `Retry-After` is longer, the client raises the error so that the caller can decide."""

_REFUSED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
"""Answers after which the service has done nothing."""
_NO_ANSWER = {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
"""Answers of a proxy that received no answer. The service may have done the work."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_CLIENT_ERRORS = (httpx.LocalProtocolError, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a request is repeated after a failure."""

    retries: int
    repeatable: bool
    """Whether the request may be sent again although the first attempt may have had its effect."""

    def after_response(self, response: httpx.Response, attempt: int) -> float | None:
        """Return the seconds until a refused request is repeated after `attempt` attempts, or None."""
        status, requested = response.status_code, retry_after(response.headers)
        # The service may still be working on an earlier attempt with the same Idempotency-Key.
        running = self.repeatable and status == HTTPStatus.CONFLICT and requested is not None
        lost = self.repeatable and status in _NO_ANSWER
        if attempt > self.retries or not (status in _REFUSED or running or lost):
            return None
        if running and requested is not None:
            return max(requested, pause(attempt))
        if requested is None:
            return pause(attempt)
        return requested if requested <= LONGEST_RETRY_AFTER else None

    def after_no_response(self, attempt: int, error: httpx.TransportError | None = None) -> float | None:
        """Return the seconds until a request without a complete answer is repeated, or None."""
        if attempt > self.retries or isinstance(error, _CLIENT_ERRORS):
            return None
        return pause(attempt) if self.repeatable or isinstance(error, _NEVER_SENT) else None


def pause(attempt: int) -> float:
    """Return the pause in seconds after `attempt` attempts.

    It doubles each time. A random part of up to half is taken off, so that many clients do not retry at the same time.
    """
    longest: float = min(FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a number or a date. None: it is missing or not valid."""
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
