"""Clients that send or receive slowly take no place from others."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from core.settings import PROJECT
from tests.conftest import RunningService, suspended_worker

CLIENTS = 500
PICTURE = (PROJECT / "samples" / "pictures" / "hat-straw.jpg").read_bytes()
HEAD = b"POST /v1/classifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
SHAPES = {
    "part of a head": b"GET /healthz HTTP/1.1\r\nHost: local",
    "a head and two bytes": HEAD + b"Content-Length: 100\r\n\r\n\xff\xd8",
    "a head and part of a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\n\xff\xd8",
}


@contextmanager
def connections(service: RunningService, count: int, data: bytes) -> Iterator[list[socket.socket]]:
    """Open connections that have sent `data`."""
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            client.sendall(data)
            client.setblocking(False)
            opened.append(client)
        yield opened


def is_open(client: socket.socket) -> bool:
    """Return whether the service neither answered nor closed the connection."""
    try:
        client.recv(1)
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize("shape", SHAPES)
def test_five_hundred_slow_requests_keep_nobody_waiting(
    service: RunningService, http: httpx.Client, shape: str
) -> None:
    with connections(service, CLIENTS, SHAPES[shape]) as slow:
        for _ in range(5):
            for client in slow[: CLIENTS // 2]:
                client.send(b"h")
            assert http.get("/healthz").json() == {"status": "ok"}
        classified = http.post("/v1/classifications", content=PICTURE, headers={"Content-Type": "image/jpeg"})
        assert classified.status_code == 200
        # The answers came while all these connections were open.
        assert all(map(is_open, slow))


def test_answers_that_are_not_received_keep_nobody_waiting(service: RunningService, http: httpx.Client) -> None:
    # More than the buffers of a connection hold.
    pipelined = b"GET /static/vendor/markdown-it/markdown-it.esm.min.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200
    with connections(service, 40, pipelined):
        assert http.get("/healthz").json() == {"status": "ok"}


def test_requests_that_wait_for_a_prediction_keep_nobody_waiting(service: RunningService, http: httpx.Client) -> None:
    # Other bytes make it another picture, so that no earlier prediction is reused.
    picture = PICTURE + secrets.token_bytes(16)
    waiting = HEAD + b"Prefer: wait=30\r\nContent-Length: %d\r\n\r\n%s" % (len(picture), picture)
    with suspended_worker(service), connections(service, 40, waiting) as slow:
        assert http.get("/healthz").json() == {"status": "ok"}
        assert all(map(is_open, slow))
