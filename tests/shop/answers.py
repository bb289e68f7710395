"""Requests to the shop and its answers."""

from __future__ import annotations

import gzip
import hashlib
from asyncio import StreamWriter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl

HTML, XML, JPEG = "text/html; charset=utf-8", "application/xml; charset=utf-8", "image/jpeg"
JSON = "application/json"

_REASONS = {
    200: "OK",
    301: "Moved Permanently",
    302: "Found",
    304: "Not Modified",
    307: "Temporary Redirect",
    404: "Not Found",
    405: "Method Not Allowed",
    410: "Gone",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    """Path and query, as the client sent them."""
    headers: Mapping[str, str]
    """Header names in lower case."""
    base: str
    """The origin that the client requested: `http://host:port`."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2]))


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes = b""
    type: str = HTML
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds until the server sends it."""

    def encoded(self, *, head_only: bool = False) -> bytes:
        """Return the bytes of the HTTP response."""
        lines = [
            f"HTTP/1.1 {self.status} {_REASONS[self.status]}",
            f"Content-Length: {len(self.body)}",
            *([f"Content-Type: {self.type}"] if self.type and self.status != 304 else []),
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        return head if head_only or self.status == 304 else head + self.body


Misbehaviour = Callable[[StreamWriter], Awaitable[None]]
"""Takes over the connection, which the server closes afterwards."""


def text(body: str, kind: str = HTML, status: int = 200) -> Answer:
    return Answer(body.encode(), kind, status)


def redirect(location: str, status: int = 302) -> Answer:
    return Answer(b"elsewhere", HTML, status, {"Location": location})


def missing(status: int = 404) -> Answer:
    return text("<!doctype html><title>Not here</title><h1>Not here</h1>", status=status)


def packed(answer: Answer, request: Request) -> Answer:
    """Return the answer, compressed if the client accepts that."""
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return answer
    headers = {**answer.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return replace(answer, body=gzip.compress(answer.body, 1, mtime=0), headers=headers)


def dated(answer: Answer, request: Request, modified: str, tag: str = "") -> Answer:
    """Return the answer with ETag and Last-Modified, or 304 if the client has this version.

    Args:
        modified: an HTTP date.
        tag: the text that the ETag is computed from; by default the body.
    """
    etag = f'"{hashlib.blake2b(tag.encode() or answer.body, digest_size=12).hexdigest()}"'
    headers = {**answer.headers, "ETag": etag, "Last-Modified": modified}
    if "if-none-match" in request.headers:
        known = {sent.strip().removeprefix("W/") for sent in request.headers["if-none-match"].split(",")}
        unchanged = bool(known & {etag, "*"})
    else:
        unchanged = _not_after(modified, request.headers.get("if-modified-since"))
    return Answer(b"", "", 304, headers) if unchanged else replace(answer, headers=headers)


def _not_after(modified: str, since: str | None) -> bool:
    if since is None:
        return False
    try:
        return parsedate_to_datetime(modified) <= parsedate_to_datetime(since)
    except ValueError:
        return False
