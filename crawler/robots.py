"""Reads the robots.txt of a host: which URLs it allows, and how often the host accepts requests (RFC 9309)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protego import Protego

from core.errors import ItemError
from core.fetching import Fetched

AGENT = "Lookbook"
"""The product token by which a robots.txt names Lookbook."""
MAX_BYTES = 512 * 2**10
"""Maximum number of bytes that are read of a robots.txt. RFC 9309, 2.5, demands at least 500 KiB."""


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


def may_succeed_later(answer: Fetched) -> bool:
    """Return whether the server failed to give its robots.txt, so that another try may help."""
    return answer.status == 429 or answer.status >= 500


def read_rules(answer: Fetched) -> Rules:
    """Return the rules of an answer.

    RFC 9309: a host without a robots.txt allows everything. A host that fails to give it allows nothing.
    """
    if answer.ok:
        return Rules(Protego.parse(answer.body.decode("utf-8-sig", "replace")))
    if may_succeed_later(answer):
        return Rules(closed_reason=f"robots.txt is answered with {answer.status}")
    return Rules()
