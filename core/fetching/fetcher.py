"""The only code that sends requests to other servers: for pictures, for pages, and to deliver webhooks."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from importlib.metadata import version
from types import MappingProxyType, TracebackType

import certifi
import h11

from core.errors import quoted_excerpt
from core.fetching.addresses import Network
from core.fetching.budget import Budget, FetchLimits
from core.fetching.connections import Connection, IdleConnections, Request, StaleConnection, open_socket
from core.fetching.encodings import ACCEPTED, Decoder, decoder
from core.fetching.guard import Guard, Resolver, system_resolver
from core.fetching.urls import Target, parse_url, redirect_target
from core.item_errors import FetchFailed, FetchForbidden, FetchRefused, ItemError

USER_AGENT = f"Lookbook/{version('lookbook')}"
PORTS = (80, 443)

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_REDIRECT_STATUSES = {301, 302, 303, 307, 308}
_RETRYABLE_STATUSES = {408, 425, 429}
_MAX_RETRY_AFTER = timedelta(days=1)
_OWN_HEADERS = {
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "upgrade",
    "te",
    "trailer",
}
"""Headers that only the fetcher may set, because they control the transfer."""
_CROSS_ORIGIN_HEADERS = {"accept", "accept-language", "user-agent", "if-none-match", "if-modified-since"}
"""Headers that are sent again after a redirect to another origin. Others may be secrets of the first origin."""

Write = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Fetched:
    """The response of a server."""

    url: str
    """The URL that gave the response, after all redirects."""
    status: int
    headers: Mapping[str, str]
    """Header names are in lower case. Commas join the values of a repeated header."""
    body: bytes
    """The decompressed body. It is empty if the body went to a writer."""
    size: int
    """Size of the body in bytes after decompression."""
    wire_bytes: int
    """Total number of bytes received, including headers, framing and redirects."""
    redirects: tuple[str, ...]
    """The URLs that redirected to this one, starting with the requested URL."""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def retry_after(self, now: datetime) -> timedelta | None:
        """Return the pause that a Retry-After header asks for, in seconds or by a date (RFC 9110, 10.2.3), or None.

        It is at most a day.
        """
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdecimal():
            return min(timedelta(seconds=int(value)), _MAX_RETRY_AFTER) if len(value) < 10 else _MAX_RETRY_AFTER
        try:
            moment = parsedate_to_datetime(value)
            return min((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now, _MAX_RETRY_AFTER)
        except (ValueError, OverflowError):
            return None

    def expect_ok(self) -> Fetched:
        """Return this response if its status is 2xx.

        Raises:
            FetchFailed: another attempt may succeed (408, 425, 429, 5xx).
            FetchRefused: another attempt would fail in the same way.
        """
        if self.ok:
            return self
        kind = FetchFailed if self.status >= 500 or self.status in _RETRYABLE_STATUSES else FetchRefused
        raise kind(f"expected status 200, got {self.status}")


class Fetcher:
    """Sends requests to other servers under the rules of docs/adr/0012-the-guarded-fetcher.md.

    Threads may share one fetcher. Close it at the end.

    Args:
        allow: networks that are allowed although they are not public, on any port.
        limits: the limits of each transfer that has none of its own.
        resolver, tls, ports: replacements for the defaults, for tests and for networks with special rules.
    """

    def __init__(
        self,
        *,
        allow: Sequence[Network] = (),
        limits: FetchLimits | None = None,
        user_agent: str = USER_AGENT,
        resolver: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
        ports: Collection[int] = PORTS,
    ) -> None:
        self._limits = limits or FetchLimits()
        self._user_agent = user_agent
        self._guard = Guard(allow, ports, resolver)
        self._given_tls = tls
        self._idle = IdleConnections()

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
        limits: FetchLimits | None = None,
        follow: bool = True,
    ) -> Fetched:
        """Fetch a URL into memory. Follow redirects and return the final response with its body, whatever its status.

        With `follow=False`, return a redirect like any other response.

        Raises:
            FetchForbidden, BlockedAddress: this URL, or one that it redirects to, may not be fetched.
            FetchTooSlow, TooLarge: the transfer exceeded the limits.
            FetchFailed: the server gave no response, an incomplete one or an invalid one.
        """
        body = bytearray()
        fetched = self._follow(url, headers, body.extend, limits or self._limits, any_status=True, follow=follow)
        return replace(fetched, body=bytes(body))

    def download(
        self,
        url: str,
        write: Write,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
        limits: FetchLimits | None = None,
        follow: bool = True,
    ) -> Fetched:
        """Fetch a URL like `get`, but pass the decompressed body to `write` while it arrives.

        Only the body of a 2xx response goes to `write`. Other bodies are discarded. If this method raises, `write` may
        already have received part of the body, which the caller must discard.
        """
        return self._follow(url, headers, write, limits or self._limits, any_status=False, follow=follow)

    def post(
        self, url: str, body: bytes, *, headers: Mapping[str, str] = _NO_HEADERS, limits: FetchLimits | None = None
    ) -> Fetched:
        """Send `body` once. Return a redirect like any other response, and do not follow it.

        Only the status matters to callers. Therefore a response body that is too long, too slow or incomplete is cut
        off without an error.

        Raises:
            FetchForbidden, BlockedAddress, FetchTooSlow, FetchFailed: see `get`.
        """
        budget = Budget(limits or self._limits)
        target = parse_url(url)
        extra = {"Content-Length": str(len(body)), "Connection": "close"}
        request = Request(b"POST", target, self._headers(target, headers, extra), body)
        # The server may already have closed a kept connection. In that case it is unknown whether the body arrived.
        connection = self._open(target, budget)
        try:
            head = connection.send(request, budget)
            kept = bytearray()
            with suppress(ItemError):
                for piece in _decoded_body(connection, head, budget):
                    kept += piece[: budget.limits.max_bytes - len(kept)]
                    if len(kept) == budget.limits.max_bytes:
                        break
            return replace(_response(target, head, len(kept), budget, ()), body=bytes(kept))
        finally:
            connection.close()

    def connect(self, target: Target, *, seconds: float) -> socket.socket:
        """Open a bare connection to a checked IP address of a target, for the proxy of a browser.

        Raises:
            FetchForbidden, BlockedAddress, FetchFailed, FetchTooSlow: see `get`.
        """
        budget = Budget(FetchLimits(seconds=seconds))
        return open_socket(target, self._guard.addresses(target, budget), None, budget)

    def check(self, url: str, *, seconds: float | None = None) -> str:
        """Resolve the name of a URL and return the URL in its only spelling if it may be fetched. Open no connection.

        Raises:
            FetchForbidden, BlockedAddress, FetchFailed, FetchTooSlow: see `get`.
        """
        target = parse_url(url)
        self._guard.addresses(target, Budget(FetchLimits(seconds=seconds or self._limits.seconds)))
        return str(target)

    def check_without_lookup(self, target: Target) -> None:
        """Refuse a URL that can never be fetched, if that is clear without a DNS look-up.

        Raises:
            FetchForbidden, BlockedAddress: see `get`.
        """
        self._guard.check_without_lookup(target)

    def close(self) -> None:
        self._idle.close()

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        if self._given_tls is not None:
            return self._given_tls
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _follow(
        self,
        url: str,
        headers: Mapping[str, str],
        write: Write,
        limits: FetchLimits,
        *,
        any_status: bool,
        follow: bool,
    ) -> Fetched:
        budget = Budget(limits)
        target = parse_url(url)
        visited: list[str] = []
        while True:
            request = Request(b"GET", target, self._headers(target, headers))
            with _naming_redirect(visited), self._exchange(request, budget) as (connection, head):
                location = _location(head) if follow else None
                if location is None:
                    size = 0
                    if any_status or 200 <= head.status_code < 300:
                        for piece in _limited_body(connection, head, budget):
                            write(piece)
                            size += len(piece)
                    return _response(target, head, size, budget, tuple(visited))
            visited.append(str(target))
            with _naming_redirect(visited):
                following = _next_target(target, location, visited, limits)
            if following.origin != target.origin:
                headers = {name: value for name, value in headers.items() if name.lower() in _CROSS_ORIGIN_HEADERS}
            target = following
            budget.next_hop()

    @contextmanager
    def _exchange(self, request: Request, budget: Budget) -> Iterator[tuple[Connection, h11.Response]]:
        """Send a request and give the connection and the head of the response to the `with` block.

        If the block reads the response to its end, the connection is kept for the next request.
        """
        connection = self._idle.take(request.target.origin)
        try:
            if connection is not None:
                try:
                    head = connection.send(request, budget)
                except StaleConnection:
                    connection.close()
                    connection = None
            if connection is None:
                connection = self._open(request.target, budget)
                head = connection.send(request, budget)
            yield connection, head
            if connection.is_reusable():
                self._idle.give(connection)
                connection = None
        finally:
            if connection is not None:
                connection.close()

    def _open(self, target: Target, budget: Budget) -> Connection:
        addresses = self._guard.addresses(target, budget)
        return Connection.open(target, addresses, self._tls if target.scheme == "https" else None, budget)

    def _headers(
        self, target: Target, custom: Mapping[str, str], extra: Mapping[str, str] = _NO_HEADERS
    ) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name in custom}
        if names & _OWN_HEADERS:
            raise ValueError(f"only the fetcher may set the headers {sorted(names & _OWN_HEADERS)}")
        usual = {"Host": target.authority, "User-Agent": self._user_agent, "Accept": "*/*", "Accept-Encoding": ACCEPTED}
        kept = {name: value for name, value in usual.items() if name.lower() not in names}
        together = {**kept, **extra, **custom}
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in together.items()]


@contextmanager
def _naming_redirect(visited: Sequence[str]) -> Iterator[None]:
    """Add the number of the redirect to each error of the `with` block."""
    try:
        yield
    except ItemError as error:
        if not visited:
            raise
        where = f"after redirect {len(visited)}, from {quoted_excerpt(visited[-1])}"
        raise type(error)(f"{where}: {error.detail}") from error


def _location(head: h11.Response) -> str | None:
    """Return the Location of a redirect, or None for other responses and for redirects without a Location."""
    found = _header(head, b"location") if head.status_code in _REDIRECT_STATUSES else b""
    try:
        return found.decode("utf-8") or None
    except UnicodeDecodeError:
        return found.decode("latin-1")


def _next_target(target: Target, location: str, visited: Sequence[str], limits: FetchLimits) -> Target:
    if len(visited) > limits.max_redirects:
        raise FetchForbidden(f"expected at most {limits.max_redirects} redirects, got more")
    following = redirect_target(target, location)
    if str(following) in visited:
        raise FetchForbidden(f"expected redirects without a loop, got {quoted_excerpt(str(following))} a second time")
    return following


def _limited_body(connection: Connection, head: h11.Response, budget: Budget) -> Iterator[bytes]:
    """Yield the decompressed pieces of the body, and check their total size against the limit."""
    # A 304 response may announce the length of the body that it does not send.
    announced, size = _header(head, b"content-length") if head.status_code != 304 else b"", 0
    limits = budget.limits
    if announced and int(announced) > limits.max_bytes and not limits.cut:
        raise budget.too_large(f"the server announces {int(announced)}")
    for piece in _decoded_body(connection, head, budget):
        if size + len(piece) > limits.max_bytes:
            if not limits.cut:
                raise budget.too_large()
            yield piece[: limits.max_bytes - size]
            return
        size += len(piece)
        yield piece


def _decoded_body(connection: Connection, head: h11.Response, budget: Budget) -> Iterator[bytes]:
    encoding: Decoder | None = None
    for data in connection.body(budget):
        encoding = encoding or decoder(_header(head, b"content-encoding").decode("latin-1"))
        yield from encoding.feed(data)
    if encoding is not None:
        encoding.finish()


def _header(head: h11.Response, name: bytes) -> bytes:
    """Return the values of a header, joined by commas, or an empty value if the header is missing."""
    return b", ".join(value for found, value in head.headers if found == name)


def _response(target: Target, head: h11.Response, size: int, budget: Budget, redirects: tuple[str, ...]) -> Fetched:
    names = dict.fromkeys(name for name, _ in head.headers)
    headers = {name.decode("ascii"): _header(head, name).decode("latin-1") for name in names}
    return Fetched(str(target), head.status_code, headers, b"", size, budget.wire_bytes, redirects)
