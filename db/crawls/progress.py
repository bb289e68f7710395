"""The counts of a crawl, as its row keeps them. They change in the same transaction as the URLs that they count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from db.tables import Lane, UrlKind, UrlState

_GROUPS = {kind: "robots" if kind is UrlKind.ROBOTS else Lane.of(kind).value for kind in UrlKind}
_NOT_REQUESTED = (UrlState.QUEUED, UrlState.LEFT_OUT, UrlState.BLOCKED_BY_ROBOTS, UrlState.MOVED)


class Progress:
    """The counts of a crawl, read from its row and written back to it.

    `pages` (with sitemaps and feeds), `pictures` and `robots`: the number of URLs in each state.
    `left_out`: the number of URLs and pictures that were left out, by reason.
    `page_kinds`: the number of pages of each kind.
    `changes`: the number of pictures that changed against the crawl that this one repeats.
    `met`: the last `seq`.
    """

    def __init__(self, kept: Mapping[str, Any]) -> None:
        self._kept: dict[str, Any] = {
            name: dict(value) if isinstance(value, dict) else value for name, value in kept.items()
        }

    @property
    def stored(self) -> dict[str, Any]:
        """The counts in the form that the row keeps."""
        return self._kept

    @property
    def met(self) -> int:
        return int(self._kept.get("met", 0))

    @met.setter
    def met(self, seq: int) -> None:
        self._kept["met"] = seq

    def count(self, group: str, name: str, change: int = 1) -> None:
        """Add to a count. Counts of zero are removed."""
        counts = self._kept.setdefault(group, {})
        counts[name] = counts.get(name, 0) + change
        if counts[name] == 0:
            del counts[name]

    def counted(self, group: str, name: str) -> int:
        """Return a count, 0 if nothing was counted."""
        return int(self._kept.get(group, {}).get(name, 0))

    def count_move(
        self, kind: UrlKind, old: UrlState | None, new: UrlState, reason: str | None, number: int = 1
    ) -> None:
        """Count that `number` URLs went from one state to another. `old` is None for URLs that were just met."""
        if old is not None:
            self.count(_GROUPS[kind], old.value, -number)
        self.count(_GROUPS[kind], new.value, number)
        if new is UrlState.LEFT_OUT and reason is not None:
            self.count("left_out", reason, number)

    def requested(self, lane: Lane) -> int:
        """Return how many URLs of a lane count against its limit: those that were requested, without redirects."""
        counts = self._kept.get(lane.value, {})
        return int(sum(counts.values()) - sum(counts.get(state.value, 0) for state in _NOT_REQUESTED))

    @property
    def bytes(self) -> int:
        """The number of bytes received from all hosts."""
        return int(self._kept.get("bytes", 0))

    @bytes.setter
    def bytes(self, received: int) -> None:
        self._kept["bytes"] = received

    @property
    def seconds(self) -> float:
        """For how long processes have crawled so far, by their monotonic clocks.

        Outages and changes of the clock between two processes do not count.
        """
        return float(self._kept.get("seconds", 0.0))

    @seconds.setter
    def seconds(self, crawled: float) -> None:
        self._kept["seconds"] = crawled

    def set_waiting_on(self, hosts: list[dict[str, str]]) -> None:
        """Store the hosts that are paused, each with the time (`until`) at which its pause ends."""
        self._kept["waiting_on"] = hosts
