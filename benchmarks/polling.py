"""Compare polls of an unchanged job with the cheapest answer of the same server, `/healthz`."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from rich.progress import Progress, TaskID

from benchmarks.api_alone import Api, running_api
from benchmarks.pipeline import empty_installation, store_job
from benchmarks.run import spread
from core.clock import utc_now
from core.settings import Settings
from db.access import keys
from db.database import Database
from db.tables import Scope

ITEMS = 100
CONNECTIONS = 4
REQUESTS = 1000
"""Number of requests that each connection sends in one round."""
ROUNDS = 5
_DATABASES = ("sqlite", "postgresql")


def run(progress: Progress) -> dict[str, Any]:
    """Return answers per second for /healthz and for polls answered 304, by processor time of the API and by the clock.

    Both are measured twice: while the service is open, and with a key, whose requests are counted.
    """
    task = progress.add_task("polling", total=4 * len(_DATABASES) * ROUNDS)
    found = {}
    for kind in _DATABASES:
        with empty_installation(kind) as settings, running_api(settings) as api:
            path = f"/v1/jobs/{store_job(settings, 'polled', ITEMS)}"
            found[kind] = _measure(api, path, "", progress, task)
            # The job has no owner, therefore an admin key may see it. Once a key exists, every request needs one.
            found[kind]["with_key"] = _measure(api, path, _make_key(settings), progress, task)
    return {"connections": CONNECTIONS, "databases": found}


def _make_key(settings: Settings) -> str:
    database = Database(settings.resolved_database_url)
    with database.writing() as session:
        _, written = keys.create(session, "benchmark", [Scope.ADMIN], utc_now(), rate_limit=2**31 - 1)
    database.close()
    return written


def _measure(api: Api, path: str, key: str, progress: Progress, task: TaskID) -> dict[str, Any]:
    per_core: dict[str, list[float]] = {"healthz": [], "unchanged": []}
    per_second: dict[str, list[float]] = {"healthz": [], "unchanged": []}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    headers["If-None-Match"] = api.http.get(path, headers=headers).raise_for_status().headers["ETag"]
    requests = {"healthz": _request("/healthz", {}), "unchanged": _request(path, headers)}
    statuses = {"healthz": b"200", "unchanged": b"304"}
    for name, request in requests.items():
        _send(api, request, statuses[name], REQUESTS // 10)
    for _ in range(ROUNDS):
        for name, request in requests.items():
            spent = api.processor_seconds()
            seconds = _send(api, request, statuses[name], REQUESTS)
            answers = CONNECTIONS * REQUESTS
            per_core[name].append(answers / (api.processor_seconds() - spent))
            per_second[name].append(answers / seconds)
            progress.advance(task)
    ratios = [polls / health for polls, health in zip(per_core["unchanged"], per_core["healthz"], strict=True)]
    return {
        "per_core_second": {name: spread(found) for name, found in per_core.items()},
        "per_second": {name: spread(found) for name, found in per_second.items()},
        "ratio": spread(ratios),
    }


def _request(path: str, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n".encode()


def _send(api: Api, request: bytes, status: bytes, times: int) -> float:
    """Send a request `times` times on each connection at once. Return the seconds until the last answer."""
    wrong: list[bytes] = []

    def talk() -> None:
        # A client library would take as much processor time as the server. This client sends fixed bytes instead.
        with socket.create_connection(("127.0.0.1", api.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(times):
                connection.sendall(request)
                answer = _answer(connection)
                if answer.split(b" ", 2)[1] != status:
                    wrong.append(answer)

    threads = [threading.Thread(target=talk) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise RuntimeError(f"expected status {status.decode()}, got {wrong[0][:200]!r}")
    return time.perf_counter() - started


def _answer(connection: socket.socket) -> bytes:
    """Read one whole answer. Its body, if any, is as long as Content-Length says."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (part := connection.recv(65536)):
            raise RuntimeError(f"the connection ended after {data!r}")
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(lengths[0]) - len(body) if lengths and b" 304 " not in head[:20] else 0
    while missing > 0:
        missing -= len(connection.recv(missing))
    return data
