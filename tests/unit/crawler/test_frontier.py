"""Which step of a crawl the frontier returns next. There is no network, and each test sets the clock itself."""

from __future__ import annotations

import asyncio

import pytest

from core.fetching.politeness import HostSchedule
from crawler.frontier import ForbiddenUrl, Frontier, RobotsRequest, Step, UrlRequest
from crawler.robots import Rules
from db.crawls.met_urls import EarlierVisit, QueuedUrl
from db.crawls.requests import CrawlLimits
from db.tables import CrawlPriority, Lane, UrlKind, UrlReason
from tests.clocks import ManualClock
from tests.conftest import run_coroutine

SHOP, PHOTOS = "http://shop.example", "http://photos.example"


@pytest.fixture
def clock() -> ManualClock[float]:
    return ManualClock(100.0)


@pytest.fixture
def frontier(clock: ManualClock[float]) -> Frontier:
    limits = CrawlLimits(pages=2, pictures=10, bytes=1_000, depth=1, minutes=1)
    hosts = HostSchedule(0.0, 4, clock)
    return Frontier(limits, hosts, 60.0, requested=dict.fromkeys(Lane, 0), received_bytes=0, clock=clock)


def page(url: str) -> QueuedUrl:
    return QueuedUrl(url, url, UrlKind.PAGE, CrawlPriority.OTHER_PAGE, 0, {}, EarlierVisit())


def picture(url: str) -> QueuedUrl:
    return QueuedUrl(url, url, UrlKind.PICTURE, CrawlPriority.PICTURE, 0, {}, EarlierVisit())


def next_steps(frontier: Frontier, count: int) -> list[Step | None]:
    """Return the next steps. All of them must be possible at once."""

    async def take() -> list[Step | None]:
        return [await asyncio.wait_for(frontier.next(), 5) for _ in range(count)]

    return run_coroutine(take())


def urls(steps: list[Step | None]) -> list[str]:
    return [step.url.url for step in steps if isinstance(step, UrlRequest)]


def test_robots_txt_comes_before_the_first_url_of_its_origin_and_pictures_before_pages(frontier: Frontier) -> None:
    frontier.add([page(f"{SHOP}/1"), picture(f"{PHOTOS}/1.jpg")])
    assert next_steps(frontier, 2) == [RobotsRequest(PHOTOS), RobotsRequest(SHOP)]
    frontier.learn_rules(SHOP, Rules())
    frontier.learn_rules(PHOTOS, Rules())
    assert urls(next_steps(frontier, 2)) == [f"{PHOTOS}/1.jpg", f"{SHOP}/1"]


def test_forbidden_urls_are_returned_without_a_request_and_their_host_keeps_its_turn(frontier: Frontier) -> None:
    frontier.learn_rules(SHOP, Rules(closed_reason="robots.txt is answered with 503"))
    frontier.learn_rules(PHOTOS, Rules())
    frontier.add([picture(f"{SHOP}/1.jpg"), picture(f"{SHOP}/2.jpg"), picture(f"{PHOTOS}/3.jpg")])
    *forbidden, allowed = next_steps(frontier, 3)
    assert [step.request.url.url for step in forbidden if isinstance(step, ForbiddenUrl)] == [
        f"{SHOP}/1.jpg",
        f"{SHOP}/2.jpg",
    ]
    assert urls([allowed]) == [f"{PHOTOS}/3.jpg"]


def test_a_lane_ends_at_its_limit_and_an_uncounted_request_makes_room_for_another(frontier: Frontier) -> None:
    frontier.learn_rules(SHOP, Rules())
    frontier.add([page(f"{SHOP}/{number}") for number in range(4)])
    (first,) = next_steps(frontier, 1)
    assert isinstance(first, UrlRequest)
    frontier.uncount(first)
    assert urls(next_steps(frontier, 2)) == [f"{SHOP}/1", f"{SHOP}/2"]
    frontier.add([picture(f"{SHOP}/1.jpg")])
    assert urls(next_steps(frontier, 1)) == [f"{SHOP}/1.jpg"]
    assert (frontier.limit_reached(Lane.PAGES), frontier.limit_reached(Lane.PICTURES)) == (UrlReason.LIMIT_PAGES, None)
    assert frontier.room(Lane.PAGES) == 0


@pytest.mark.parametrize(
    ("received", "passed", "reason"),
    [(1_000, 0.0, UrlReason.LIMIT_BYTES), (0, 60.0, UrlReason.LIMIT_MINUTES), (1_000, 60.0, UrlReason.LIMIT_BYTES)],
)
def test_received_bytes_and_time_end_both_lanes(
    frontier: Frontier, clock: ManualClock[float], received: int, passed: float, reason: UrlReason
) -> None:
    frontier.add([page(f"{SHOP}/1"), picture(f"{PHOTOS}/1.jpg")])
    frontier.count_received(received)
    clock.now += passed

    async def take() -> Step | None:
        waiting = asyncio.create_task(frontier.next())
        await asyncio.sleep(0)
        frontier.stop()
        return await waiting

    assert run_coroutine(take()) is None
    assert [frontier.limit_reached(lane) for lane in Lane] == [reason, reason]
    assert (frontier.idle, frontier.in_memory_count) == (True, 0)


def test_a_retried_url_waits_for_its_pause_and_then_comes_first(frontier: Frontier, clock: ManualClock[float]) -> None:
    frontier.learn_rules(SHOP, Rules())
    frontier.add([page(f"{SHOP}/1"), picture(f"{SHOP}/1.jpg"), picture(f"{SHOP}/2.jpg")])
    (request,) = next_steps(frontier, 1)
    assert isinstance(request, UrlRequest)
    frontier.end_request(request, 0.0, ok=False)
    frontier.retry(request)
    assert urls(next_steps(frontier, 1)) == [f"{SHOP}/1"]
    clock.now += 1
    assert urls(next_steps(frontier, 2)) == [f"{SHOP}/1.jpg", f"{SHOP}/2.jpg"]
    assert request.tries == 2
