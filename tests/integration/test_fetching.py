"""The guarded fetcher: requests to a good server, and refused IP addresses and redirects."""

from __future__ import annotations

import hashlib
import ipaddress
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.fetching import Fetcher
from core.item_errors import BlockedAddress, FetchFailed, FetchForbidden, FetchRefused, ItemError
from tests.integration.fetchers import ELSEWHERE, PICTURE, fetcher, named, server
from tests.integration.hostile_server import HostileServer, headers_of, redirect, response

__all__ = ["fetcher", "server"]


def test_a_download_passes_its_bytes_to_a_writer(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/a.jpg"] = response(PICTURE, content_type="image/jpeg")
    digest = hashlib.sha256()
    fetched = fetcher.download(f"{server.url}/a.jpg", digest.update)
    assert digest.digest() == hashlib.sha256(PICTURE).digest()
    assert (fetched.status, fetched.size, fetched.body) == (200, len(PICTURE), b"")
    assert fetched.headers["content-type"] == "image/jpeg"
    assert fetched.wire_bytes > len(PICTURE)


def test_get_returns_the_body_in_memory(server: HostileServer, fetcher: Fetcher) -> None:
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
def test_any_status_is_an_answer_and_expect_ok_raises_for_errors(
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


def test_a_conditional_request_is_answered_with_304_and_no_body(server: HostileServer, fetcher: Fetcher) -> None:
    unsent = {"content_length": "1073741824", "content_encoding": "br"}
    server.answers["/a.jpg"] = response(b"", "304 Not Modified", etag='"1"', **unsent)
    fetched = fetcher.get(f"{server.url}/a.jpg", headers={"If-None-Match": '"1"'})
    assert (fetched.status, fetched.body) == (304, b"")
    assert server.visits[0].headers["if-none-match"] == '"1"'


@pytest.mark.parametrize("name", ["Host", "connection", "Content-Length", "Transfer-Encoding", "Accept-Encoding"])
def test_callers_cannot_set_headers_of_the_transfer(name: str, server: HostileServer, fetcher: Fetcher) -> None:
    with pytest.raises(ValueError, match=name.lower()):
        fetcher.get(server.url, headers={name: "x"})
    assert server.connections == 0


def test_the_host_header_is_the_normalised_name(server: HostileServer) -> None:
    with named(["127.0.0.1"]) as fetcher:
        fetcher.get(f"http://Shop.Example.:{server.port}/")
    assert server.visits[0].headers["host"] == f"shop.example:{server.port}"


def test_the_next_ip_address_is_tried_if_one_does_not_answer(server: HostileServer) -> None:
    allow = [ipaddress.ip_network("127.0.0.0/8")]
    answers = [ipaddress.ip_address("127.0.0.3"), ipaddress.ip_address("127.0.0.1")]
    with Fetcher(allow=allow, resolver=lambda _name: answers) as fetcher:
        assert fetcher.get(f"http://shop.example:{server.port}/").status == 404


def test_a_refused_connection_raises_an_error(fetcher: Fetcher) -> None:
    with HostileServer() as gone:
        pass
    with pytest.raises(FetchFailed, match="refused"):
        fetcher.get(gone.url)


def test_proxy_variables_of_the_environment_are_ignored(
    server: HostileServer, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HostileServer() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert fetcher.get(server.url).status == 404
        assert proxy.connections == 0


def test_a_forbidden_server_is_never_connected_to(server: HostileServer) -> None:
    with Fetcher(ports=[server.port]) as fetcher:
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "①②⑦.1"):
            with pytest.raises(BlockedAddress):
                fetcher.get(f"http://{host}:{server.port}/")
            with pytest.raises(BlockedAddress):
                fetcher.post(f"http://{host}:{server.port}/", b"{}")
    assert server.connections == 0


def test_a_host_that_resolves_differently_the_second_time_is_refused(server: HostileServer) -> None:
    with HostileServer(ELSEWHERE, server.port) as inside, named(["127.0.0.1"], [ELSEWHERE]) as fetcher:
        server.answers["/"] = response(b"outside", connection="close")
        assert fetcher.get(f"http://shop.example:{server.port}/").body == b"outside"
        with pytest.raises(BlockedAddress):
            fetcher.get(f"http://shop.example:{server.port}/")
        assert (server.connections, inside.connections) == (1, 0)


def test_a_host_that_resolves_differently_after_a_redirect_is_refused(server: HostileServer) -> None:
    with HostileServer(ELSEWHERE, server.port) as inside, named(["127.0.0.1"], [ELSEWHERE]) as fetcher:
        server.answers["/"] = lambda visit: visit.send(redirect("/next"))
        with pytest.raises(BlockedAddress, match="after redirect 1"):
            fetcher.get(f"http://shop.example:{server.port}/")
        assert (server.log, inside.connections) == (["GET /"], 0)


@pytest.mark.parametrize("answers", [["127.0.0.1", ELSEWHERE], [ELSEWHERE, "127.0.0.1"]])
def test_a_host_with_allowed_and_forbidden_ip_addresses_is_refused(answers: list[str], server: HostileServer) -> None:
    with HostileServer(ELSEWHERE, server.port) as inside, named(answers) as fetcher:
        with pytest.raises(BlockedAddress):
            fetcher.get(f"http://shop.example:{server.port}/")
        assert (server.connections, inside.connections) == (0, 0)


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
def test_a_redirect_to_a_forbidden_url_is_refused(
    location: str, error: type[ItemError], server: HostileServer, fetcher: Fetcher
) -> None:
    moved = redirect("", "302 Found").replace(b"\r\n\r\n", b"\r\nlocation: " + location.encode() + b"\r\n\r\n")
    server.answers |= {"/": redirect("/next"), "/next": moved}
    with pytest.raises(error, match="after redirect 2") as raised:
        fetcher.get(server.url)
    assert not raised.value.retryable
    assert server.log == ["GET /", "GET /next"]


def test_a_redirect_into_the_private_network_opens_no_connection(server: HostileServer, fetcher: Fetcher) -> None:
    with HostileServer(ELSEWHERE) as inside:
        server.answers["/"] = redirect(f"{inside.url}/secret")
        with pytest.raises(BlockedAddress):
            fetcher.get(server.url)
        assert inside.connections == 0


def test_a_loop_of_redirects_is_refused(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers |= {"/a": redirect("/b"), "/b": redirect("/a")}
    with pytest.raises(FetchForbidden, match="without a loop"):
        fetcher.get(f"{server.url}/a")
    assert server.log == ["GET /a", "GET /b"]


def test_ten_redirects_are_followed_and_the_eleventh_is_refused(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers |= {f"/{n}": redirect(f"/{n + 1}") for n in range(11)}
    server.answers["/11"] = response(b"here")
    assert fetcher.get(f"{server.url}/1").body == b"here"
    server.visits.clear()
    with pytest.raises(FetchForbidden, match="at most 10"):
        fetcher.get(f"{server.url}/0")
    assert len(server.visits) == 11


def test_secret_headers_are_sent_only_to_their_origin(server: HostileServer, fetcher: Fetcher) -> None:
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


def test_a_redirect_without_a_location_is_an_answer(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = response(b"", "302 Found")
    assert fetcher.get(server.url).status == 302


def test_connections_are_reused(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers |= {"/a.jpg": response(PICTURE), "/moved": redirect("/a.jpg"), "/known": response(b"", "304 Known")}
    for path in ("a.jpg", "moved", "known", "a.jpg"):
        fetcher.get(f"{server.url}/{path}")
    assert (server.connections, len(server.visits)) == (1, 5)


def test_a_connection_that_the_server_closed_is_replaced(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/"] = lambda visit: visit.send(response(b"once"))
    assert [fetcher.get(server.url).body for _ in range(3)] == [b"once"] * 3
    assert server.connections == 3


def test_threads_can_share_a_fetcher(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/a.jpg"] = response(PICTURE)
    with ThreadPoolExecutor(8) as threads:
        bodies = list(threads.map(lambda _: fetcher.get(f"{server.url}/a.jpg").body, range(100)))
    assert bodies == [PICTURE] * 100
    assert server.connections <= 8
