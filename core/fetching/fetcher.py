"""The one way in which Lookbook asks other servers for anything: for pictures, pages and with webhooks."""

from __future__ import annotations

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

from core.errors import FetchFailed, FetchForbidden, FetchRefused, ItemError
from core.fetching.addresses import Network
from core.fetching.budget import Budget, FetchLimits
from core.fetching.connections import Connection, IdleConnections, Request, Stale
from core.fetching.encodings import ACCEPTED, Decoder, decoder
from core.fetching.guard import Guard, Resolver, system_resolver
from core.fetching.urls import Target, parse_url, quoted_excerpt, redirect_target

USER_AGENT = f"Lookbook/{version('lookbook')}"
PORTS = (80, 443)

_NONE: Mapping[str, str] = MappingProxyType({})
_REDIRECTS = {301, 302, 303, 307, 308}
_WORTH_ANOTHER_TRY = {408, 425, 429}
_OURS = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "upgrade", "te", "trailer"}
"""Headers that belong to the transfer, not to whoever asks for it."""
_GO_ANYWHERE = {"accept", "accept-language", "user-agent", "if-none-match", "if-modified-since"}
"""Headers that follow a redirect to another origin. All others may be secrets of the first one."""

Write = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server answered."""

    url: str
    """That answered, after all redirects."""
    status: int
    headers: Mapping[str, str]
    """Names in lower case; values of a repeated one joined by commas."""
    body: bytes
    """Decompressed; empty when it went to a writer."""
    size: int
    """Bytes of the body after decompression."""
    wire_bytes: int
    """Bytes received in all, headers and framing and redirects included."""
    redirects: tuple[str, ...]
    """The URLs that led here, the one that was asked for first."""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def retry_after(self, now: datetime) -> timedelta | None:
        """How long the server wants to be left alone, in seconds or by a date (RFC 9110, 10.2.3), if it says so."""
        value = self.headers.get("retry-after", "")
        if value.isascii() and value.isdecimal():
            return timedelta(seconds=min(int(value), 86_400))
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now

    def expect_ok(self) -> Fetched:
        """This, if its status is 2xx.

        Raises:
            FetchFailed: another try may help (408, 425, 429, 5xx).
            FetchRefused: it will not.
        """
        if self.ok:
            return self
        kind = FetchFailed if self.status >= 500 or self.status in _WORTH_ANOTHER_TRY else FetchRefused
        raise kind(f"expected status 200, got {self.status}")


class Fetcher:
    """Asks other servers, guarded: see docs/adr/0012-the-guarded-fetcher.md. Threads may share it; close it at the end.

    Args:
        allow: networks that pass although they are not public, on any port.
        limits: of each transfer that does not bring its own.
        resolver, tls, ports: what a test, or a network with rules of its own, puts in place of the usual.
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
        headers: Mapping[str, str] = _NONE,
        limits: FetchLimits | None = None,
        follow: bool = True,
    ) -> Fetched:
        """Fetch into memory, following redirects. Any final status is an answer, with its body.

        With `follow` False a redirect is an answer, too.

        Raises:
            FetchForbidden, BlockedAddress: this URL, or one that it leads to, is not fetched.
            FetchTooSlow, TooLarge: over the limits.
            FetchFailed: no answer, or one that breaks off or makes no sense.
        """
        body = bytearray()
        fetched = self._follow(url, headers, body.extend, limits or self._limits, always=True, follow=follow)
        return replace(fetched, body=bytes(body))

    def download(
        self,
        url: str,
        write: Write,
        *,
        headers: Mapping[str, str] = _NONE,
        limits: FetchLimits | None = None,
        follow: bool = True,
    ) -> Fetched:
        """Like `get`, but the body of a 2xx answer goes to `write` as it comes, decompressed; that of others nowhere.

        When this raises, `write` may have been given a part of the body: forget it.
        """
        return self._follow(url, headers, write, limits or self._limits, always=False, follow=follow)

    def post(
        self, url: str, body: bytes, *, headers: Mapping[str, str] = _NONE, limits: FetchLimits | None = None
    ) -> Fetched:
        """Send `body` once. A redirect is not followed but an answer like any other.

        What counts is the status: whatever is wrong with the body (too long, too slow, broken off) cuts it short.

        Raises:
            FetchForbidden, BlockedAddress, FetchTooSlow, FetchFailed: as `get`.
        """
        budget = Budget(limits or self._limits)
        target = parse_url(url)
        more = {"Content-Length": str(len(body)), "Connection": "close"}
        request = Request(b"POST", target, self._headers(target, headers, more), body)
        # A kept connection may already be closed, and then nobody knows whether the body has arrived.
        connection = self._open(target, budget)
        try:
            head = connection.ask(request, budget)
            kept = bytearray()
            with suppress(ItemError):
                for piece in _pieces(connection, head, budget):
                    kept += piece[: budget.limits.max_bytes - len(kept)]
                    if len(kept) == budget.limits.max_bytes:
                        break
            return replace(_fetched(target, head, len(kept), budget, ()), body=bytes(kept))
        finally:
            connection.close()

    def check(self, url: str, *, seconds: float | None = None) -> str:
        """The URL in its one spelling, if it may be fetched as its name resolves now. Opens no connection.

        Raises:
            FetchForbidden, BlockedAddress, FetchFailed, FetchTooSlow: as `get`.
        """
        target = parse_url(url)
        self._guard.addresses(target, Budget(FetchLimits(seconds=seconds or self._limits.seconds)))
        return str(target)

    def check_without_lookup(self, target: Target) -> None:
        """Say so if a URL will never be fetched, as far as that is known without asking anybody.

        Raises:
            FetchForbidden, BlockedAddress: as `get`.
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
        self, url: str, headers: Mapping[str, str], write: Write, limits: FetchLimits, *, always: bool, follow: bool
    ) -> Fetched:
        budget = Budget(limits)
        target = parse_url(url)
        seen: list[str] = []
        while True:
            request = Request(b"GET", target, self._headers(target, headers))
            with _at(seen), self._asked(request, budget) as (connection, head):
                location = _location(head) if follow else None
                if location is None:
                    size = 0
                    if always or 200 <= head.status_code < 300:
                        for piece in _bounded(connection, head, budget):
                            write(piece)
                            size += len(piece)
                    return _fetched(target, head, size, budget, tuple(seen))
            seen.append(str(target))
            with _at(seen):
                following = _next(target, location, seen, limits)
            if following.origin != target.origin:
                headers = {name: value for name, value in headers.items() if name.lower() in _GO_ANYWHERE}
            target = following
            budget.next_hop()

    @contextmanager
    def _asked(self, request: Request, budget: Budget) -> Iterator[tuple[Connection, h11.Response]]:
        """A connection on which the request has been answered; kept for the next if the answer is read to its end."""
        connection = self._idle.take(request.target.origin)
        try:
            if connection is not None:
                try:
                    head = connection.ask(request, budget)
                except Stale:
                    connection.close()
                    connection = None
            if connection is None:
                connection = self._open(request.target, budget)
                head = connection.ask(request, budget)
            yield connection, head
            if connection.reusable():
                self._idle.give(connection)
                connection = None
        finally:
            if connection is not None:
                connection.close()

    def _open(self, target: Target, budget: Budget) -> Connection:
        addresses = self._guard.addresses(target, budget)
        return Connection.open(target, addresses, self._tls if target.scheme == "https" else None, budget)

    def _headers(
        self, target: Target, given: Mapping[str, str], more: Mapping[str, str] = _NONE
    ) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name in given}
        if names & _OURS:
            raise ValueError(f"headers that the fetcher sets itself: {sorted(names & _OURS)}")
        usual = {"Host": target.authority, "User-Agent": self._user_agent, "Accept": "*/*", "Accept-Encoding": ACCEPTED}
        kept = {name: value for name, value in usual.items() if name.lower() not in names}
        together = {**kept, **more, **given}
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in together.items()]


@contextmanager
def _at(seen: Sequence[str]) -> Iterator[None]:
    """Errors say after which redirect they happened."""
    try:
        yield
    except ItemError as error:
        if not seen:
            raise
        raise type(error)(f"after redirect {len(seen)}, from {quoted_excerpt(seen[-1])}: {error.detail}") from error


def _location(head: h11.Response) -> str | None:
    """Where a redirect leads; None for any other answer, and for a redirect that leads nowhere."""
    found = _header(head, b"location") if head.status_code in _REDIRECTS else b""
    try:
        return found.decode("utf-8") or None
    except UnicodeDecodeError:
        return found.decode("latin-1")


def _next(target: Target, location: str, seen: Sequence[str], limits: FetchLimits) -> Target:
    if len(seen) > limits.max_redirects:
        raise FetchForbidden(f"expected at most {limits.max_redirects} redirects, got another")
    following = redirect_target(target, location)
    if str(following) in seen:
        raise FetchForbidden(f"expected redirects that end somewhere, got back to {quoted_excerpt(str(following))}")
    return following


def _bounded(connection: Connection, head: h11.Response, budget: Budget) -> Iterator[bytes]:
    """The body's pieces, decompressed, as long as they are within the limits in all."""
    # A 304 may announce what it would have sent.
    announced, size = _header(head, b"content-length") if head.status_code != 304 else b"", 0
    if announced and int(announced) > budget.limits.max_bytes:
        raise budget.too_large(f"the server announces {int(announced)}")
    for piece in _pieces(connection, head, budget):
        size += len(piece)
        if size > budget.limits.max_bytes:
            raise budget.too_large()
        yield piece


def _pieces(connection: Connection, head: h11.Response, budget: Budget) -> Iterator[bytes]:
    encoding: Decoder | None = None
    for data in connection.body(budget):
        encoding = encoding or decoder(_header(head, b"content-encoding").decode("latin-1"))
        yield from encoding.feed(data)
    if encoding is not None:
        encoding.finish()


def _header(head: h11.Response, name: bytes) -> bytes:
    """The values of a header, joined; empty if there is none."""
    return b", ".join(value for found, value in head.headers if found == name)


def _fetched(target: Target, head: h11.Response, size: int, budget: Budget, redirects: tuple[str, ...]) -> Fetched:
    names = dict.fromkeys(name for name, _ in head.headers)
    headers = {name.decode("ascii"): _header(head, name).decode("latin-1") for name in names}
    return Fetched(str(target), head.status_code, headers, b"", size, budget.wire_bytes, redirects)
