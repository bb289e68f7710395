"""One connection to a checked address, and the HTTP/1.1 on it.

h11 speaks the protocol, the sockets are ours: each wait takes its timeout from the transfer's one budget. A client with
a timeout for each operation could be kept waiting by one byte a second for ever.
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

from core.errors import FetchFailed
from core.fetching.addresses import Address
from core.fetching.budget import Budget
from core.fetching.urls import Target

_READ = 64 * 2**10
"""Most bytes that are read from a socket or written to it at a time."""
_HEADERS = 64 * 2**10
"""Most bytes of a response's headers, of one chunk's header, or of trailers."""
_ADDRESSES_TRIED = 4

_IDLE_SECONDS = 15.0
_IDLE_PER_ORIGIN = 8
_IDLE = 64


class Stale(Exception):
    """A kept connection had been closed by the server: nothing was answered on it."""


@dataclass(frozen=True, slots=True)
class Request:
    method: bytes
    target: Target
    headers: list[tuple[bytes, bytes]]
    body: bytes | None = None


class Connection:
    """A connection that is open. Whoever has it closes it or gives it to `IdleConnections`."""

    def __init__(self, sock: socket.socket, origin: tuple[str, str, int]) -> None:
        self.origin = origin
        self.idle_since = 0.0
        self._socket = sock
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADERS)
        self._used = False

    @classmethod
    def open(
        cls, target: Target, addresses: Sequence[Address], tls: ssl.SSLContext | None, budget: Budget
    ) -> Connection:
        """Connect to the first of the checked addresses that answers; with `tls`, as the target's host.

        Raises:
            FetchFailed: none answers, or its certificate is not the host's.
            FetchTooSlow
        """
        failure: OSError | None = None
        for address in addresses[:_ADDRESSES_TRIED]:
            try:
                return cls(_connected(address, target, tls, budget), target.origin)
            except OSError as error:
                failure = error
        budget.seconds_left()
        raise FetchFailed(f"expected {target.authority} to accept a connection: {_reason(failure)}") from failure

    def ask(self, request: Request, budget: Budget) -> h11.Response:
        """Send a request and receive the head of its response.

        Raises:
            Stale: this connection was used before and turns out to be closed.
            FetchFailed, FetchTooSlow, TooLarge
        """
        used, self._used = self._used, True
        received = budget.wire_bytes
        try:
            self._send(request, budget)
            while True:
                event = self._next_event(budget)
                if isinstance(event, h11.Response):
                    return event
        except FetchFailed as error:
            if used and budget.wire_bytes == received:
                raise Stale from error
            raise

    def body(self, budget: Budget) -> Iterator[bytes]:
        """The pieces of the response's body as they come.

        Raises:
            FetchFailed: the connection ends before the body does, or what comes is not HTTP.
            FetchTooSlow, TooLarge
        """
        while True:
            event = self._next_event(budget)
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            else:
                return

    def reusable(self) -> bool:
        """Whether the response has been received to its end, with nothing after it, and another may be asked for."""
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

    def silent(self) -> bool:
        """Whether nothing has come since the last response: otherwise the server has closed, or sends unasked."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            return not selector.select(0)

    def close(self) -> None:
        self._socket.close()

    def _send(self, request: Request, budget: Budget) -> None:
        head = h11.Request(method=request.method, target=request.target.path.encode("ascii"), headers=request.headers)
        events: list[h11.Event] = [head, *([h11.Data(data=request.body)] if request.body else []), h11.EndOfMessage()]
        data = b"".join(self._http.send(event) or b"" for event in events)
        rest = memoryview(data)
        try:
            while rest:
                # Not sendall(): on a TLS socket its timeout begins anew with each part.
                self._socket.settimeout(budget.seconds_left())
                rest = rest[self._socket.send(rest[:_READ]) :]
        except TimeoutError as error:
            raise budget.too_slow() from error
        except OSError:
            # A server may answer before it has read everything, and close; what it answered is read below.
            return

    def _next_event(self, budget: Budget) -> object:
        """The next h11 event that is one."""
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise FetchFailed(f"expected an HTTP response: {error}") from error
            if event is not h11.NEED_DATA:
                return event
            self._socket.settimeout(budget.seconds_left())
            try:
                data = self._socket.recv(_READ)
            except TimeoutError as error:
                raise budget.too_slow() from error
            except OSError as error:
                raise FetchFailed(f"the connection broke: {_reason(error)}") from error
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise FetchFailed("expected an HTTP response, the server closed the connection")
            budget.received(len(data))
            self._http.receive_data(data)


class IdleConnections:
    """Connections that wait for the next request to their origin. Their addresses were checked when they opened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Connection] = []

    def take(self, origin: tuple[str, str, int]) -> Connection | None:
        """The connection to this origin that was used last and still seems open."""
        self._close_overdue()
        while True:
            with self._lock:
                found = next((x for x in reversed(self._waiting) if x.origin == origin), None)
                if found is None:
                    return None
                self._waiting.remove(found)
            if found.silent():
                return found
            found.close()

    def give(self, connection: Connection) -> None:
        connection.idle_since = time.monotonic()
        with self._lock:
            same = [x for x in self._waiting if x.origin == connection.origin]
            surplus = (
                same[:1] if len(same) >= _IDLE_PER_ORIGIN else self._waiting[:1] if len(self._waiting) >= _IDLE else []
            )
            self._waiting = [x for x in self._waiting if x not in surplus] + [connection]
        for old in surplus:
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
    """An error of the network in its own words, without its number."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid for it ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "no answer"
    return (isinstance(error, OSError) and error.strerror) or str(error)
