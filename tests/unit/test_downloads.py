"""The order of downloads and their retries, without a network and with a clock that the test sets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.item_errors import FetchFailed, FetchForbidden, FetchRefused, FetchTooSlow
from db.blobs.spool import BlobWriter
from tests.conftest import until
from worker.stages.downloads import DownloadPool, PauseRequested

Answer = Callable[[], BlobWriter]


class Place:
    """Replaces the network. A download waits until its URL is let through, then succeeds or raises the set failure."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requested: list[str] = []
        self.failures: dict[str, list[Exception]] = {}
        self.now = 0.0
        self._gates: dict[str, threading.Event] = {}

    def gate(self, url: str) -> threading.Event:
        return self._gates.setdefault(url, threading.Event())

    def download(self, url: str) -> BlobWriter:
        self.requested.append(url)
        assert self.gate(url).wait(30)
        if self.failures.get(url):
            raise self.failures[url].pop(0)
        writer = BlobWriter(self.folder)
        writer.write(url.encode())
        writer.finish()
        return writer

    def clock(self) -> float:
        return self.now

    def wait_for_failures_left(self, url: str, count: int) -> None:
        until(lambda: len(self.failures[url]) == count)

    def let_through(self, *urls: str) -> None:
        for url in urls:
            self.gate(url).set()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def pool(place: Place) -> Iterator[DownloadPool]:
    made = DownloadPool(place, threads=4, per_host=2, clock=place.clock)
    yield made
    made.stop()


def urls(host: str, count: int) -> list[str]:
    return [f"http://{host}.example/{number}" for number in range(count)]


def test_a_host_never_exceeds_its_connections_and_other_hosts_do_not_wait(place: Place, pool: DownloadPool) -> None:
    slow, quick = urls("slow", 5), urls("quick", 2)
    batch = pool.start_batch([*slow, *quick])
    until(lambda: len(place.requested) == 4)
    assert sorted(place.requested) == sorted([*slow[:2], *quick])
    place.let_through(*quick)
    until(lambda: len(batch.results) == 2)
    assert len(place.requested) == 4
    place.let_through(*slow)
    assert batch.wait(30)
    assert len(batch.results) == 7
    batch.close()
    assert list(place.folder.iterdir()) == []


def test_a_temporary_failure_is_tried_three_times_with_growing_pauses(place: Place, pool: DownloadPool) -> None:
    (url,) = urls("moody", 1)
    place.let_through(url)
    place.failures[url] = [FetchFailed("one"), FetchFailed("two"), FetchFailed("three")]
    batch = pool.start_batch([url])
    until(lambda: len(place.failures[url]) == 2 and pool.waiting == 1)
    for pause, left in ((0.5, 1), (1.0, 0)):
        place.now += pause - 0.01
        assert not batch.wait(0.1)
        assert len(place.failures[url]) == left + 1
        place.now += 0.01
        place.wait_for_failures_left(url, left)
    assert batch.wait(30)
    assert str(batch.results[url]) == "three"


@pytest.mark.parametrize("error", [FetchRefused("404"), FetchForbidden("no"), PauseRequested("an hour", 3600.0)])
def test_a_final_failure_or_a_long_pause_is_not_retried(place: Place, pool: DownloadPool, error: Exception) -> None:
    (url,) = urls("final", 1)
    place.let_through(url)
    place.failures[url] = [error]
    batch = pool.start_batch([url])
    assert batch.wait(30)
    assert batch.results == {url: error}
    assert place.requested == [url]


def test_a_url_that_used_up_its_time_is_not_retried(place: Place, pool: DownloadPool) -> None:
    (url,) = urls("endless", 1)
    place.failures[url] = [FetchTooSlow()]
    batch = pool.start_batch([url])
    until(lambda: place.requested == [url])
    place.now += 30
    place.let_through(url)
    assert batch.wait(30)
    assert isinstance(batch.results[url], FetchTooSlow)


def test_a_pause_that_one_url_demands_applies_to_the_whole_host(place: Place, pool: DownloadPool) -> None:
    first_url, second_url, third_url = urls("busy", 3)
    other = "http://other.example/"
    place.let_through(first_url, second_url, third_url, other)
    place.failures[first_url] = [PauseRequested("busy", 3.0)]
    first = pool.start_batch([first_url])
    until(lambda: pool.waiting == 1)
    second = pool.start_batch([second_url, third_url, other])
    until(lambda: list(second.results) == [other])
    assert place.requested == [first_url, other]
    place.now += 3
    assert first.wait(30)
    assert second.wait(30)
    assert len(place.requested) == 5


def test_dropping_a_batch_keeps_running_downloads_and_other_batches(place: Place, pool: DownloadPool) -> None:
    mine, others = urls("shop", 4), ["http://shop.example/others"]
    batch, another = pool.start_batch(mine), pool.start_batch(others)
    until(lambda: len(place.requested) == 2)
    batch.drop_rest()
    place.let_through(*mine, *others)
    assert batch.wait(30)
    assert another.wait(30)
    assert sorted(batch.results) == mine[:2]
    assert sorted(place.requested) == sorted([*mine[:2], *others])


def test_a_download_that_ends_after_its_batch_was_closed_leaves_no_file(place: Place, pool: DownloadPool) -> None:
    (url,) = urls("late", 1)
    batch = pool.start_batch([url])
    until(lambda: place.requested == [url])
    pool.stop()
    assert batch.wait(0)
    batch.close()
    place.let_through(url)
    until(lambda: url in batch.results)
    assert list(place.folder.iterdir()) == []


def test_an_invalid_url_is_refused_without_a_request(place: Place, pool: DownloadPool) -> None:
    batch = pool.start_batch(["ftp://x", "http://a b/"])
    assert batch.wait(30)
    assert {type(result) for result in batch.results.values()} == {FetchForbidden}
    assert place.requested == []
