"""Who came, when, and how many at a time: politeness, and that nobody came, are proved from this."""

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
    """A connection that was opened, whether or not anything was asked on it."""

    time: float
    """Seconds, by the log's clock."""
    connection: int
    address: str
    """The address of the shop that was connected to."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request and what became of it."""

    started: float
    """When its head had arrived, in seconds by the log's clock."""
    finished: float
    """When its answer was ready to be sent; of a trap, when the client had gone or the trap was through."""
    connection: int
    address: str
    host: str
    """The Host header, without the port."""
    method: str
    path: str
    """With the query."""
    status: int
    """0: a trap that answered with something else than a status."""
    sent: int
    """Bytes of the answer, its head included; 0 for what a trap has sent."""
    in_progress: int
    """Requests to the same host that were not yet answered when this one came, itself included."""
    connections: int
    """Open connections that were last used for the same host, this one included."""
    headers: Mapping[str, str]
    """Names in lower case."""


class AccessLog:
    """A file with a line for each connection and each visit, so that it outlives the process and fills no memory."""

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
    """An access log, read. Each question reads the file anew."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def visits(self, host: str = "") -> list[Visit]:
        """Visits in the order in which they came; of one host, if one is named."""
        found = [Visit(**entry) for kind, entry in self._entries() if kind == "Visit"]
        return sorted((one for one in found if host in {"", one.host}), key=lambda one: one.started)

    def connected(self, address: str = "") -> list[Connected]:
        found = [Connected(**entry) for kind, entry in self._entries() if kind == "Connected"]
        return [one for one in found if address in {"", one.address}]

    def paths(self, host: str = "") -> list[str]:
        return [one.path for one in self.visits(host)]

    def shortest_pause(self, host: str) -> float:
        """Fewest seconds from the start of one request to the start of the next; infinite for fewer than two."""
        times = [one.started for one in self.visits(host)]
        return min((after - before for before, after in pairwise(times)), default=float("inf"))

    def most_at_once(self, host: str) -> int:
        """Most requests that waited for an answer at the same time: let the shop answer late to see them."""
        return max((one.in_progress for one in self.visits(host)), default=0)

    def _entries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    entry = json.loads(line)
                    yield entry.pop("is"), entry
