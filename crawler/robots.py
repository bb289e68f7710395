"""Reads the robots.txt of a host: which URLs it allows, and how often the host accepts requests (RFC 9309)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protego import Protego

from core.fetching import Fetched, FetchLimits
from core.item_errors import BlockedAddress, FetchForbidden, ItemError

AGENT = "Lookbook"
"""The product token by which a robots.txt names Lookbook."""
MAX_BYTES = 500 * 2**10
"""Number of bytes that are read of a robots.txt. RFC 9309, 2.5, demands at least 500 KiB. The rest is ignored."""
LIMITS = FetchLimits(seconds=15.0, max_bytes=MAX_BYTES, max_redirects=5, cut=True)
"""RFC 9309, 2.3.1.2, demands that at least five redirects are followed, also to other hosts."""
_BUSY_PAUSES = (2.0, 10.0, 30.0)
"""Seconds until a robots.txt that was answered with 429 or 5xx is requested again, unless Retry-After says how long."""
_UNREACHABLE_PAUSES = (2.0, 2.0)
"""Seconds until a robots.txt that was not answered at all is requested again."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one origin."""

    parsed: Any = None
    """Protego's rules. None if there is no robots.txt, so that everything is allowed."""
    closed_reason: str | None = None
    """Why nothing may be requested: the robots.txt was answered with 429 or a 5xx status."""
    error: ItemError | None = None
    """Why nothing may be requested: there was no answer at all."""

    def allow(self, url: str) -> bool:
        """Return whether a URL of this origin may be requested."""
        if self.closed_reason is not None or self.error is not None:
            return False
        return self.parsed is None or bool(self.parsed.can_fetch(url, AGENT))

    @property
    def delay(self) -> float:
        """The minimum seconds between two requests that the host demands, or 0 if it demands none."""
        if self.parsed is None:
            return 0.0
        rate = self.parsed.request_rate(AGENT)
        per_request = rate.seconds / rate.requests if rate and rate.requests else 0.0
        return max(float(self.parsed.crawl_delay(AGENT) or 0.0), per_request)


def pause_before_retry(answer: Fetched | None, tries: int, now: datetime) -> float | None:
    """Return the seconds after which a robots.txt should be requested again. Return None if its rules are final.

    Args:
        answer: the answer to the last request, or None if there was none.
        tries: the number of requests so far.
    """
    if answer is not None and not _is_busy(answer):
        return None
    pauses = _UNREACHABLE_PAUSES if answer is None else _BUSY_PAUSES
    if tries > len(pauses):
        return None
    demanded = answer.retry_after(now) if answer is not None else None
    return pauses[tries - 1] if demanded is None else max(0.0, demanded.total_seconds())


def read_rules(answer: Fetched) -> Rules:
    """Return the rules of an answer.

    RFC 9309, 2.3.1.3: a host without a robots.txt (4xx) allows everything. 2.3.1.4: a host that fails to give it (5xx)
    allows nothing until it can be read. A host that answers 429 is busy, so Lookbook treats it like the second kind.
    """
    if answer.ok:
        body = answer.body
        if len(body) >= MAX_BYTES:
            # The last line may be incomplete, and half a path would forbid too much.
            body = body[:MAX_BYTES].rpartition(b"\n")[0]
        return Rules(Protego.parse(body.decode("utf-8-sig", "replace")))
    if _is_busy(answer):
        return Rules(closed_reason=f"robots.txt is answered with {answer.status}")
    return Rules()


def rules_without_answer(error: ItemError) -> Rules:
    """Return the rules of an origin whose robots.txt cannot be requested.

    RFC 9309, 2.3.1.4: a host that does not answer allows nothing. 2.3.1.2: a robots.txt that is not reached in five
    redirects does not exist. If the origin itself may not be requested, each of its pages fails with the same error.
    """
    if isinstance(error, BlockedAddress | FetchForbidden):
        return Rules()
    return Rules(error=type(error)(f"robots.txt cannot be read: {error.detail}"))


def _is_busy(answer: Fetched) -> bool:
    return answer.status == 429 or answer.status >= 500
