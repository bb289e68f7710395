"""What is met on the way: the pictures of a page, the pages that it leads to, and how far each of them is wanted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from core.errors import FetchForbidden
from crawler import recipes
from crawler.extraction import Extraction, FoundPicture, LeftOut, PageKind, Rule
from crawler.frontier import Frontier
from crawler.recipes import Recipe
from crawler.urls import canonical_url, without_www
from db.crawls.met_urls import Met, Waiting
from db.crawls.requests import CrawlRequest, digest_of
from db.steps.crawling import FALLBACK
from db.tables import UrlKind, UrlReason

PICTURE, START, PRODUCT, NEXT, OTHER = range(5)
"""Priorities; db.steps.crawling.FALLBACK comes after them."""
LONGEST_TEXT = 2_000


class Meetings:
    """Notes what is met, for one crawl."""

    def __init__(
        self, request: CrawlRequest, frontier: Frontier, start_urls: Iterable[str], sites: list[Recipe]
    ) -> None:
        """`start_urls`: those of the request and whatever they moved to; pages may be on their hosts."""
        self._request = request
        self._frontier = frontier
        self._sites = sites
        self._chosen = next((one for one in sites if one.name == request.recipe), None)
        self._hosts = {without_www(host) for host in request.limits.hosts}
        self._hosts |= {without_www(urlsplit(url).hostname) for url in start_urls}

    def allow_host_of(self, url: str) -> None:
        """Pages may be on that host, too."""
        self._hosts.add(without_www(urlsplit(url).hostname))

    def seeds(self) -> list[Met]:
        """The start URLs, as they are to be asked for."""
        found = []
        for url in self._request.start_urls:
            recipe = self.recipe(url)
            if recipe is not None and self._request.query is not None:
                url = recipe.with_query(url, self._request.query)  # noqa: PLW2901
            met = self._met(url, UrlKind.PAGE, START, 0, None)
            if met is not None:
                found.append(met)
        return found

    def follow(self, waiting: Waiting, extraction: Extraction, recipe: Recipe | None) -> None:
        """What a page shows, and where it leads."""
        links = extraction.links
        page = self._frontier.results.pages.setdefault(waiting.url, set())
        aside = extraction.kind is PageKind.OTHER and waiting.priority == OTHER
        if links.noindex or aside:
            # Nobody asked for that page, and nothing on it says that it shows products.
            reason = UrlReason.NOINDEX.value if links.noindex else LeftOut.NO_PRODUCT.value
            self._frontier.results.count("left_out", reason, len(extraction.pictures))
        else:
            query = recipe.query_of(waiting.url) if recipe is not None else None
            for found in extraction.pictures:
                known = _known(found, query or (self._request.query if recipe is not None else None))
                page.add(self._meet_picture(waiting, found, known, links.nofollow))
        if links.nofollow:
            return
        deeper = waiting.depth + 1
        # A list that a recipe reads is complete: its pictures are what is wanted.
        listed = found_by_recipe(extraction)
        for url in () if listed else links.products:
            page.add(self.meet(url, UrlKind.PAGE, PRODUCT, deeper, waiting.url))
        for url in links.pages:
            # Further pages of a list are no deeper than the first.
            self.meet(url, UrlKind.PAGE, NEXT, waiting.depth, waiting.url)
        for url in () if listed else links.others:
            self.meet(url, UrlKind.PAGE, OTHER, deeper, waiting.url)

    def _meet_picture(self, waiting: Waiting, found: FoundPicture, known: dict[str, Any], nofollow: bool) -> str:
        """A picture of a page. What a list shows of a product is small: it has its turn if the product's own page is
        not read in the end."""
        priority = PICTURE
        if found.product_url is not None and found.rule is not Rule.RECIPE and not nofollow:
            page = self._met(found.product_url, UrlKind.PAGE, PRODUCT, waiting.depth + 1, waiting.url)
            if page is not None and page.left_out is None:
                known, priority = {**known, "product_digest": page.digest}, FALLBACK
        return self.meet(found.url, UrlKind.PICTURE, priority, waiting.depth, waiting.url, known)

    def meet(
        self,
        url: str,
        kind: UrlKind,
        priority: int,
        depth: int,
        referrer: str | None,
        known: dict[str, Any] | None = None,
    ) -> str:
        """Note that a URL was met; its digest, empty if nothing will come of it."""
        met = self._met(url, kind, priority, depth, referrer, known)
        if met is None:
            self._frontier.results.count("left_out", LeftOut.BAD_URL.value)
            return ""
        self._frontier.results.met.append(met)
        return met.digest if met.left_out is None else ""

    def _met(
        self,
        url: str,
        kind: UrlKind,
        priority: int,
        depth: int,
        referrer: str | None,
        known: dict[str, Any] | None = None,
    ) -> Met | None:
        try:
            digest = digest_of(canonical_url(url))
        except FetchForbidden:
            return None
        left_out = None
        if kind is not UrlKind.PICTURE:
            if referrer is not None and without_www(urlsplit(url).hostname) not in self._hosts:
                left_out = UrlReason.OTHER_HOST
            elif depth > self._request.limits.depth:
                left_out = UrlReason.LIMIT_DEPTH
        return Met(digest, url, kind, priority, depth, referrer, known, left_out)

    def recipe(self, url: str) -> Recipe | None:
        """How to read a page, if its site has a recipe."""
        return self._chosen or recipes.find_recipe(self._sites, url)


def found_by_recipe(extraction: Extraction) -> bool:
    """Whether a recipe has read the page as a list."""
    return extraction.recipe is not None and any(one.rule is Rule.RECIPE for one in extraction.pictures)


def _known(found: FoundPicture, query: str | None) -> dict[str, Any]:
    known = {
        "page_url": found.page_url,
        "title": found.title,
        "price": None if found.price is None else str(found.price),
        "currency": found.currency,
        "alt": found.alt,
        "category": found.category,
        "query": query,
        "label": found.label,
        "rank": found.rank,
        "product_url": found.product_url,
        "rule": found.rule.value,
    }
    return {name: _short(value) for name, value in known.items() if value is not None}


def _short(value: Any) -> Any:
    return value.replace("\0", "")[:LONGEST_TEXT] if isinstance(value, str) else value
