"""A receiver of webhooks on loopback that records requests and answers as the test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.answering import ReceivedRequest, Reply, answering

NO_CONTENT = Reply(204, b"")


class Receiver:
    """The target of webhooks. It gives `replies` in turn, and 204 after the last one."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[ReceivedRequest] = []
        self.replies: list[Reply] = []
        self.on_request: Callable[[ReceivedRequest], None] = lambda _: None
        """Called in the thread of the request, before it is answered."""
        self._lock = threading.Lock()

    def answer(self, request: ReceivedRequest) -> Reply:
        with self._lock:
            self.received.append(request)
            reply = self.replies.pop(0) if self.replies else NO_CONTENT
        self.on_request(request)
        return reply

    @property
    def ids(self) -> list[str]:
        return [received.headers["webhook-id"] for received in self.received]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    with answering(running.answer) as server:
        running.url = f"{server.url}/hook"
        yield running
