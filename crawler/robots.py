"""What a host's robots.txt allows (RFC 9309)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protego import Protego

from core.errors import ItemError
from core.fetching import Fetched

AGENT = "Lookbook"
"""The product token that robots.txt names us by."""
MAX_BYTES = 512 * 2**10
"""As much of a robots.txt as is read (RFC 9309, 2.5: at least 500 KiB)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one host."""

    rules: Any = None
    """None: there are none."""
    closed: str | None = None
    """Why nothing may be asked for, whatever the rules."""
    error: ItemError | None = None
    """The host does not answer at all."""

    def allow(self, url: str) -> bool:
        return (
            self.closed is None
            and self.error is None
            and (self.rules is None or bool(self.rules.can_fetch(url, AGENT)))
        )

    @property
    def delay(self) -> float:
        """Seconds between two requests that the host asks for; 0 if it does not."""
        if self.rules is None:
            return 0.0
        rate = self.rules.request_rate(AGENT)
        per_request = rate.seconds / rate.requests if rate and rate.requests else 0.0
        return max(float(self.rules.crawl_delay(AGENT) or 0.0), per_request)


def worth_another_try(answer: Fetched) -> bool:
    return answer.status == 429 or answer.status >= 500


def read(answer: Fetched) -> Rules:
    """The rules of an answer: a host whose rules cannot be had just now forbids everything, one without allows it."""
    if answer.ok:
        return Rules(Protego.parse(answer.body.decode("utf-8-sig", "replace")))
    if worth_another_try(answer):
        return Rules(closed=f"robots.txt is answered with {answer.status}")
    return Rules()
