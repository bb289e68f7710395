"""Results of a crawl between two commits: URLs met, URLs settled, items, their bytes, and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from crawler.extraction import LeftOut, PageKind
from db.blobs.spool import BlobWriter
from db.crawls.met_urls import MetUrl
from db.steps.crawling import CrawlBatch, SettledUrl
from db.steps.submitting import NewItem
from db.tables import UrlReason

Change = Literal["new", "changed", "unchanged", "gone"]
"""How a picture differs from the crawl that this one repeats."""


@dataclass(slots=True)
class UncommittedBatch:
    """Everything that one commit stores."""

    met: list[MetUrl] = field(default_factory=list)
    settled: list[SettledUrl] = field(default_factory=list)
    postponed: set[str] = field(default_factory=set)
    unchanged: list[str] = field(default_factory=list)
    items: list[NewItem] = field(default_factory=list)
    reused: set[str] = field(default_factory=set)
    counted: dict[tuple[str, str], int] = field(default_factory=dict)
    writers: list[BlobWriter] = field(default_factory=list)
    bytes: int = 0

    def as_crawl_batch(self, seconds: float, waiting_on: Sequence[dict[str, str]]) -> CrawlBatch:
        """Return the part that the database stores. The bytes go to the blob store."""
        return CrawlBatch(
            self.met,
            self.settled,
            self.postponed,
            self.unchanged,
            self.items,
            self.reused,
            self.counted,
            self.bytes,
            seconds,
            waiting_on,
        )

    @property
    def decided(self) -> set[str]:
        """The digests of the URLs that are settled or postponed, so that the frontier need not know them any more."""
        return self.postponed.union(url.digest for url in self.settled)


class Findings:
    """Collects what a crawl finds out, until the next commit takes it. Not thread-safe."""

    def __init__(self) -> None:
        self._batch = UncommittedBatch()

    def take(self) -> UncommittedBatch:
        """Return everything that was collected, and begin again with nothing."""
        taken, self._batch = self._batch, UncommittedBatch()
        return taken

    @property
    def decided_count(self) -> int:
        """The number of URLs that were settled or postponed since the last commit."""
        return len(self._batch.settled) + len(self._batch.postponed)

    def add_met(self, *urls: MetUrl) -> None:
        self._batch.met += urls

    def add_settled(self, url: SettledUrl) -> None:
        self._batch.settled.append(url)

    def add_postponed(self, digest: str) -> None:
        """Have a queued URL requested after all others."""
        self._batch.postponed.add(digest)

    def add_unchanged_page(self, url: str) -> None:
        """Note a page that is the same as in the crawl that this one repeats."""
        self._batch.unchanged.append(url)

    def add_item(self, item: NewItem) -> None:
        self._batch.items.append(item)

    def add_reused_blob(self, sha256: str) -> None:
        """Note a picture that was not downloaded again, because an earlier crawl stored its bytes."""
        self._batch.reused.add(sha256)

    def add_bytes_of_picture(self, writer: BlobWriter) -> None:
        """Have the bytes stored by the next commit, which also aborts the writer."""
        self._batch.writers.append(writer)

    def count_received(self, size: int) -> None:
        """Count bytes that were received."""
        self._batch.bytes += size

    def count_left_out(self, reason: UrlReason | LeftOut, number: int = 1) -> None:
        self._count("left_out", reason, number)

    def count_page_kind(self, kind: PageKind) -> None:
        self._count("page_kinds", kind)

    def count_change(self, change: Change, number: int = 1) -> None:
        self._count("changes", change, number)

    def _count(self, group: str, name: str, number: int = 1) -> None:
        key = group, str(name)
        self._batch.counted[key] = self._batch.counted.get(key, 0) + number
