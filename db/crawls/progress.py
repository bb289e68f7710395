"""How far a crawl is, as its row keeps it: counts that change in the same transaction as the URLs that they count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.tables import UrlKind, UrlState

_GROUPS = {
    UrlKind.PAGE: "pages",
    UrlKind.SITEMAP: "pages",
    UrlKind.FEED: "pages",
    UrlKind.PICTURE: "pictures",
    UrlKind.ROBOTS: "robots",
}


class Progress:
    """The counts of a crawl, read from its row and written back to it.

    `pages` (sitemaps and feeds included), `pictures` and `robots`: state -> URLs. `left_out`: reason -> how many.
    `page_kinds`: what pages turned out to be. `changes`: against the crawl that is repeated. `met`: the last `seq`.
    """

    def __init__(self, kept: Mapping[str, Any]) -> None:
        self._kept: dict[str, Any] = {
            name: dict(value) if isinstance(value, dict) else value for name, value in kept.items()
        }

    @property
    def stored(self) -> dict[str, Any]:
        return self._kept

    @property
    def met(self) -> int:
        return int(self._kept.get("met", 0))

    @met.setter
    def met(self, seq: int) -> None:
        self._kept["met"] = seq

    def count(self, group: str, name: str, change: int = 1) -> None:
        counts = self._kept.setdefault(group, {})
        counts[name] = counts.get(name, 0) + change
        if counts[name] == 0:
            del counts[name]

    def counted(self, group: str, name: str) -> int:
        return int(self._kept.get(group, {}).get(name, 0))

    def moved(self, kind: UrlKind, before: UrlState | None, after: UrlState, reason: str | None, many: int = 1) -> None:
        """So many URLs have come from one state (None: from nowhere) to another."""
        if before is not None:
            self.count(_GROUPS[kind], before.value, -many)
        self.count(_GROUPS[kind], after.value, many)
        if after is UrlState.LEFT_OUT and reason is not None:
            self.count("left_out", reason, many)

    def asked(self, group: str) -> int:
        """How many URLs were asked for and answered, in whatever way."""
        kept = self._kept.get(group, {})
        unasked = (UrlState.QUEUED, UrlState.LEFT_OUT, UrlState.BLOCKED_BY_ROBOTS, UrlState.MOVED)
        return int(sum(kept.values()) - sum(kept.get(state.value, 0) for state in unasked))

    @property
    def bytes(self) -> int:
        return int(self._kept.get("bytes", 0))

    @bytes.setter
    def bytes(self, received: int) -> None:
        self._kept["bytes"] = received

    def waiting_on(self, hosts: list[dict[str, str]]) -> None:
        self._kept["waiting_on"] = hosts
