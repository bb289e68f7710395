"""The traps of the fixture shop misbehave as documented, and its log is right."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest

from core.fetching import Fetched, Fetcher, FetchLimits
from core.item_errors import BlockedAddress, ItemError
from core.pictures import load
from tests.integration.shop_fetcher import fetcher
from tests.shop import Shop, running_shop, shop_process

__all__ = ["fetcher"]

SHORT = FetchLimits(seconds=0.5)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop(seed=7, products=60, pause=0.05) as running:
        yield running


def test_every_trap_for_pictures_has_its_outcome_and_none_reaches_the_private_network(shop: Shop) -> None:
    ends = {}
    with Fetcher(allow=shop.allow, resolver=shop.resolver) as fetcher:
        for trap in shop.traps():
            if trap.is_for == "picture":
                limits = SHORT if trap.must == "fetch_too_slow" else None
                try:
                    load(fetcher.get(trap.url, limits=limits).expect_ok().body)
                    ends[trap.url] = "accepted"
                except ItemError as error:
                    ends[trap.url] = error.code
    assert ends == {trap.url: trap.must for trap in shop.traps() if trap.is_for == "picture"}
    assert len(ends) > 40
    assert shop.log.connected("127.0.0.2") == []


def test_the_log_records_connections_to_the_private_network(shop: Shop) -> None:
    with running_shop(products=1) as other:
        with socket.create_connection(("127.0.0.2", other.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: inside\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 404")
        assert len(other.log.connected("127.0.0.2")) == 1
        assert [visit.address for visit in other.log.visits()] == ["127.0.0.2"]


def test_every_trap_for_readers_of_pages_and_sitemaps_answers(shop: Shop, fetcher: Fetcher) -> None:
    for trap in shop.traps():
        if trap.is_for in {"page", "sitemap"} and trap.must != "too_large":
            assert fetcher.get(trap.url).status == 200
    unpacked = len(gzip.decompress(fetcher.get(shop.url("traps", "/t/sitemap-bomb.xml.gz")).body))
    assert unpacked > 3 * 20 * 2**20


def test_hostile_titles_are_in_the_page_as_text(shop: Shop, fetcher: Fetcher) -> None:
    page = fetcher.get(shop.url("traps", "/t/title-script")).body.decode()
    assert "<script>alert" not in page.replace('"<script>alert(1)<\\/script>"', "")
    korean = fetcher.get(shop.url("traps", "/t/title-euc-kr")).body
    assert "여름 셔츠".encode("euc-kr") in korean


def test_the_consent_wall_and_the_empty_site_show_nothing(shop: Shop, fetcher: Fetcher) -> None:
    wall = shop.url("wall", "/p/shirts-2")
    assert b"cookies" in fetcher.get(wall).body
    assert b"shirts-2" in fetcher.get(wall, headers={"Cookie": "consent=yes"}).body
    assert fetcher.get(shop.url("empty", "/")).body == b""


def test_the_endless_sites_always_link_new_pages(shop: Shop, fetcher: Fetcher) -> None:
    for site, start, link in (
        ("calendar", "/events", r'"(/events\?month=[\d-]+)"'),
        ("sessions", "/", r'"(/more/[^"]*|/c/[^"]*sid=[^"]*)"'),
        ("sessions", "/c/shirts", r'"(/p/[^"]*sid=[^"]*)"'),
        ("tracked", "/c/shirts", r'"(/p/[^"]*utm_source=[^"]*)"'),
    ):
        seen, url = set(), shop.url(site, start)
        for _ in range(20):
            seen.add(url)
            links = [urljoin(url, found) for found in re.findall(link, fetcher.get(url).body.decode())]
            url = next(new for new in links if new not in seen)
        assert len(seen) == 20


def test_tracked_pages_name_their_canonical_url_and_session_pages_do_not(shop: Shop, fetcher: Fetcher) -> None:
    tracked = fetcher.get(shop.url("tracked", "/p/shirts-2?utm_source=shop")).body.decode()
    assert f'<link rel="canonical" href="{shop.url("tracked")}/p/shirts-2">' in tracked
    assert "canonical" not in fetcher.get(shop.url("sessions", "/p/shirts-2?sid=1")).body.decode()


def test_the_slow_site_answers_after_its_pause(shop: Shop, fetcher: Fetcher) -> None:
    assert fetcher.get(shop.url("slow", "/p/shirts-2")).ok
    visit = shop.log.visits("slow.shop.test")[-1]
    assert visit.finished - visit.started > 0.04


def test_the_rebinding_host_is_refused_the_second_time(shop: Shop) -> None:
    with Fetcher(allow=shop.allow, resolver=shop.resolver) as first:
        assert first.get(f"http://rebinding.shop.test:{shop.port}/").ok
    with Fetcher(allow=shop.allow, resolver=shop.resolver) as second, pytest.raises(BlockedAddress):
        second.get(f"http://rebinding.shop.test:{shop.port}/")
    assert shop.log.connected("127.0.0.2") == []


def test_the_busy_site_refuses_every_fifth_request_by_seconds_or_by_date(shop: Shop, fetcher: Fetcher) -> None:
    answers = [fetcher.get(shop.url("busy", "/p/shirts-2")) for _ in range(10)]
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 429, 200, 200, 200, 200, 503]
    assert answers[4].headers["retry-after"] == "1"
    assert answers[9].headers["retry-after"].endswith("GMT")


def test_each_site_has_its_own_robots_txt(shop: Shop, fetcher: Fetcher) -> None:
    def robots(site: str) -> Fetched:
        return fetcher.get(shop.url(site, "/robots.txt"))

    assert b"Disallow: /private/" in robots("img").body
    assert b"Crawl-delay" not in robots("img").body
    assert b"Crawl-delay: 0.5" in robots("polite").body
    assert b"Disallow: /\n" in robots("closed").body
    assert [robots(site).status for site in ("ill", "free")] == [500, 404]


def test_the_log_records_requests_clients_and_concurrency() -> None:
    ticks = iter(range(1000))
    with running_shop(products=5, latency=0.01, clock=lambda: float(next(ticks))) as shop:
        clients = [socket.create_connection(("127.0.0.1", shop.port)) for _ in range(3)]
        for number, client in enumerate(clients):
            client.sendall(
                f"GET /cart?n={number} HTTP/1.1\r\nHost: img.shop.test\r\nUser-Agent: Test/{number}\r\n\r\n".encode()
            )
        for client in clients:
            assert client.recv(12) == b"HTTP/1.1 200"
            client.close()
        visits = shop.log.visits("img.shop.test")
        assert {visit.path for visit in visits} == {"/cart?n=0", "/cart?n=1", "/cart?n=2"}
        assert {visit.headers["user-agent"] for visit in visits} == {"Test/0", "Test/1", "Test/2"}
        assert {(visit.method, visit.status, visit.address) for visit in visits} == {("GET", 200, "127.0.0.1")}
        assert len({visit.connection for visit in visits}) == len(shop.log.connected()) == 3
        assert shop.log.max_in_progress("img.shop.test") == max(visit.in_progress for visit in visits)
        assert shop.log.shortest_pause("img.shop.test") >= 1.0
        assert shop.log.visits("lazy.shop.test") == []


def test_a_trap_is_logged_even_if_the_client_has_given_up(shop: Shop) -> None:
    limits = FetchLimits(seconds=0.2)
    with Fetcher(allow=shop.allow, resolver=shop.resolver, limits=limits) as fetcher, pytest.raises(ItemError):
        fetcher.get(shop.url("traps", "/t/silent?given-up"))
    while "/t/silent?given-up" not in shop.log.paths("traps.shop.test"):
        pass
    assert shop.log.visits("traps.shop.test")[-1].status == 0


def test_each_site_can_be_reached_by_its_own_ip_address(shop: Shop) -> None:
    with Fetcher(allow=shop.allow) as fetcher:
        base = shop.address_url("microdata")
        truth = next(shop.truth("microdata", base).products())
        assert truth.url.startswith(base)
        assert truth.pictures[0].url.removeprefix(base) in fetcher.get(truth.url).body.decode()


def test_the_shop_in_its_own_process_is_the_same_shop(tmp_path: Path) -> None:
    with running_shop(7, 4) as shop, shop_process(7, 4, log=tmp_path / "log.jsonl") as other:
        with Fetcher(allow=other.allow, resolver=other.resolver) as fetcher:
            from_process = fetcher.get(other.url("lazy", "/p/shirts-2")).body
            from_thread = fetcher.get(other.url("lazy", "/p/shirts-2").replace(str(other.port), str(shop.port))).body
        assert from_process == from_thread.replace(str(shop.port).encode(), str(other.port).encode())
        assert other.log.paths("lazy.shop.test") == ["/p/shirts-2"]
        other.truth("lazy").write(tmp_path / "truth.jsonl")
    lines = (tmp_path / "truth.jsonl").read_text().splitlines()
    assert len(lines) == 4
    first = next(other.truth("lazy").products())
    assert json.loads(lines[0])["pictures"][0]["sha256"] == first.pictures[0].sha256
