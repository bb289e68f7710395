"""Slow, endless and wrong answers, and compressed ones: every answer is cut at its limit."""

from __future__ import annotations

import gzip
import threading
import zlib

import pytest

from core.fetching import Fetcher, FetchLimits
from core.item_errors import FetchFailed, FetchRefused, FetchTooSlow, ItemError, TooLarge
from tests.integration.fetchers import CHUNKED, ENDLESS, PICTURE, SHORT, SLOW, fetcher, pour, server
from tests.integration.hostile_server import HostileServer, Visit, redirect, response

__all__ = ["fetcher", "server"]


@pytest.mark.parametrize("how", SLOW)
def test_one_deadline_covers_the_whole_request(how: str, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = SLOW[how]
    with pytest.raises(FetchTooSlow, match=r"within 0.3 s") as raised:
        fetcher.get(server.url, limits=SHORT)
    assert raised.value.retryable


def test_redirects_share_the_deadline(server: HostileServer, fetcher: Fetcher) -> None:
    pause = threading.Event()

    def redirect_slowly(visit: Visit) -> None:
        pause.wait(0.1)
        visit.send(redirect(f"/{int(visit.path[1:]) + 1}"))

    server.answers |= {f"/{n}": redirect_slowly for n in range(11)}
    with pytest.raises(FetchTooSlow):
        fetcher.get(f"{server.url}/0", limits=SHORT)


@pytest.mark.parametrize("what", ENDLESS)
def test_a_body_that_is_too_large_is_cut_at_the_limit(what: str, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = ENDLESS[what]
    written = bytearray()
    with pytest.raises(TooLarge, match="at most 100000 bytes"):
        fetcher.download(server.url, written.extend)
    assert len(written) <= 100_000


def test_a_body_of_exactly_the_limit_is_accepted(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = response(b"x" * 100_000)
    assert fetcher.get(server.url).size == 100_000


def test_the_size_of_headers_is_limited(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = lambda visit: pour(visit, b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n" * 1000)
    with pytest.raises(ItemError) as raised:
        fetcher.get(server.url)
    assert raised.value.code in {"fetch_failed", "too_large"}


@pytest.mark.parametrize(
    "answer",
    [
        response(b"short", content_length="1000"),
        CHUNKED + b"5\r\nshort\r\n",
        CHUNKED + b"not a chunk\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nshort",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"",
    ],
    ids=lambda answer: answer[:24].decode(),
)
def test_an_answer_that_breaks_off_or_is_not_http_raises_an_error(
    answer: bytes, server: HostileServer, fetcher: Fetcher
) -> None:
    server.answers["/"] = lambda visit: visit.send(answer)
    with pytest.raises(FetchFailed) as raised:
        fetcher.get(server.url)
    assert raised.value.retryable


def test_bytes_after_the_announced_length_are_not_read_as_the_next_answer(
    server: HostileServer, fetcher: Fetcher
) -> None:
    server.answers |= {"/a": response(b"true") + response(b"forged"), "/b": response(b"also true")}
    assert [fetcher.get(f"{server.url}/{path}").body for path in "aba"] == [b"true", b"also true", b"true"]


DEFLATED = zlib.compressobj(wbits=-15)
RAW_DEFLATE = DEFLATED.compress(PICTURE) + DEFLATED.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(PICTURE)),
        ("x-gzip", gzip.compress(PICTURE)),
        ("GZIP", gzip.compress(PICTURE[:1000]) + gzip.compress(PICTURE[1000:])),
        ("gzip", gzip.compress(PICTURE) + b"\x00" * 100),
        ("deflate", zlib.compress(PICTURE)),
        ("deflate", RAW_DEFLATE),
        ("identity", PICTURE),
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_accepted_encodings_are_unpacked_however_the_body_is_split(
    encoding: str, body: bytes, piece: int, server: HostileServer, fetcher: Fetcher
) -> None:
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[i : i + piece]), body[i : i + piece]) for i in range(0, len(body), piece)
    )
    head = response(content_length="", content_encoding=encoding, transfer_encoding="chunked")
    server.answers["/"] = head + chunks + b"0\r\n\r\n"
    limits = FetchLimits(max_bytes=len(PICTURE) * 6)
    assert fetcher.get(server.url, limits=limits).body == PICTURE
    assert server.visits[0].headers["accept-encoding"] == "gzip, deflate"


def bomb(wbits: int) -> bytes:
    """Return 64 MiB of zeros, compressed to 64 KiB."""
    packer, zeros = zlib.compressobj(9, wbits=wbits), b"\x00" * 2**20
    return b"".join([*(packer.compress(zeros) for _ in range(64)), packer.flush()])


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_compression_bombs_are_cut_at_the_limit(
    encoding: str, wbits: int, server: HostileServer, fetcher: Fetcher
) -> None:
    server.answers["/"] = response(bomb(wbits), content_encoding=encoding)
    written: list[int] = []
    with pytest.raises(TooLarge):
        fetcher.download(server.url, lambda piece: written.append(len(piece)), limits=FetchLimits(max_bytes=2 * 2**20))
    assert sum(written) <= 2 * 2**20
    assert max(written) <= 64 * 2**10


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
def test_encodings_that_were_not_accepted_are_refused(encoding: str, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = response(b"x" * 100, content_encoding=encoding)
    with pytest.raises(FetchRefused, match="gzip, deflate"):
        fetcher.get(server.url)


@pytest.mark.parametrize("body", [gzip.compress(PICTURE)[:-9], b"\x1f", b"not gzip at all"])
def test_broken_gzip_raises_an_error(body: bytes, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = response(body, content_encoding="gzip")
    with pytest.raises(FetchFailed):
        fetcher.get(server.url)


def test_an_empty_body_is_empty_in_every_encoding(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = response(b"", content_encoding="gzip")
    assert fetcher.get(server.url).body == b""
