"""The open connections of a process, and which of them ends when there are too many."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from api.connections.client_socket import ClientSocket


class Clients:
    """The connections of one process by IP address. Threads share them."""

    def __init__(self, per_address: int, maximum: int) -> None:
        self._per_address = per_address
        self._maximum = maximum
        self._by_address: dict[str, set[ClientSocket]] = {}
        self._lock = threading.Lock()

    def add(self, client: ClientSocket, open_connections: int) -> None:
        """Add a connection. End the slowest one of its address, or of all, if there are too many."""
        with self._lock:
            own = self._by_address.get(client.address, set())
            slowest = None
            if len(own) >= self._per_address:
                slowest = _slowest(own)
            elif open_connections >= self._maximum - 1:
                slowest = _slowest(other for clients in self._by_address.values() for other in clients)
            if slowest is not None:
                self._remove(slowest)
                slowest.end()
            self._by_address.setdefault(client.address, set()).add(client)

    def remove(self, client: ClientSocket) -> None:
        """Forget a connection that was closed. It may be forgotten already."""
        with self._lock:
            self._remove(client)

    def end_all(self) -> None:
        """End all connections."""
        with self._lock:
            for clients in self._by_address.values():
                for client in clients:
                    client.end()

    def _remove(self, client: ClientSocket) -> None:
        own = self._by_address.get(client.address)
        if own is not None:
            own.discard(client)
            if not own:
                del self._by_address[client.address]


def _slowest(clients: Iterable[ClientSocket]) -> ClientSocket | None:
    # The same time for all. Otherwise one that is asked later, on a busy machine, seems to have waited longer.
    now = time.monotonic()
    return max(clients, key=lambda client: client.slowness(now), default=None)
