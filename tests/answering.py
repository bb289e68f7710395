"""A small HTTP server on loopback that answers as the test says and records its requests."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    method: str
    path: str
    headers: dict[str, str]
    """Header names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. With `cut`, the connection is reset after that many bytes of the body."""

    status: int = 200
    body: object = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


RESET = Reply(cut=0)
"""The server resets the connection before it sends an answer."""

_COUNTS = {"total": 2, "pending": 2, "succeeded": 0, "failed": 0, "canceled": 0, "reused": 0}
JOB: dict[str, Any] = {
    "id": "job_1",
    "name": "two",
    "source": "uploads",
    "status": "queued",
    "counts": _COUNTS,
    "canceling": False,
    "discovering": False,
    "left_out": 0,
    "vectors": True,
    "failures": [],
    "products": 0,
    "retryable": 0,
    "rate": None,
    "duration_seconds": 0.0,
    "eta_seconds": None,
    "model": {"name": "garments", "version": "2"},
    "priority": "normal",
    "metadata": {},
    "webhook": False,
    "error": None,
    "created_at": "2026-01-31T12:00:00.000Z",
    "started_at": None,
    "finished_at": None,
    "expires_at": None,
    "links": {"self": "/v1/jobs/job_1", "page": "/jobs/job_1"},
}
JOB_OVER = {**JOB, "status": "completed", "counts": {**_COUNTS, "pending": 0, "succeeded": 2}}
"""A job of two pictures as the API shows it, before and after its end."""
_STATES = "queued done not_modified moved gone failed blocked_by_robots blocked_address not_allowed left_out"
_URL_COUNTS = dict.fromkeys(["seen", *_STATES.split()], 0)
CRAWL: dict[str, Any] = {
    "start_urls": ["https://shop.example/"],
    "recipe": None,
    "query": None,
    "since": None,
    "limits": {"pages": 200, "pictures": 2000, "bytes": 2**30, "depth": 3, "minutes": 30, "hosts": []},
    "pages": {**_URL_COUNTS, "seen": 3, "done": 2, "queued": 1},
    "pictures": _URL_COUNTS,
    "left_out": {"logo": 2},
    "bytes": 1000,
    "waiting_on": [{"host": "shop.example", "until": "2026-01-31T12:00:10.000Z"}],
    "changes": None,
    "verdict": None,
}
"""The member `crawl` of a job in the API."""


class AnsweringServer:
    """Gives `replies` in turn and repeats the last one. A reply can be a function of the request."""

    def __init__(self, port: int, replies: list[Reply | Callable[[ReceivedRequest], Reply]]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.requests: list[ReceivedRequest] = []
        self._replies = replies
        self._lock = threading.Lock()

    def take(self, request: ReceivedRequest) -> Reply:
        with self._lock:
            self.requests.append(request)
            reply = self._replies[min(len(self.requests), len(self._replies)) - 1]
        return reply if isinstance(reply, Reply) else reply(request)


@contextmanager
def answering(*replies: Reply | Callable[[ReceivedRequest], Reply]) -> Iterator[AnsweringServer]:
    made: list[AnsweringServer] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            reply = made[0].take(ReceivedRequest(self.command, self.path, headers, body))
            if reply.cut != 0:
                self.send_response(reply.status)
                for name, value in {**reply.headers, "Content-Length": str(len(reply.content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.content[: reply.cut])
            if reply.cut is not None:
                self._reset()

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def _reset(self) -> None:
            self.close_connection = True
            self.wfile.flush()
            # Without lingering the other side gets RST, as from a killed process.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def log_message(self, *_: object) -> None:
            """Write no log, because the tests report failures themselves."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.append(AnsweringServer(server.server_port, list(replies)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made[0]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
