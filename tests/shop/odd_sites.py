"""Sites that are traps as a whole: endless, empty, behind a consent wall, slow, busy, or with a special robots.txt."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import formatdate

from tests.shop.answers import Answer, Request, missing, text
from tests.shop.drawn import drawn
from tests.shop.engines import shopify, woocommerce
from tests.shop.lists import bare, facets, growing, languages
from tests.shop.sites import Site

Answering = Callable[[Request], Answer]

_OPEN = "User-agent: *\nDisallow: /cart\n"


@dataclass(frozen=True, slots=True)
class OddSite:
    """A site and the required outcome of a crawl of it."""

    must: str
    answer: Answering


def odd_sites(make: Callable[..., Site], pause: float, port: Callable[[], int]) -> dict[str, OddSite]:
    """Return the odd sites by name.

    `make(name, kind, crawl_delay=None)` makes an ordinary site, and `pause` is the delay of the slow one in seconds.
    """
    return {
        "wall": OddSite("reported as a cookie wall", _wall(make("wall", "json-ld"))),
        "empty": OddSite("reported as empty", _empty),
        "calendar": OddSite("bounded by its URL pattern, every product found", _calendar(make("calendar", "json-ld"))),
        "sessions": OddSite("bounded by its URL pattern, every product found", _sessions(make("sessions", "json-ld"))),
        "tracked": OddSite("every product found once, by its canonical URL", _tracked(make("tracked", "json-ld"))),
        "facets": OddSite("every product found before the filters", facets(make("facets", "json-ld"))),
        "growing": OddSite("every product found, though no list has a next link", growing(make("growing", "json-ld"))),
        "bare": OddSite("every product found in its large photos", bare(make("bare", "json-ld"))),
        "languages": OddSite("every product found in one language", languages(make("languages", "json-ld"))),
        "drawn": OddSite("every product found by a browser", drawn(make("drawn", "json-ld"), port)),
        "shopify": OddSite("every product read from its JSON", shopify(make("shopify", "json-ld"))),
        "woocommerce": OddSite("every product read from its JSON", woocommerce(make("woocommerce", "json-ld"))),
        "slow": OddSite("every product found, however long it takes", _slow(make("slow", "json-ld"), pause)),
        "polite": OddSite("half a second or more between requests", make("polite", "json-ld", crawl_delay=0.5)),
        "busy": OddSite(
            "asked again no sooner than Retry-After says, every product found", Busy(make("busy", "json-ld"))
        ),
        "closed": OddSite("nothing but robots.txt asked for", _with_robots(make("closed", "json-ld"), _CLOSED)),
        "ill": OddSite("nothing but robots.txt asked for", _with_robots(make("ill", "json-ld"), _BUSY)),
        "free": OddSite("every product found", _with_robots(make("free", "json-ld"), missing())),
    }


_BUSY = Answer(b"Busy", "text/plain", 500, {"Retry-After": "1"})
_CLOSED = text("User-agent: *\nDisallow: /\n", "text/plain")


def _with_robots(site: Site, robots: Answer) -> Answering:
    return lambda request: robots if request.path == "/robots.txt" else site(request)


def _wall(site: Site) -> Answering:
    """Show the site's pages only to clients with the cookie `consent=yes`."""
    page = text(
        "<!doctype html><html><head><title>Before you continue</title></head><body>"
        '<div id="cookie-consent" role="dialog"><h1>We value your privacy</h1><p>We and our 842 partners use cookies. '
        "쿠키 사용에 동의해 주세요.</p>"
        '<form method="post" action="/consent"><button>Accept all cookies</button><button>Reject</button></form></div>'
        '<img src="/assets/logo.png" alt="Fixture Shop"></body></html>'
    )

    def answer(request: Request) -> Answer:
        open_to_all = request.path == "/robots.txt" or request.path.startswith("/assets/")
        consent = "consent=yes" in request.headers.get("cookie", "")
        return site(request) if open_to_all or consent else page

    return answer


def _empty(request: Request) -> Answer:
    """Answer `/` with an empty page, and `/app` with a page that only a browser fills."""
    match request.path:
        case "/robots.txt":
            return text(_OPEN, "text/plain")
        case "/":
            return text("")
        case "/app":
            return text('<!doctype html><html><head><title>App</title></head><body><div id="root"></div></body></html>')
    return missing()


def _calendar(site: Site) -> Answering:
    """Add a calendar whose months link the previous and the next month without end."""

    def answer(request: Request) -> Answer:
        if request.path == "/":
            html = site(request).body.decode().replace("<main>", '<main><a href="/events?month=2026-11">Events</a>')
            return text(html)
        if request.path != "/events":
            return site(request)
        year, _, month = request.query.get("month", "2026-11").partition("-")
        if not (year.isdecimal() and month.isdecimal()):
            return missing()
        number = int(year) * 12 + int(month) - 1
        links = "".join(
            f'<a href="/events?month={other // 12:04}-{other % 12 + 1:02}">{other}</a>'
            for other in (number - 1, number + 1, number + 12)
        )
        return text(f"<!doctype html><title>Events</title><h1>Events of {year}-{month}</h1>{links}")

    return answer


def _sessions(site: Site) -> Answering:
    """Add a new session id to the links of every page, and a path that grows with each link."""

    def answer(request: Request) -> Answer:
        if request.path.startswith("/more/"):
            return text(f'<!doctype html><title>More</title><a href="{request.path}more/">More</a>')
        plain = site(request)
        if not plain.type.startswith("text/html") or plain.status != 200:
            return plain
        html = _LINK.sub(rf'\1?sid={_name(request)}"', plain.body.decode())
        html = _CANONICAL.sub("", html)
        return text(html.replace("<main>", '<main><a href="/more/more/">More</a>'))

    return answer


_LINK = re.compile(r'(<a href="(?:http://[^/"]*)?/[pc]/[^"?]*)"')
_CANONICAL = re.compile('<link rel="canonical" href="[^"]*">')


def _name(request: Request) -> str:
    """Return a name that is unique for the requested URL."""
    return hashlib.sha256(request.target.encode()).hexdigest()[:16]


def _tracked(site: Site) -> Answering:
    """Add tracking parameters to the links of every page. The pages keep their canonical URL."""

    def answer(request: Request) -> Answer:
        plain = site(request)
        if not plain.type.startswith("text/html") or plain.status != 200:
            return plain
        marks = f"utm_source=shop&amp;utm_campaign={_name(request)}&amp;gclid=1"
        return text(_LINK.sub(rf'\1?{marks}"', plain.body.decode()))

    return answer


def _slow(site: Site, pause: float) -> Answering:
    return lambda request: replace(site(request), delay=pause)


class Busy:
    """Refuses every fifth request. Retry-After is in turn a number of seconds and a date."""

    SECONDS = 1

    def __init__(self, site: Site) -> None:
        self._site = site
        self._requests = 0

    def __call__(self, request: Request) -> Answer:
        if request.path == "/robots.txt":
            return self._site(request)
        self._requests += 1
        if self._requests % 5:
            return self._site(request)
        by_date = self._requests % 2 == 0
        # A date has whole seconds. One more second keeps it from being earlier than announced.
        until = formatdate(time.time() + self.SECONDS + 1, usegmt=True) if by_date else str(self.SECONDS)
        return Answer(b"Busy", "text/plain", 503 if by_date else 429, {"Retry-After": until})
