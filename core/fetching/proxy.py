"""An HTTP proxy on loopback for a browser: each of its connections goes to an IP address that the guard has checked.

A browser resolves no names and opens no other connections when it has a proxy. The guard thus holds for everything that
a page asks for: scripts, frames, redirects, WebSockets.
"""

from __future__ import annotations

import selectors
import socket
import socketserver
import threading
import time
from contextlib import suppress
from typing import cast

import structlog

from core.fetching.fetcher import Fetcher
from core.fetching.urls import Target, parse_url
from core.item_errors import FetchForbidden, ItemError

log = structlog.get_logger(__name__)

_MAX_HEAD = 64 * 2**10
_MAX_READ = 64 * 2**10
_MAX_REQUEST_BODY = 2**20
_IDLE_SECONDS = 30.0
_CONNECT_SECONDS = 10.0
_MAX_CONNECTIONS = 64
_HOP_HEADERS = {b"connection", b"proxy-connection", b"keep-alive", b"proxy-authorization"}


class GuardedProxy:
    """A running proxy. Close it at the end."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._server = _Server(fetcher)
        threading.Thread(target=self._server.serve_forever, name="proxy", daemon=True).start()

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def received(self) -> int:
        """The number of bytes received from servers."""
        return self._server.received

    def allow_bytes(self, number: int) -> None:
        """Receive at most `number` further bytes. Connections that would bring more are closed."""
        self._server.max_received = self._server.received + number

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, fetcher: Fetcher) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fetcher = fetcher
        self.received = 0
        self.max_received = 0
        self.slots = threading.BoundedSemaphore(_MAX_CONNECTIONS)


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server, client = cast(_Server, self.server), cast(socket.socket, self.request)
        with server.slots, suppress(OSError):
            client.settimeout(_IDLE_SECONDS)
            head, rest = _read_head(client)
            try:
                method, target, forwarded, length = _parsed(head)
                upstream = server.fetcher.connect(target, seconds=_CONNECT_SECONDS)
            except (ItemError, ValueError) as error:
                log.info("proxy_refused", reason=str(error))
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            with upstream:
                if method == b"CONNECT":
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    upstream.sendall(rest)
                    self._pump(client, upstream)
                    return
                upstream.sendall(forwarded + rest[:length])
                missing = length - len(rest)
                while missing > 0 and (data := client.recv(min(missing, _MAX_READ))):
                    upstream.sendall(data)
                    missing -= len(data)
                # The client may send no second request: it could be for another host.
                self._pump(None, upstream)

    def _pump(self, client: socket.socket | None, upstream: socket.socket) -> None:
        """Copy bytes in both directions until one side closes, nothing comes, or the limit of bytes is reached."""
        server, browser = cast(_Server, self.server), cast(socket.socket, self.request)
        upstream.settimeout(_IDLE_SECONDS)
        with selectors.DefaultSelector() as selector:
            selector.register(upstream, selectors.EVENT_READ, browser)
            if client is not None:
                selector.register(client, selectors.EVENT_READ, upstream)
            last = time.monotonic()
            while time.monotonic() - last < _IDLE_SECONDS:
                for key, _ in selector.select(1.0):
                    source, sink = cast(socket.socket, key.fileobj), cast(socket.socket, key.data)
                    data = source.recv(_MAX_READ)
                    if source is upstream:
                        server.received += len(data)
                    if not data or server.received > server.max_received:
                        return
                    sink.sendall(data)
                    last = time.monotonic()


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of a request with its empty line, and the bytes that came with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = client.recv(_MAX_READ)
        if not part or len(data) > _MAX_HEAD:
            raise ConnectionError("expected the head of an HTTP request")
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _parsed(head: bytes) -> tuple[bytes, Target, bytes, int]:
    """Return the method, the target, the head to forward, and the length of the body.

    Raises:
        FetchForbidden, ValueError: the request is not one that a browser sends to a proxy.
    """
    first, *lines = head.split(b"\r\n")
    method, address, _ = first.split(b" ")
    if method == b"CONNECT":
        return method, parse_url(f"https://{address.decode('ascii')}/"), b"", 0
    target = parse_url(address.decode("ascii"))
    if target.scheme != "http":
        raise FetchForbidden("expected an http URL or a tunnel")
    kept, length = [], 0
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        elif name.lower() in {b"transfer-encoding", b"upgrade"}:
            raise FetchForbidden(f"expected a request without {name.decode('latin-1')}")
        if name.lower() not in _HOP_HEADERS:
            kept.append(line)
    if not 0 <= length <= _MAX_REQUEST_BODY:
        raise FetchForbidden(f"expected a body of at most {_MAX_REQUEST_BODY} bytes, got {length}")
    line = b"%s %s HTTP/1.1" % (method, target.path.encode("ascii"))
    return method, target, b"\r\n".join([line, *kept, b"Connection: close", b"", b""]), length
