"""The ordinary sites, one for each kind of product page, and their answers."""

from __future__ import annotations

from functools import lru_cache

from tests.shop import embedded, listings, pictures
from tests.shop.answers import JPEG, XML, Answer, Request, dated, missing, packed, redirect, text
from tests.shop.catalogue import CATEGORIES, Catalogue, Product
from tests.shop.furniture import furniture
from tests.shop.places import neighbour
from tests.shop.shelf import Shelf, document, parse_photo
from tests.shop.truth import KINDS

DATES = {1: listings.DATE, 2: "Mon, 09 Nov 2026 09:00:00 GMT"}
"""The modification dates of what the first and the second visit find."""
_COMPRESSED = {"open-graph", "state"}
"""Sites that compress their pages."""
_PHOTOS_ELSEWHERE = {"open-graph"}
"""Sites whose photos come from the host `cdn`."""


class Site:
    """A shop that sells `products` on pages of one kind.

    Args:
        crawl_delay: the crawl-delay of its robots.txt in seconds.
    """

    def __init__(
        self, name: str, kind: str, seed: int, products: int, visit: int, crawl_delay: float | None = None
    ) -> None:
        self.name, self.kind, self.crawl_delay = name, kind, crawl_delay
        self.catalogue = Catalogue(seed, name, products, visit)

    def shelf(self, base: str) -> Shelf:
        photos = f"{neighbour(base, 'cdn')}/{self.name}" if self.kind in _PHOTOS_ELSEWHERE else base
        return Shelf(base, self.catalogue, photos)

    def __call__(self, request: Request) -> Answer:  # noqa: PLR0911 - a table of paths
        shelf = self.shelf(request.base)
        match request.path.split("/")[1:]:
            case [""]:
                return self._page(request, listings.home(shelf))
            case ["p", slug]:
                return self._product(request, shelf, slug)
            case ["c", slug] if slug in CATEGORIES:
                return self._category(request, shelf, slug)
            case ["search", "all"] if self.kind == "next":
                return self._search(request, shelf)
            case ["assets", name]:
                found = furniture(name)
                return Answer(found[1], found[0]) if found else missing()
            case ["photos" | "i" | "cdn", *_]:
                return self.photo(request)
            case ["about"]:
                return self._page(request, listings.about(shelf))
            case ["cart"] | ["private", _]:
                return text(document(shelf, "Private", "<h1>Not for robots</h1>"))
            case [name]:
                return self._for_robots(shelf, name)
        return missing()

    def _page(self, request: Request, html: str, version: int = 1) -> Answer:
        answer = dated(text(html), request, DATES[version])
        return packed(answer, request) if self.kind in _COMPRESSED and answer.status == 200 else answer

    def _product(self, request: Request, shelf: Shelf, slug: str) -> Answer:
        number = slug.rpartition("-")[2]
        product = self.catalogue.get(int(number)) if number.isdecimal() else None
        if product is None:
            gone = number.isdecimal() and int(number) < self.catalogue.size
            return missing(410 if gone and int(number) % 2 else 404)
        if product.slug != slug:
            # The words of the URL are those of an old name.
            return redirect(shelf.page(product), 301)
        return self._page(request, KINDS[self.kind].page(shelf, product), product.version)

    def _category(self, request: Request, shelf: Shelf, slug: str) -> Answer:
        page = _number(request.query.get("page"), 1)
        if self.kind != "state":
            return self._page(request, listings.category(shelf, slug, page))
        found = listings.page_of(shelf, slug, page)
        head, links = listings.paging(shelf, slug, page, found.more)
        return self._page(request, embedded.state_listing(shelf, slug, found.products, links, head))

    def _search(self, request: Request, shelf: Shelf) -> Answer:
        query = request.query
        word, page = query.get("query", ""), _number(query.get("pagingIndex"), 1)
        size = min(_number(query.get("pagingSize"), embedded.SEARCH_SIZE), embedded.SEARCH_SIZE)
        index = embedded.matching(word)
        products: list[Product] = []
        total = 0
        if index is not None:
            slug = list(CATEGORIES)[index]
            found = listings.page_of(shelf, slug, page, size)
            products, total = found.products, found.total
        return self._page(request, embedded.search(shelf, word, products, page, size, total))

    def photo(self, request: Request) -> Answer:
        """Answer a request for one of the site's photos, on any host."""
        parsed = parse_photo(request.target)
        product = self.catalogue.get(parsed[0]) if parsed else None
        if parsed is None or product is None or parsed[1] >= product.views:
            return missing()
        _, view, width, quality, kind = parsed
        data = pictures.photo(self.catalogue.seed, self.name, product, view, width, quality, kind)
        tag = f"{self.catalogue.seed} {self.name} {product.photo_version} {parsed}"
        kinds = {"jpg": JPEG, "webp": "image/webp"}
        return dated(Answer(data, kinds[kind]), request, DATES[product.photo_version], tag)

    def _for_robots(self, shelf: Shelf, name: str) -> Answer:
        match name:
            case "robots.txt":
                return text(listings.robots(shelf, self.crawl_delay), "text/plain; charset=utf-8")
            case "sitemap.xml":
                return text(listings.sitemap_index(shelf), XML)
            case "feed.rss":
                return text(listings.rss(shelf), "application/rss+xml; charset=utf-8")
            case "feed.atom":
                return text(listings.atom(shelf), "application/atom+xml; charset=utf-8")
        part = name.removeprefix("sitemap-").removesuffix(".gz").removesuffix(".xml")
        if not name.startswith("sitemap-") or not part.isdecimal():
            return missing()
        return _sitemap(shelf, int(part), name.endswith(".gz"))


@lru_cache(maxsize=8)
def _sitemap(shelf: Shelf, part: int, gz: bool) -> Answer:
    found = listings.sitemap(shelf, part)
    if found is None or gz != (part % 2 == 0):
        return missing()
    return Answer(listings.packed(found), "application/gzip") if gz else text(found, XML)


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 9 else default
