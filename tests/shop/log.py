"""The access log: requests, their times and their concurrency. Tests prove from it that a crawler is polite."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection that was opened, with or without a request."""

    time: float
    """Seconds by the log's clock."""
    connection: int
    address: str
    """The shop's IP address that the client connected to."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request and its answer."""

    started: float
    """The time when its head had arrived, in seconds by the log's clock."""
    finished: float
    """The time when its answer was ready, or when the client left a trap or the trap ended."""
    connection: int
    address: str
    host: str
    """The Host header, without the port."""
    method: str
    path: str
    """The path with its query."""
    status: int
    """The status of the answer, or 0 for a trap that sends no normal answer."""
    sent: int
    """Bytes of the answer with its head, or 0 for a trap."""
    in_progress: int
    """The number of unanswered requests to the same host when this one arrived, including this one."""
    connections: int
    """The number of open connections that were last used for the same host, including this one."""
    headers: Mapping[str, str]
    """Header names in lower case."""


class AccessLog:
    """A file with a line for each connection and visit. A file outlives the process and needs no memory."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.path, self.clock = path, clock
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def write(self, entry: Connected | Visit) -> None:
        line = json.dumps({"is": type(entry).__name__, **asdict(entry)}, ensure_ascii=False)
        with self._lock:
            self._file.write(line + "\n")

    def close(self) -> None:
        self._file.close()


class Visitors:
    """Reads an access log. Each call reads the file again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def visits(self, host: str = "") -> list[Visit]:
        """Return the visits in the order of their arrival, of one host or of all."""
        visits = [Visit(**entry) for kind, entry in self._entries() if kind == "Visit"]
        return sorted((visit for visit in visits if host in {"", visit.host}), key=lambda visit: visit.started)

    def connected(self, address: str = "") -> list[Connected]:
        """Return the connections to one of the shop's IP addresses, or to all."""
        connections = [Connected(**entry) for kind, entry in self._entries() if kind == "Connected"]
        return [connection for connection in connections if address in {"", connection.address}]

    def paths(self, host: str = "") -> list[str]:
        return [visit.path for visit in self.visits(host)]

    def shortest_pause(self, host: str) -> float:
        """Return the fewest seconds between the starts of two consecutive requests; infinity for fewer than two."""
        times = [visit.started for visit in self.visits(host)]
        return min((after - before for before, after in pairwise(times)), default=float("inf"))

    def max_in_progress(self, host: str) -> int:
        """Return the largest number of concurrent requests. Give the shop a latency, so that requests overlap."""
        return max((visit.in_progress for visit in self.visits(host)), default=0)

    def _entries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    entry = json.loads(line)
                    yield entry.pop("is"), entry
