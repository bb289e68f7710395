"""The shop's HTTP server: one event loop that serves every site on loopback and logs the requests.

It supports the part of HTTP/1.1 that clients need here (GET and HEAD, persistent connections), and passes the bare
connection to traps.
"""

from __future__ import annotations

import asyncio
import errno
import math
import re
import socket
from asyncio import IncompleteReadError, LimitOverrunError, StreamReader, StreamWriter
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from tests.shop.answers import Answer, Misbehaviour, Request
from tests.shop.log import AccessLog, Connected, Visit

_HEAD = 64 * 2**10
_PHOTO = re.compile("/(?:photos|i|cdn)/")
"""Paths of photos, which may have to be drawn first. A thread draws them, so that other requests are logged in time."""

_GATE_POLL = 0.005
"""Seconds between two looks at a closed gate."""

Respond = Callable[[Request, str, str], "Answer | Misbehaviour"]
"""Returns the answer to a request. The other arguments are the host of the Host header and the server's IP address."""


@dataclass(slots=True)
class Gate:
    """Holds answers back, so that a test can act at a chosen moment of a crawl, however fast the machine is."""

    answers: float = math.inf
    """The number of further answers that the server sends. The others wait until this number grows."""
    waiting: int = 0
    """The number of answers that wait."""

    async def pass_through(self) -> None:
        self.waiting += 1
        while self.answers < 1:
            await asyncio.sleep(_GATE_POLL)
        self.waiting -= 1
        self.answers -= 1


class Server:
    """Serves `respond` on every one of `sockets`.

    Args:
        latency: delay of each answer in seconds.
    """

    def __init__(self, respond: Respond, log: AccessLog, latency: float, gate: Gate) -> None:
        self._respond, self._log, self._latency, self._gate = respond, log, latency, gate
        self._numbers = count(1)
        self._in_progress: Counter[str] = Counter()
        self._connections: dict[int, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, sockets: Sequence[socket.socket], stop: asyncio.Event, ready: Callable[[], object]) -> None:
        """Serve until `stop` is set, and then close every connection at once."""
        servers = [await asyncio.start_server(self._connected, sock=sock, limit=_HEAD, backlog=512) for sock in sockets]
        ready()
        await stop.wait()
        for server in servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number = next(self._numbers)
        address = writer.get_extra_info("sockname")[0]
        self._log.write(Connected(self._log.clock(), number, address))
        self._connections[number] = ""
        try:
            while await self._visit(reader, writer, number, address):
                pass
        except (ConnectionError, IncompleteReadError, LimitOverrunError, ValueError):
            # Clients may disconnect at any moment, or send no HTTP.
            pass
        except asyncio.CancelledError:
            # The server stops. asyncio would report a raised CancelledError as an error of this handler.
            pass
        finally:
            self._tasks.discard(task)
            del self._connections[number]
            writer.close()

    async def _visit(self, reader: StreamReader, writer: StreamWriter, number: int, address: str) -> bool:
        """Answer one request and return whether the connection stays open."""
        head = await reader.readuntil(b"\r\n\r\n")
        started = self._log.clock()
        request, authority = _parsed(head)
        host = authority.rpartition(":")[0] or authority
        self._connections[number] = host
        self._in_progress[host] += 1
        in_progress = self._in_progress[host]
        connections = sum(used_for == host for used_for in self._connections.values())
        data, status = b"", 0
        try:
            answer = await self._answer(request, host, address)
            if isinstance(answer, Answer):
                data, status = answer.encoded(head_only=request.method == "HEAD"), answer.status
            else:
                await _misbehave(answer, reader, writer)
        finally:
            # The log entry precedes the answer, so that a client with an answer always finds itself in the log.
            self._in_progress[host] -= 1
            self._log.write(
                Visit(
                    started=started,
                    finished=self._log.clock(),
                    connection=number,
                    address=address,
                    host=host,
                    method=request.method,
                    path=request.target,
                    status=status,
                    sent=len(data),
                    in_progress=in_progress,
                    connections=connections,
                    headers=request.headers,
                )
            )
        writer.write(data)
        await writer.drain()
        return bool(data) and request.headers.get("connection", "").lower() != "close" and status != 405

    async def _answer(self, request: Request, host: str, address: str) -> Answer | Misbehaviour:
        if request.method not in {"GET", "HEAD"}:
            return Answer(b"GET and HEAD only", "text/plain", 405, {"Allow": "GET, HEAD", "Connection": "close"})
        if _PHOTO.search(request.path):
            answer = await asyncio.to_thread(self._respond, request, host, address)
        else:
            answer = self._respond(request, host, address)
        await self._gate.pass_through()
        delay = self._latency + (answer.delay if isinstance(answer, Answer) else 0.0)
        if delay:
            await asyncio.sleep(delay)
        return answer


async def _misbehave(answer: Misbehaviour, reader: StreamReader, writer: StreamWriter) -> None:
    """Let a trap act until it ends or the client disconnects."""
    trap, client_leaves = asyncio.ensure_future(answer(writer)), asyncio.ensure_future(reader.read())
    try:
        await asyncio.wait({trap, client_leaves}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (trap, client_leaves):
            task.cancel()
        await asyncio.gather(trap, client_leaves, return_exceptions=True)


def _parsed(head: bytes) -> tuple[Request, str]:
    """Return the request and its Host header.

    Raises:
        ValueError: the head is no HTTP.
    """
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    authority = headers.get("host", "").lower()
    if target.startswith("http://"):
        # A client that uses the shop as a proxy sends an absolute URL.
        authority, slash, rest = target.removeprefix("http://").partition("/")
        target = slash + rest or "/"
    return Request(method, target, headers, f"http://{authority}"), authority


def listening(addresses: Sequence[str], port: int, optional: Sequence[str]) -> list[socket.socket]:
    """Return a listening socket for each IP address, all on one port; 0 means any free port.

    `optional` IP addresses are left out on systems that have only 127.0.0.1.
    """
    for _ in range(20):
        opened: list[socket.socket] = []
        try:
            for address in addresses:
                try:
                    shared_port = port or (opened[0].getsockname()[1] if opened else 0)
                    opened.append(socket.create_server((address, shared_port), backlog=512))
                except OSError as error:
                    if address not in optional or error.errno != errno.EADDRNOTAVAIL:
                        raise
        except OSError:
            # The port that was free on the first IP address is in use on another one.
            for sock in opened:
                sock.close()
            if port:
                raise
            continue
        return opened
    raise OSError("no port is free on all of the shop's addresses")
