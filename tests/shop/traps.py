"""The site of traps: each trap has a URL and a required outcome for a client that requests it."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from asyncio import StreamWriter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from html import escape

from samples import broken
from tests.shop.answers import HTML, JPEG, XML, Answer, Misbehaviour, Request, missing, redirect, text
from tests.shop.catalogue import Product, Shot
from tests.shop.pictures import photo
from tests.shop.places import INSIDE
from tests.shop.titles import TITLES, titled_page

Reply = Callable[[Request], Answer | Misbehaviour]
_BOMB = 64 * 2**20
"""Bytes that a bomb unpacks to, three times the limit of a fetcher."""


@dataclass(frozen=True, slots=True)
class Trap:
    """One kind of misbehaviour.

    `must` is the code of the error that it has to cause, or `accepted` (it only looks odd), `text` (a page whose words
    have to be shown as text), or `harmless` (it can be read and gives nothing).
    """

    name: str
    is_for: str
    """Where a crawler meets it: picture, page or sitemap."""
    must: str
    reply: Reply


class TrapSite:
    """All traps, under `/t/NAME`. The page of pictures `/` and the page of links `/links` link them.

    Args:
        pause: seconds between the bytes of slow answers.
    """

    def __init__(self, pause: float, port: Callable[[], int]) -> None:
        self._port = port
        self.traps = {
            trap.name: trap for trap in (*_pictures(), *_pages(), *_sitemaps(), *self._redirects(), *_slow(pause))
        }

    def __call__(self, request: Request) -> Answer | Misbehaviour:  # noqa: PLR0911 - a table of paths
        match request.path.split("/")[1:]:
            case [""]:
                return self._page(request, "picture")
            case ["links"]:
                return self._page(request, "page")
            case ["robots.txt"]:
                return text("User-agent: *\nDisallow: /cart\n", "text/plain")
            case ["t", "chain", left]:
                return _chain(request, int(left)) if left.isdecimal() else missing()
            case ["t", "loop", turn]:
                return redirect(f"/t/loop/{'b' if turn == 'a' else 'a'}")
            case ["t", name] if name in self.traps:
                return self.traps[name].reply(request)
        return missing()

    def _page(self, request: Request, kind: str) -> Answer:
        found = [trap for trap in self.traps.values() if trap.is_for == kind]
        line = '<img src="/t/{0}" alt="{0}" width="400">' if kind == "picture" else '<p><a href="/t/{0}">{0}</a></p>'
        lines = "\n".join(line.format(escape(trap.name)) for trap in found)
        return text(f"<!doctype html><title>Traps</title><h1>Traps</h1><p>Price: $1.00</p>\n{lines}")

    def _redirects(self) -> list[Trap]:
        inside = f"http://{INSIDE}"
        blocked = {
            "to-inside": lambda _: redirect(f"{inside}:{self._port()}/"),
            "to-inside-in-decimal": lambda _: redirect(f"http://2130706434:{self._port()}/"),
            "to-inside-in-full-width": lambda _: redirect(f"http://127.%EF%BC%90.0.2:{self._port()}/"),
            "to-inside-mapped": lambda _: redirect(f"http://[::ffff:7f00:2]:{self._port()}/"),
            "to-inside-by-name": lambda _: redirect(f"http://inside.shop.test:{self._port()}/"),
            "to-mixed-host": lambda _: redirect(f"http://mixed.shop.test:{self._port()}/"),
            "to-private": lambda _: redirect("http://10.0.0.1/", 301),
            "to-metadata": lambda _: redirect("http://169.254.169.254/latest/meta-data/", 307),
        }
        forbidden = {
            "to-file": lambda _: redirect("file:///etc/passwd"),
            "to-data": lambda _: redirect("data:image/png;base64,iVBORw0KGgo="),
            "to-ftp": lambda _: redirect("ftp://files.shop.test/a.jpg"),
            "to-another-port": lambda _: redirect("http://192.0.43.8:2222/"),
            "to-itself": lambda request: redirect(request.target),
            "loop": lambda _: redirect("/t/loop/a"),
            "chain-of-11": lambda _: redirect("/t/chain/10"),
        }
        return [
            *(Trap(f"redirect-{name}", "picture", "blocked_address", reply) for name, reply in blocked.items()),
            *(Trap(f"redirect-{name}", "picture", "fetch_forbidden", reply) for name, reply in forbidden.items()),
            Trap("redirect-chain-of-10", "picture", "accepted", lambda _: redirect("/t/chain/9")),
        ]


def _chain(request: Request, left: int) -> Answer:
    return redirect(f"/t/chain/{left - 1}") if left else _jpeg(request)


@cache
def _picture(number: int = 0) -> bytes:
    shot = Shot(garment=0, cloth=0, colour=number, view=0)
    product = Product(number, "", Decimal(0), "", shot.garment, shot.cloth, shot.colour, 1, 1, 1)
    return photo(0, "traps", product, 0, 400, 75)


def _jpeg(_: Request) -> Answer:
    return Answer(_picture(), JPEG)


def _pictures() -> list[Trap]:
    """Return traps whose files are no pictures, or of another type than they say."""
    page = b"<!doctype html><title>Sorry</title><h1>Sorry, no picture</h1>"
    whole = _picture
    made: dict[str, tuple[str, Callable[[], bytes], str]] = {
        "html-as-jpeg": ("not_an_image", lambda: page, JPEG),
        "json-as-jpeg": ("not_an_image", lambda: b'{"error": "no picture"}', JPEG),
        "empty-picture": ("empty_file", broken.empty, JPEG),
        "jpeg-as-octets": ("accepted", whole, "application/octet-stream"),
        "jpeg-as-html": ("accepted", lambda: _picture(1), HTML),
        "jpeg-without-type": ("accepted", lambda: _picture(2), ""),
        "html-in-jpeg": ("accepted", lambda: _picture(3) + b"<script>alert(1)</script>", JPEG),
        "svg": ("unsupported_format", broken.svg, "image/svg+xml"),
        "tiff-as-png": ("truncated_image", _tiff, "image/png"),
        "pdf-as-png": ("unsupported_format", lambda: b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", "image/png"),
        "truncated": ("truncated_image", lambda: whole()[: len(whole()) // 2], JPEG),
        "huge-header": ("too_many_pixels", broken.huge_png, "image/png"),
    }
    traps = [
        Trap(name, "picture", must, partial(_file, make=make, kind=kind)) for name, (must, make, kind) in made.items()
    ]
    statuses = {404: "fetch_failed", 410: "fetch_failed", 500: "fetch_failed", 503: "fetch_failed"}
    traps += [
        Trap(f"status-{status}", "picture", must, partial(_status, status=status)) for status, must in statuses.items()
    ]
    bomb = {"Content-Encoding": "gzip"}
    return [
        *traps,
        Trap("gzip-bomb", "picture", "too_large", lambda _: Answer(_gzip_bomb(), JPEG, headers=bomb)),
        Trap(
            "deflate-bomb",
            "picture",
            "too_large",
            lambda _: Answer(_zlib_bomb(), JPEG, headers={"Content-Encoding": "deflate"}),
        ),
    ]


def _file(_: Request, make: Callable[[], bytes], kind: str) -> Answer:
    return Answer(make(), kind)


def _status(_: Request, status: int) -> Answer:
    return missing(status)


def _xml(_: Request, body: str) -> Answer:
    return text(body, XML)


def _tiff() -> bytes:
    return b"II*\0\x08\0\0\0" + bytes(64)


@cache
def _gzip_bomb() -> bytes:
    return gzip.compress(bytes(_BOMB), 9, mtime=0)


@cache
def _zlib_bomb() -> bytes:
    return zlib.compress(bytes(_BOMB), 9)


def _pages() -> list[Trap]:
    made = [Trap(f"title-{name}", "page", "text", partial(titled_page, name=name)) for name in TITLES]
    return [
        *made,
        Trap(
            "page-bomb", "page", "too_large", lambda _: Answer(_gzip_bomb(), HTML, headers={"Content-Encoding": "gzip"})
        ),
        Trap("binary-page", "page", "harmless", lambda _: Answer(bytes(range(256)) * 64, HTML)),
        Trap("deep-page", "page", "harmless", lambda _: text("<!doctype html>" + "<div>" * 50_000)),
        Trap("deep-json", "page", "harmless", _deep_json),
        Trap("million-links", "page", "harmless", lambda _: text('<a href="/t/status-404?x">x</a>' * 30_000)),
    ]


def _deep_json(_: Request) -> Answer:
    data = "[" * 100_000
    return text(f'<!doctype html><title>Deep</title><script type="application/ld+json">{data}</script>')


_LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
_ENTITIES = {
    "sitemap-of-laughs": f'<!DOCTYPE u [<!ENTITY a0 "ha">{_LAUGHS}]><urlset><url><loc>http://a.test/&a9;</loc></url></urlset>',
    "sitemap-of-files": '<!DOCTYPE u [<!ENTITY x SYSTEM "file:///etc/passwd">]><urlset><url><loc>http://a.test/&x;</loc></url></urlset>',
}


def _sitemaps() -> list[Trap]:
    entities = [
        Trap(f"{name}.xml", "sitemap", "harmless", partial(_xml, body=body)) for name, body in _ENTITIES.items()
    ]
    return [
        *entities,
        Trap("sitemap-bomb.xml.gz", "sitemap", "too_large", lambda _: Answer(_gzip_bomb(), "application/gzip")),
        Trap("sitemap-of-itself.xml", "sitemap", "harmless", _own_sitemap),
        Trap("sitemap-of-html.xml", "sitemap", "harmless", lambda _: text("<!doctype html><p>Not found</p>")),
    ]


def _own_sitemap(request: Request) -> Answer:
    """Return an index that lists itself and URLs of other hosts, which it must not list."""
    locations = (f"{request.base}{request.path}", "http://10.0.0.1/", "file:///etc/passwd", "javascript:alert(1)")
    parts = "".join(f"<sitemap><loc>{location}</loc></sitemap>" for location in locations)
    return text(f'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{parts}</sitemapindex>', XML)


def _slow(pause: float) -> list[Trap]:
    """Return traps whose answers are slow, endless, or of another length than announced."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"

    async def slow_head(writer: StreamWriter) -> None:
        await _trickle(writer, head + b"X-Wait: " + b"x" * 10_000, pause)

    async def slow_body(writer: StreamWriter) -> None:
        writer.write(head + b"Content-Length: 100000\r\n\r\n")
        await _trickle(writer, _picture() * 10, pause)

    async def silent(_: StreamWriter) -> None:
        await asyncio.Event().wait()

    async def endless(writer: StreamWriter) -> None:
        writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"4000\r\n" + bytes(0x4000) + b"\r\n")
            await writer.drain()

    async def announces_more(writer: StreamWriter) -> None:
        writer.write(head + b"Content-Length: %d\r\n\r\n" % (len(_picture()) * 2) + _picture())

    async def announces_less(writer: StreamWriter) -> None:
        writer.write(head + b"Content-Length: %d\r\n\r\n" % (len(_picture()) // 2) + _picture())

    async def announces_much(writer: StreamWriter) -> None:
        writer.write(head + b"Content-Length: 3000000000\r\n\r\n" + _picture())
        await asyncio.Event().wait()

    async def hangs_up(_: StreamWriter) -> None:
        return

    async def no_http(writer: StreamWriter) -> None:
        writer.write(b"220 mail.shop.test ESMTP\r\n" * 3)

    async def headers_for_ever(writer: StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
            await writer.drain()

    def misbehaving(name: str, must: str, misbehaviour: Misbehaviour) -> Trap:
        return Trap(name, "picture", must, lambda _: misbehaviour)

    return [
        misbehaving("slow-head", "fetch_too_slow", slow_head),
        misbehaving("slow-body", "fetch_too_slow", slow_body),
        misbehaving("silent", "fetch_too_slow", silent),
        misbehaving("endless-chunks", "too_large", endless),
        misbehaving("announces-more", "fetch_failed", announces_more),
        misbehaving("announces-less", "truncated_image", announces_less),
        misbehaving("announces-much", "too_large", announces_much),
        misbehaving("hangs-up", "fetch_failed", hangs_up),
        misbehaving("no-http", "fetch_failed", no_http),
        misbehaving("endless-head", "fetch_failed", headers_for_ever),
    ]


async def _trickle(writer: StreamWriter, data: bytes, pause: float) -> None:
    for byte in data:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(pause)
