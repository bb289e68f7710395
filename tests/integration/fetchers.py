"""Shared by the tests of the guarded fetcher: a hostile server, its answers, and short time limits."""

from __future__ import annotations

import gzip
import ipaddress
import itertools
from collections.abc import Callable, Iterator, Sequence

import pytest

from core.fetching import Fetcher, FetchLimits
from tests.integration.hostile_server import HostileServer, Visit, response

LOOPBACK = ipaddress.ip_network("127.0.0.1/32")
ELSEWHERE = "127.0.0.2"
"""An IP address of loopback that the tests do not allow."""
SHORT = FetchLimits(seconds=0.3, max_bytes=100_000)
PICTURE = bytes(range(256)) * 200


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as running:
        yield running


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    """A fetcher that may reach the server and resolves hosts by this machine only."""
    with Fetcher(allow=[LOOPBACK], limits=FetchLimits(seconds=10.0, max_bytes=100_000)) as made:
        yield made


def named(*answers: Sequence[str]) -> Fetcher:
    """Return a fetcher whose resolver gives these answers in turn, and then repeats the last one."""
    following = itertools.chain(answers, itertools.repeat(answers[-1]))
    return Fetcher(allow=[LOOPBACK], resolver=lambda _name: [ipaddress.ip_address(text) for text in next(following)])


def drip(visit: Visit, begin: bytes, drop: bytes) -> None:
    """Send the beginning of an answer, then drop by drop, 50 times a second."""
    visit.send(begin)
    visit.repeat(drop, pause=0.02)


def pour(visit: Visit, begin: bytes, data: bytes) -> None:
    """Send the beginning of an answer, then the same data again and again without a pause."""
    visit.send(begin)
    visit.repeat(data)


def fall_silent(visit: Visit, begin: bytes) -> None:
    """Send the beginning of an answer, then nothing more."""
    visit.send(begin)
    visit.hang()


SLOW: dict[str, Callable[[Visit], None]] = {
    "nothing": lambda visit: visit.hang(),
    "headers byte by byte": lambda visit: drip(visit, b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "one header after another": lambda visit: drip(visit, b"HTTP/1.1 200 OK\r\n", b"X-Slow: x\r\n"),
    "continue for ever": lambda visit: drip(visit, b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body byte by byte": lambda visit: drip(visit, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
    "body without a length": lambda visit: drip(visit, b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "chunk by chunk": lambda visit: drip(
        visit, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"
    ),
    "a chunk's header byte by byte": lambda visit: drip(
        visit, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"
    ),
    "trailers for ever": lambda visit: drip(
        visit, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"
    ),
    "a length that is not reached": lambda visit: fall_silent(visit, response(b"ten bytes!", content_length="11")),
    "gzip that unpacks to nothing": lambda visit: drip(
        visit, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff"
    ),
}


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS: dict[str, Callable[[Visit], None]] = {
    "chunks": lambda visit: pour(visit, CHUNKED, b"400\r\n" + b"x" * 1024 + b"\r\n"),
    "chunks of one byte": lambda visit: pour(visit, CHUNKED, b"1\r\nx\r\n" * 1000),
    "chunks with long headers": lambda visit: pour(visit, CHUNKED, b"1;" + b"x" * 9000 + b"\r\nx\r\n"),
    "bytes": lambda visit: pour(visit, b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1024),
    "responses that are not the last": lambda visit: visit.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "an announced gigabyte": lambda visit: fall_silent(visit, response(content_length="1073741824")),
    "one byte too many": lambda visit: visit.send(response(b"x" * 100_001)),
    "one byte too many, unannounced": lambda visit: visit.send(response(b"x" * 100_001, content_length="")),
}
