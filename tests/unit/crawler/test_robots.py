"""What a robots.txt allows, by RFC 9309, and when it is requested again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.fetching import Fetched
from core.item_errors import BlockedAddress, FetchFailed, FetchForbidden
from crawler import robots

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
HOME = "http://shop.example/"


def answer(status: int, body: bytes = b"", retry_after: str | None = None) -> Fetched:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return Fetched("http://shop.example/robots.txt", status, headers, body, len(body), 0, ())


def test_robots_txt_is_obeyed_for_the_plain_name_of_the_crawler() -> None:
    text = b"User-agent: lookbook\nDisallow: /cart\nCrawl-delay: 2\n\nUser-agent: *\nDisallow: /"
    for mark in (b"", b"\xef\xbb\xbf"):
        rules = robots.read_rules(answer(200, mark + text))
        assert (rules.allow(f"{HOME}p/1"), rules.allow(f"{HOME}cart"), rules.delay) == (True, False, 2.0)


def test_a_missing_robots_txt_allows_everything_and_a_failing_one_nothing() -> None:
    assert all(robots.read_rules(answer(status)).allow(HOME) for status in (401, 403, 404, 410))
    assert not any(robots.read_rules(answer(status)).allow(HOME) for status in (429, 500, 503))


def test_the_part_of_a_robots_txt_behind_500_kibibytes_is_ignored_and_its_cut_line_too() -> None:
    head = b"User-agent: *\nDisallow: /private\n#"
    text = head.ljust(robots.MAX_BYTES - 20, b"x") + b"\nDisallow: /dresses/private\nDisallow: /late\n"
    rules = robots.read_rules(answer(200, text[: robots.MAX_BYTES]))
    allowed = [path for path in ("private", "dresses/1", "late") if rules.allow(HOME + path)]
    assert allowed == ["dresses/1", "late"]


@pytest.mark.parametrize(
    ("retry_after", "pauses"),
    [
        (None, [2.0, 10.0, 30.0, None]),
        ("7", [7.0, 7.0, 7.0, None]),
        ("Mon, 02 Nov 2026 09:00:05 GMT", [5.0, 5.0, 5.0, None]),
        ("Monday, 02-Nov-26 09:00:05 GMT", [5.0, 5.0, 5.0, None]),
        ("Mon Nov  2 09:00:05 2026", [5.0, 5.0, 5.0, None]),
        ("Mon, 02 Nov 2026 08:00:00 GMT", [0.0, 0.0, 0.0, None]),
        ("Fri, 31 Dec 9999 23:59:59 GMT", [86_400.0, 86_400.0, 86_400.0, None]),
        ("9" * 5_000, [86_400.0, 86_400.0, 86_400.0, None]),
        ("soon", [2.0, 10.0, 30.0, None]),
    ],
)
def test_a_busy_host_is_asked_again_when_it_says_so(retry_after: str | None, pauses: list[float | None]) -> None:
    for status in (429, 500, 503):
        busy = answer(status, retry_after=retry_after)
        assert [robots.pause_before_retry(busy, tries, NOW) for tries in (1, 2, 3, 4)] == pauses
    assert robots.pause_before_retry(answer(404, retry_after=retry_after), 1, NOW) is None


def test_a_host_that_does_not_answer_is_asked_three_times_and_then_allows_nothing() -> None:
    assert [robots.pause_before_retry(None, tries, NOW) for tries in (1, 2, 3)] == [2.0, 2.0, None]
    rules = robots.rules_without_answer(FetchFailed("no response"))
    assert not rules.allow(HOME)
    assert rules.error is not None
    assert rules.error.detail == "robots.txt cannot be read: no response"


def test_a_robots_txt_behind_too_many_redirects_is_like_a_missing_one() -> None:
    assert robots.rules_without_answer(FetchForbidden("expected at most 5 redirects, got more")).allow(HOME)
    assert robots.rules_without_answer(BlockedAddress()).allow(HOME)
