"""Texts about a crawl: its progress and its outcome."""

from __future__ import annotations

from cli.output import printable
from lookbook.crawl_answers import Crawl, UrlCounts

VERDICTS = {
    "cookie_wall": "the shop shows a cookie wall or an age check instead of its pages",
    "empty": "no picture of a product was found on its pages",
    "blocked_by_robots": "robots.txt forbids its pages",
    "unreachable": "its pages could not be loaded",
    "broken_off": "the crawl stopped before it was finished",
    "quota_exceeded": "the key's monthly quota of pictures was used up before the crawl was finished",
}
"""Verdict of the API -> the reason in words, without a capital or a full stop."""

_STATES = tuple(name for name in UrlCounts.__annotations__ if name != "seen")


def progress_line(crawl: Crawl) -> str:
    """Return the progress of a crawl in one line."""
    parts = [f"{crawl.pages.seen - crawl.pages.queued:,} pages, {crawl.pages.queued:,} more queued"]
    parts += [f"{crawl.pages.failed:,} failed"] if crawl.pages.failed else []
    parts += [f"{crawl.pages.blocked_by_robots:,} blocked by robots"] if crawl.pages.blocked_by_robots else []
    parts += [f"waiting on {waiting.host} until {waiting.until.astimezone():%H:%M:%S}" for waiting in crawl.waiting_on]
    return printable(", ".join(parts))


def total_lines(crawl: Crawl) -> list[str]:
    """Return the outcome of a crawl in lines: pages, pictures, what was left out, and changes since the last crawl."""
    lines = [f"pages: {_counts(crawl.pages)}", f"pictures: {_counts(crawl.pictures)}"]
    if crawl.left_out:
        by_reason = sorted(crawl.left_out.items(), key=lambda pair: (-pair[1], pair[0]))
        lines.append("left out: " + ", ".join(f"{count:,} {reason}" for reason, count in by_reason))
    if crawl.changes is not None:
        names = ("new", "changed", "unchanged", "gone")
        changes = ", ".join(f"{getattr(crawl.changes, name):,} {name}" for name in names)
        lines.append(f"since {crawl.since}: {changes}")
    return [printable(line) for line in lines]


def early_end(crawl: Crawl) -> str:
    """Return why a crawl ended early, or an empty text if it did not."""
    return "" if crawl.verdict is None else VERDICTS.get(crawl.verdict, crawl.verdict)


def _counts(counts: UrlCounts) -> str:
    by_state = [(name, getattr(counts, name)) for name in _STATES]
    parts = [f"{count:,} {name.replace('_', ' ')}" for name, count in by_state if count]
    return ", ".join([f"{counts.seen:,} seen", *parts])
