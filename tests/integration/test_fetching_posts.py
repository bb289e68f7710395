"""POST requests of the fetcher: what it sends, and that the status counts even if the body is broken."""

from __future__ import annotations

import socket

import pytest

from core.fetching import Fetcher, FetchLimits
from core.item_errors import FetchTooSlow, TooLarge
from tests.integration.fetchers import ENDLESS, SHORT, SLOW, fetcher, server
from tests.integration.hostile_server import HostileServer, headers_of, redirect, response

__all__ = ["fetcher", "server"]


def test_a_body_is_posted_with_its_headers(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/hook"] = response(b"thanks", "202 Accepted")
    sent = {"Content-Type": "application/json", "webhook-id": "msg_1"}
    fetched = fetcher.post(f"{server.url}/hook", b'{"type": "job.completed"}', headers=sent)
    assert (fetched.status, fetched.ok, fetched.body) == (202, True, b"thanks")
    (visit,) = server.visits
    assert (visit.method, visit.body) == ("POST", b'{"type": "job.completed"}')
    assert headers_of(visit, "content-type", "webhook-id", "content-length") == {
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "content-length": "25",
    }


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_of_a_post_is_not_followed(status: str, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/hook"] = redirect("/elsewhere", status)
    fetched = fetcher.post(f"{server.url}/hook", b"{}")
    assert (fetched.status, fetched.ok) == (int(status[:3]), False)
    assert server.log == ["POST /hook"]


def test_every_post_uses_a_new_connection(server: HostileServer, fetcher: Fetcher) -> None:
    fetcher.get(server.url)
    fetcher.post(server.url, b"{}")
    fetcher.post(server.url, b"{}")
    assert server.connections == 3


@pytest.mark.parametrize("what", [*ENDLESS, "body byte by byte", "chunk by chunk"])
def test_the_status_of_a_post_counts_even_if_its_body_is_broken(
    what: str, server: HostileServer, fetcher: Fetcher
) -> None:
    # One second is enough for the status even on a busy machine.
    limits = FetchLimits(seconds=1.0, max_bytes=100_000)
    server.answers["/hook"] = {**ENDLESS, **SLOW}[what]
    if what == "responses that are not the last":
        with pytest.raises(TooLarge):
            fetcher.post(f"{server.url}/hook", b"{}", limits=limits)
        return
    fetched = fetcher.post(f"{server.url}/hook", b"{}", limits=limits)
    assert (fetched.status, len(fetched.body) <= 100_000) == (200, True)


def test_a_server_that_never_reads_the_request_times_out(fetcher: Fetcher) -> None:
    # The kernel accepts the connection, but no process reads from it.
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(FetchTooSlow):
        fetcher.post(f"http://127.0.0.1:{deaf.getsockname()[1]}/hook", b"x" * 2**25, limits=SHORT)
