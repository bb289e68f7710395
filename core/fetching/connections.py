"""HTTP/1.1 over one connection to a checked IP address.

h11 implements the protocol. This module owns the sockets, so that each wait takes its timeout from the single budget of
the transfer. With a timeout for each operation, a server that sends one byte a second could keep a client for ever.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

import h11

from core.fetching.addresses import Address
from core.fetching.budget import Budget
from core.fetching.urls import Target
from core.item_errors import FetchFailed

_MAX_READ = 64 * 2**10
"""Maximum number of bytes of one read from a socket, or one write to it."""
_MAX_HEADERS = 64 * 2**10
"""Maximum size in bytes of the headers of a response, of the header of one chunk, or of the trailers."""
_MAX_ADDRESSES_TRIED = 4

_IDLE_SECONDS = 15.0
"""Seconds for which an idle connection is kept."""
_MAX_IDLE_PER_ORIGIN = 8
_MAX_IDLE = 64


class StaleConnection(Exception):
    """The server had already closed a kept connection, so no byte of a response came over it."""


@dataclass(frozen=True, slots=True)
class Request:
    method: bytes
    target: Target
    headers: list[tuple[bytes, bytes]]
    body: bytes | None = None


class Connection:
    """An open connection. Its owner must close it or give it to `IdleConnections`."""

    def __init__(self, sock: socket.socket, origin: tuple[str, str, int]) -> None:
        self.origin = origin
        self.idle_since = 0.0
        self._socket = sock
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEADERS)
        self._used = False

    @classmethod
    def open(
        cls, target: Target, addresses: Sequence[Address], tls: ssl.SSLContext | None, budget: Budget
    ) -> Connection:
        """Connect to the first of the checked IP addresses that responds. With `tls`, verify the host's certificate.

        Raises:
            FetchFailed: no IP address responds, or the certificate is not valid for the host.
            FetchTooSlow: the budget is used up.
        """
        return cls(open_socket(target, addresses, tls, budget), target.origin)

    def send(self, request: Request, budget: Budget) -> h11.Response:
        """Send a request and return the head of the response.

        Raises:
            StaleConnection: this connection was used before, and the server has closed it since.
            FetchFailed: the connection breaks, or the response is not HTTP.
            FetchTooSlow, TooLarge: the budget is used up.
        """
        used, self._used = self._used, True
        received = budget.wire_bytes
        try:
            self._send_all(request, budget)
            while True:
                event = self._next_event(budget)
                if isinstance(event, h11.Response):
                    return event
        except FetchFailed as error:
            if used and budget.wire_bytes == received:
                raise StaleConnection from error
            raise

    def body(self, budget: Budget) -> Iterator[bytes]:
        """Yield the pieces of the response body as they arrive.

        Raises:
            FetchFailed: the connection ends before the body does, or the response is not HTTP.
            FetchTooSlow, TooLarge: the budget is used up.
        """
        while True:
            event = self._next_event(budget)
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            else:
                return

    def is_reusable(self) -> bool:
        """Return whether the connection can take another request: the response is complete, with no byte after it."""
        try:
            while self._http.their_state is h11.SEND_BODY and self._http.next_event() is not h11.NEED_DATA:
                pass
        except h11.RemoteProtocolError:
            return False
        done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if not done or self._http.trailing_data[0]:
            return False
        self._http.start_next_cycle()
        return True

    def is_silent(self) -> bool:
        """Return whether no data has come since the last response.

        Otherwise the server has closed the connection or sends data without a request.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            return not selector.select(0)

    def close(self) -> None:
        self._socket.close()

    def _send_all(self, request: Request, budget: Budget) -> None:
        head = h11.Request(method=request.method, target=request.target.path.encode("ascii"), headers=request.headers)
        events: list[h11.Event] = [head, *([h11.Data(data=request.body)] if request.body else []), h11.EndOfMessage()]
        data = b"".join(self._http.send(event) or b"" for event in events)
        rest = memoryview(data)
        try:
            while rest:
                # sendall() would start its timeout again for each part on a TLS socket.
                self._socket.settimeout(budget.seconds_left())
                rest = rest[self._socket.send(rest[:_MAX_READ]) :]
        except TimeoutError as error:
            raise budget.too_slow() from error
        except OSError:
            # A server may respond before it has read the whole request, and then close the connection. The caller can
            # still read this response.
            return

    def _next_event(self, budget: Budget) -> object:
        """Receive data until h11 returns an event."""
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise FetchFailed(f"expected an HTTP response, got something else: {error}") from error
            if event is not h11.NEED_DATA:
                return event
            self._socket.settimeout(budget.seconds_left())
            try:
                data = self._socket.recv(_MAX_READ)
            except TimeoutError as error:
                raise budget.too_slow() from error
            except OSError as error:
                raise FetchFailed(f"the connection broke: {_reason(error)}") from error
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise FetchFailed("expected an HTTP response, but the server closed the connection")
            budget.received(len(data))
            self._http.receive_data(data)


def open_socket(
    target: Target, addresses: Sequence[Address], tls: ssl.SSLContext | None, budget: Budget
) -> socket.socket:
    """Connect like `Connection.open`, and return the socket."""
    last_error: OSError | None = None
    for address in addresses[:_MAX_ADDRESSES_TRIED]:
        try:
            return _connected(address, target, tls, budget)
        except OSError as error:
            last_error = error
    budget.seconds_left()
    reason = _reason(last_error)
    raise FetchFailed(f"expected a connection to {target.authority}, but it failed: {reason}") from last_error


class IdleConnections:
    """Open connections that wait for the next request to their origin. Opening them checked their IP addresses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Connection] = []

    def take(self, origin: tuple[str, str, int]) -> Connection | None:
        """Return the most recently used connection to this origin that still seems open, or None."""
        self._close_overdue()
        while True:
            with self._lock:
                found = next((x for x in reversed(self._waiting) if x.origin == origin), None)
                if found is None:
                    return None
                self._waiting.remove(found)
            if found.is_silent():
                return found
            found.close()

    def give(self, connection: Connection) -> None:
        connection.idle_since = time.monotonic()
        with self._lock:
            same = [x for x in self._waiting if x.origin == connection.origin]
            closing = []
            if len(same) >= _MAX_IDLE_PER_ORIGIN:
                closing = same[:1]
            elif len(self._waiting) >= _MAX_IDLE:
                closing = self._waiting[:1]
            self._waiting = [x for x in self._waiting if x not in closing] + [connection]
        for old in closing:
            old.close()

    def close(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for connection in waiting:
            connection.close()

    def _close_overdue(self) -> None:
        oldest = time.monotonic() - _IDLE_SECONDS
        with self._lock:
            overdue = [x for x in self._waiting if x.idle_since < oldest]
            self._waiting = [x for x in self._waiting if x.idle_since >= oldest]
        for connection in overdue:
            connection.close()


def _connected(address: Address, target: Target, tls: ssl.SSLContext | None, budget: Budget) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(budget.seconds_left(budget.limits.connect_seconds))
        sock.connect((str(address), target.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None:
            return sock
        sock.settimeout(budget.seconds_left())
        return tls.wrap_socket(sock, server_hostname=target.host)
    except BaseException:
        sock.close()
        raise


def _reason(error: BaseException | None) -> str:
    """Return the text of a network error without its error number."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "no response"
    return (isinstance(error, OSError) and error.strerror) or str(error)
