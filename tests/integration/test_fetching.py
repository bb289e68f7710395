"""The guarded fetcher against a server that misbehaves. Limits are tenths of seconds; what is asserted is the error."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import ipaddress
import itertools
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.errors import BlockedAddress, FetchFailed, FetchForbidden, FetchRefused, FetchTooSlow, ItemError, TooLarge
from core.fetching import Fetcher, FetchLimits
from core.fetching.addresses import Address
from tests.integration.hostile_server import HostileServer, Visit, headers_of, redirect, response

LOOPBACK = ipaddress.ip_network("127.0.0.1/32")
ELSEWHERE = "127.0.0.2"
"""Loopback too, but not among what the tests allow."""
SHORT = FetchLimits(seconds=0.3, max_bytes=100_000)
PICTURE = bytes(range(256)) * 200


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as running:
        yield running


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    """May ask the server, and has no name resolved but by this machine."""
    with Fetcher(allow=[LOOPBACK], limits=FetchLimits(seconds=10.0, max_bytes=100_000)) as made:
        yield made


def named(*answers: Sequence[str]) -> Fetcher:
    """A fetcher whose resolver gives one answer after another, then the last one again."""
    following = itertools.chain(answers, itertools.repeat(answers[-1]))
    return Fetcher(allow=[LOOPBACK], resolver=lambda _name: [ipaddress.ip_address(text) for text in next(following)])


# What a good server gets


def test_a_picture_goes_to_a_writer_piece_by_piece_and_can_be_hashed_on_the_way(
    server: HostileServer, fetcher: Fetcher
) -> None:
    server.answers["/a.jpg"] = response(PICTURE, content_type="image/jpeg")
    digest = hashlib.sha256()
    fetched = fetcher.download(f"{server.url}/a.jpg", digest.update)
    assert digest.digest() == hashlib.sha256(PICTURE).digest()
    assert (fetched.status, fetched.size, fetched.body) == (200, len(PICTURE), b"")
    assert fetched.headers["content-type"] == "image/jpeg"
    assert fetched.wire_bytes > len(PICTURE)


def test_a_page_comes_into_memory(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/?q=%EC%98%B7"] = response(b"<html>")
    fetched = fetcher.get(f"{server.url}?q=옷#top")
    assert (fetched.body, fetched.url, fetched.redirects) == (b"<html>", f"{server.url}/?q=%EC%98%B7", ())


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("404 Not Found", FetchRefused),
        ("403 Forbidden", FetchRefused),
        ("304 Not Modified", FetchRefused),
        ("429 Too Many Requests", FetchFailed),
        ("503 Service Unavailable", FetchFailed),
    ],
)
def test_any_status_is_an_answer_and_whoever_needs_success_says_so(
    status: str, error: type[ItemError], server: HostileServer, fetcher: Fetcher
) -> None:
    server.answers["/a.jpg"] = response(b"" if status[:3] == "304" else b"sorry", status, retry_after="7")
    written: list[bytes] = []
    fetched = fetcher.download(f"{server.url}/a.jpg", written.append)
    assert (fetched.status, fetched.ok, written) == (int(status[:3]), False, [])
    assert fetched.headers["retry-after"] == "7"
    with pytest.raises(ItemError, match=f"expected status 200, got {status[:3]}") as raised:
        fetched.expect_ok()
    assert type(raised.value) is error
    assert raised.value.retryable == (error is FetchFailed)


def test_the_body_of_an_error_can_be_read(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = response(b"sorry", "404 Not Found")
    assert fetcher.get(server.url).body == b"sorry"


def test_a_known_picture_costs_a_question(server: HostileServer, fetcher: Fetcher) -> None:
    unsent = {"content_length": "1073741824", "content_encoding": "br"}
    server.answers["/a.jpg"] = response(b"", "304 Not Modified", etag='"1"', **unsent)
    fetched = fetcher.get(f"{server.url}/a.jpg", headers={"If-None-Match": '"1"'})
    assert (fetched.status, fetched.body) == (304, b"")
    assert server.visits[0].headers["if-none-match"] == '"1"'


@pytest.mark.parametrize("name", ["Host", "connection", "Content-Length", "Transfer-Encoding", "Accept-Encoding"])
def test_headers_of_the_transfer_are_not_the_callers(name: str, server: HostileServer, fetcher: Fetcher) -> None:
    with pytest.raises(ValueError, match=name.lower()):
        fetcher.get(server.url, headers={name: "x"})
    assert server.connections == 0


def test_a_name_is_asked_as_itself(server: HostileServer) -> None:
    with named(["127.0.0.1"]) as fetcher:
        fetcher.get(f"http://Shop.Example.:{server.port}/")
    assert server.visits[0].headers["host"] == f"shop.example:{server.port}"


def test_the_next_address_is_tried_when_one_does_not_answer(server: HostileServer) -> None:
    allow = [ipaddress.ip_network("127.0.0.0/8")]
    answers = [ipaddress.ip_address("127.0.0.3"), ipaddress.ip_address("127.0.0.1")]
    with Fetcher(allow=allow, resolver=lambda _name: answers) as fetcher:
        assert fetcher.get(f"http://shop.example:{server.port}/").status == 404


def test_nobody_listens(fetcher: Fetcher) -> None:
    with HostileServer() as gone:
        pass
    with pytest.raises(FetchFailed, match="refused"):
        fetcher.get(gone.url)


def test_proxies_of_the_environment_are_not_used(
    server: HostileServer, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HostileServer() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert fetcher.get(server.url).status == 404
        assert proxy.connections == 0


# Addresses


def test_a_server_that_is_not_allowed_is_never_connected_to(server: HostileServer) -> None:
    with Fetcher(ports=[server.port]) as fetcher:
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "①②⑦.1"):
            with pytest.raises(BlockedAddress):
                fetcher.get(f"http://{host}:{server.port}/")
            with pytest.raises(BlockedAddress):
                fetcher.post(f"http://{host}:{server.port}/", b"{}")
    assert server.connections == 0


def test_a_name_that_answers_differently_the_second_time_gains_nothing(server: HostileServer) -> None:
    with HostileServer(ELSEWHERE, server.port) as inside, named(["127.0.0.1"], [ELSEWHERE]) as fetcher:
        server.answers["/"] = response(b"outside", connection="close")
        assert fetcher.get(f"http://shop.example:{server.port}/").body == b"outside"
        with pytest.raises(BlockedAddress):
            fetcher.get(f"http://shop.example:{server.port}/")
        assert (server.connections, inside.connections) == (1, 0)


def test_a_name_that_changes_between_redirects_is_refused_at_that_hop(server: HostileServer) -> None:
    with HostileServer(ELSEWHERE, server.port) as inside, named(["127.0.0.1"], [ELSEWHERE]) as fetcher:
        server.answers["/"] = lambda visit: visit.send(redirect("/next"))
        with pytest.raises(BlockedAddress, match="after redirect 1"):
            fetcher.get(f"http://shop.example:{server.port}/")
        assert (server.log, inside.connections) == (["GET /"], 0)


@pytest.mark.parametrize("answers", [["127.0.0.1", ELSEWHERE], [ELSEWHERE, "127.0.0.1"]])
def test_mixed_answers_are_refused_whole(answers: list[str], server: HostileServer) -> None:
    with HostileServer(ELSEWHERE, server.port) as inside, named(answers) as fetcher:
        with pytest.raises(BlockedAddress):
            fetcher.get(f"http://shop.example:{server.port}/")
        assert (server.connections, inside.connections) == (0, 0)


# Redirects


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_followed(status: str, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers |= {"/shop/": redirect("../a.jpg", status), "/a.jpg": response(PICTURE)}
    fetched = fetcher.get(f"{server.url}/shop/")
    assert (fetched.body, fetched.url) == (PICTURE, f"{server.url}/a.jpg")
    assert fetched.redirects == (f"{server.url}/shop/",)


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http://10.0.0.1/", BlockedAddress),
        ("http://169.254.169.254/latest/meta-data/", BlockedAddress),
        ("http://2852039166/", BlockedAddress),
        ("//[::1]/", BlockedAddress),
        ("http://[::ffff:7f00:2]/", BlockedAddress),
        (f"http://{ELSEWHERE}/", BlockedAddress),
        ("http://①②⑦.⓪.⓪.②/", BlockedAddress),
        ("file:///etc/passwd", FetchForbidden),
        ("FILE:/etc/passwd", FetchForbidden),
        ("ftp://shop.example/", FetchForbidden),
        ("javascript:alert(1)", FetchForbidden),
        ("data:image/png;base64,AAAA", FetchForbidden),
        ("http://8.8.8.8:6379/", FetchForbidden),
        ("http://user:secret@shop.example/", FetchForbidden),
        ("http://[nonsense/", FetchForbidden),
        ("http://shop.example/\x01", FetchForbidden),
        ("http://shop.example/" + "a" * 2083, FetchForbidden),
    ],
    ids=lambda value: ascii(value)[:40] if isinstance(value, str) else "",
)
def test_a_redirect_to_what_is_not_fetched_is_refused_at_that_hop(
    location: str, error: type[ItemError], server: HostileServer, fetcher: Fetcher
) -> None:
    moved = redirect("", "302 Found").replace(b"\r\n\r\n", b"\r\nlocation: " + location.encode() + b"\r\n\r\n")
    server.answers |= {"/": redirect("/next"), "/next": moved}
    with pytest.raises(error, match="after redirect 2") as raised:
        fetcher.get(server.url)
    assert not raised.value.retryable
    assert server.log == ["GET /", "GET /next"]


def test_a_redirect_to_a_server_inside_opens_no_connection(server: HostileServer, fetcher: Fetcher) -> None:
    with HostileServer(ELSEWHERE) as inside:
        server.answers["/"] = redirect(f"{inside.url}/secret")
        with pytest.raises(BlockedAddress):
            fetcher.get(server.url)
        assert inside.connections == 0


def test_a_loop_is_refused(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers |= {"/a": redirect("/b"), "/b": redirect("/a")}
    with pytest.raises(FetchForbidden, match="back to"):
        fetcher.get(f"{server.url}/a")
    assert server.log == ["GET /a", "GET /b"]


def test_ten_redirects_are_followed_and_an_eleventh_is_not(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers |= {f"/{n}": redirect(f"/{n + 1}") for n in range(11)}
    server.answers["/11"] = response(b"here")
    assert fetcher.get(f"{server.url}/1").body == b"here"
    server.visits.clear()
    with pytest.raises(FetchForbidden, match="at most 10"):
        fetcher.get(f"{server.url}/0")
    assert len(server.visits) == 11


def test_secrets_stay_with_their_origin(server: HostileServer, fetcher: Fetcher) -> None:
    secrets = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Key": "y"}
    other = HostileServer()
    with other:
        server.answers |= {"/": redirect("/same"), "/same": redirect(f"{other.url}/")}
        other.answers |= {"/": redirect(f"{server.url}/back")}
        fetcher.get(server.url, headers={**secrets, "If-None-Match": '"1"', "Accept": "image/*"})
    names = ("authorization", "cookie", "x-key", "if-none-match", "accept")
    kept = dict(zip(names, ("Bearer x", "a=b", "y", '"1"', "image/*"), strict=True))
    dropped = kept | dict.fromkeys(("authorization", "cookie", "x-key"))
    assert [headers_of(visit, *names) for visit in server.visits] == [kept, kept, dropped]
    assert [headers_of(visit, *names) for visit in other.visits] == [dropped]


def test_a_redirect_that_leads_nowhere_is_an_answer(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = response(b"", "302 Found")
    assert fetcher.get(server.url).status == 302


# Slow, endless and lying


def drip(visit: Visit, begin: bytes, drop: bytes) -> None:
    visit.send(begin)
    visit.repeat(drop, pause=0.02)


SLOW = {
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
    "a length that is not reached": lambda visit: (
        visit.send(response(b"ten bytes!", content_length="11")),
        visit.hang(),
    ),
    "gzip that unpacks to nothing": lambda visit: drip(
        visit, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff"
    ),
}


@pytest.mark.parametrize("how", SLOW)
def test_one_deadline_covers_everything(how: str, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = SLOW[how]
    with pytest.raises(FetchTooSlow, match=r"within 0.3 s") as raised:
        fetcher.get(server.url, limits=SHORT)
    assert raised.value.retryable


def test_redirects_share_the_deadline(server: HostileServer, fetcher: Fetcher) -> None:
    pause = threading.Event()

    def slowly(visit: Visit) -> None:
        pause.wait(0.1)
        visit.send(redirect(f"/{int(visit.path[1:]) + 1}"))

    server.answers |= {f"/{n}": slowly for n in range(11)}
    with pytest.raises(FetchTooSlow):
        fetcher.get(f"{server.url}/0", limits=SHORT)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "chunks": lambda visit: (visit.send(CHUNKED), visit.repeat(b"400\r\n" + b"x" * 1024 + b"\r\n")),
    "chunks of one byte": lambda visit: (visit.send(CHUNKED), visit.repeat(b"1\r\nx\r\n" * 1000)),
    "chunks with long headers": lambda visit: (visit.send(CHUNKED), visit.repeat(b"1;" + b"x" * 9000 + b"\r\nx\r\n")),
    "bytes": lambda visit: (visit.send(b"HTTP/1.1 200 OK\r\n\r\n"), visit.repeat(b"x" * 1024)),
    "responses that are not the last": lambda visit: visit.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "an announced gigabyte": lambda visit: (visit.send(response(content_length="1073741824")), visit.hang()),
    "one byte too many": lambda visit: visit.send(response(b"x" * 100_001)),
    "one byte too many, unannounced": lambda visit: visit.send(response(b"x" * 100_001, content_length="")),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_is_too_large_is_cut_at_the_cap(what: str, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = ENDLESS[what]
    written = bytearray()
    with pytest.raises(TooLarge, match="at most 100000 bytes"):
        fetcher.download(server.url, written.extend)
    assert len(written) <= 100_000


def test_as_many_bytes_as_allowed_are_accepted(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = response(b"x" * 100_000)
    assert fetcher.get(server.url).size == 100_000


def test_headers_have_a_cap(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = lambda visit: (visit.send(b"HTTP/1.1 200 OK\r\n"), visit.repeat(b"X-More: x\r\n" * 1000))
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
def test_what_breaks_off_or_is_not_http_fails(answer: bytes, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = lambda visit: visit.send(answer)
    with pytest.raises(FetchFailed) as raised:
        fetcher.get(server.url)
    assert raised.value.retryable


def test_what_comes_after_the_announced_length_is_not_read_as_the_next_answer(
    server: HostileServer, fetcher: Fetcher
) -> None:
    server.answers |= {"/a": response(b"true") + response(b"forged"), "/b": response(b"also true")}
    assert [fetcher.get(f"{server.url}/{path}").body for path in "aba"] == [b"true", b"also true", b"true"]


# Compression

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
def test_what_is_announced_is_unpacked_however_it_is_cut(
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
    """64 MiB of zeros in 64 KiB."""
    packer, zeros = zlib.compressobj(9, wbits=wbits), b"\x00" * 2**20
    return b"".join([*(packer.compress(zeros) for _ in range(64)), packer.flush()])


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_bombs_are_cut_at_the_cap(encoding: str, wbits: int, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = response(bomb(wbits), content_encoding=encoding)
    written: list[int] = []
    with pytest.raises(TooLarge):
        fetcher.download(server.url, lambda piece: written.append(len(piece)), limits=FetchLimits(max_bytes=2 * 2**20))
    assert sum(written) <= 2 * 2**20
    assert max(written) <= 64 * 2**10


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
def test_encodings_that_were_not_announced_are_refused(encoding: str, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = response(b"x" * 100, content_encoding=encoding)
    with pytest.raises(FetchRefused, match="gzip, deflate"):
        fetcher.get(server.url)


@pytest.mark.parametrize("body", [gzip.compress(PICTURE)[:-9], b"\x1f", b"not gzip at all"])
def test_broken_gzip_fails(body: bytes, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = response(body, content_encoding="gzip")
    with pytest.raises(FetchFailed):
        fetcher.get(server.url)


def test_an_empty_body_is_empty_in_every_encoding(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = response(b"", content_encoding="gzip")
    assert fetcher.get(server.url).body == b""


# Connections


def test_a_connection_is_used_again(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers |= {"/a.jpg": response(PICTURE), "/moved": redirect("/a.jpg"), "/known": response(b"", "304 Known")}
    for path in ("a.jpg", "moved", "known", "a.jpg"):
        fetcher.get(f"{server.url}/{path}")
    assert (server.connections, len(server.visits)) == (1, 5)


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = lambda visit: visit.send(response(b"once"))
    assert [fetcher.get(server.url).body for _ in range(3)] == [b"once"] * 3
    assert server.connections == 3


def test_threads_share_a_fetcher(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/a.jpg"] = response(PICTURE)
    with ThreadPoolExecutor(8) as threads:
        bodies = list(threads.map(lambda _: fetcher.get(f"{server.url}/a.jpg").body, range(100)))
    assert bodies == [PICTURE] * 100
    assert server.connections <= 8


# Webhooks


def test_a_body_is_posted_with_its_headers(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/hook"] = response(b"thanks", "202 Accepted")
    sent = {"Content-Type": "application/json", "webhook-id": "msg_1"}
    fetched = fetcher.post(f"{server.url}/hook", b'{"type": "job.completed"}', headers=sent)
    assert (fetched.status, fetched.ok, fetched.body) == (202, True, b"thanks")
    (visit,) = server.visits
    assert (visit.method, visit.body) == ("POST", b'{"type": "job.completed"}')
    assert headers_of(visit, "content-type", "webhook-id", "content-length") == {
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "content-length": "25",
    }


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_post_is_never_redirected(status: str, server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/hook"] = redirect("/elsewhere", status)
    fetched = fetcher.post(f"{server.url}/hook", b"{}")
    assert (fetched.status, fetched.ok) == (int(status[:3]), False)
    assert server.log == ["POST /hook"]


def test_every_post_has_a_connection_of_its_own(server: HostileServer, fetcher: Fetcher) -> None:
    fetcher.get(server.url)
    fetcher.post(server.url, b"{}")
    fetcher.post(server.url, b"{}")
    assert server.connections == 3


@pytest.mark.parametrize("what", [*ENDLESS, "body byte by byte", "chunk by chunk"])
def test_a_status_counts_whatever_becomes_of_its_body(what: str, server: HostileServer, fetcher: Fetcher) -> None:
    # Long enough for the status even on a busy machine.
    limits = FetchLimits(seconds=1.0, max_bytes=100_000)
    server.answers["/hook"] = {**ENDLESS, **SLOW}[what]
    if what == "responses that are not the last":
        with pytest.raises(TooLarge):
            fetcher.post(f"{server.url}/hook", b"{}", limits=limits)
        return
    fetched = fetcher.post(f"{server.url}/hook", b"{}", limits=limits)
    assert (fetched.status, len(fetched.body) <= 100_000) == (200, True)


def test_a_server_that_never_reads_is_too_slow(fetcher: Fetcher) -> None:
    # The kernel accepts, nobody else does.
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(FetchTooSlow):
        fetcher.post(f"http://127.0.0.1:{deaf.getsockname()[1]}/hook", b"x" * 2**25, limits=SHORT)


# TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a self-signed certificate for shop.example, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "shop.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class SecureShop:
    """The server behind TLS, and what names its clients asked for."""

    def __init__(self, certificate: Path) -> None:
        self.names: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.server = HostileServer(tls=context)
        self.trusting = ssl.create_default_context(cafile=str(certificate))

    def resolver(self, _name: str) -> list[Address]:
        return [ipaddress.ip_address("127.0.0.1")]


@pytest.fixture
def secure(certificate: Path) -> Iterator[SecureShop]:
    shop = SecureShop(certificate)
    with shop.server:
        yield shop


def test_name_and_certificate_are_those_of_the_host_though_the_connection_goes_to_the_checked_address(
    secure: SecureShop,
) -> None:
    secure.server.answers["/a.jpg"] = response(PICTURE)
    with Fetcher(allow=[LOOPBACK], resolver=secure.resolver, tls=secure.trusting) as fetcher:
        for _ in range(2):
            assert fetcher.get(f"https://shop.example:{secure.server.port}/a.jpg").body == PICTURE
    assert (secure.names, secure.server.connections) == (["shop.example"], 1)


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
def test_a_certificate_for_another_name_is_refused(host: str, secure: SecureShop) -> None:
    with (
        Fetcher(allow=[LOOPBACK], resolver=secure.resolver, tls=secure.trusting) as fetcher,
        pytest.raises(FetchFailed, match="certificate"),
    ):
        fetcher.get(f"https://{host}:{secure.server.port}/")
    assert secure.server.visits == []


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: SecureShop) -> None:
    with (
        Fetcher(allow=[LOOPBACK], resolver=secure.resolver) as fetcher,
        pytest.raises(FetchFailed, match="certificate"),
    ):
        fetcher.get(f"https://shop.example:{secure.server.port}/")
    assert secure.server.visits == []


def test_a_handshake_that_never_ends_is_too_slow(server: HostileServer, fetcher: Fetcher) -> None:
    # The server waits for the end of what it takes for a request; the client for the server's part of the handshake.
    with pytest.raises(FetchTooSlow):
        fetcher.get(f"https://127.0.0.1:{server.port}/", limits=SHORT)
