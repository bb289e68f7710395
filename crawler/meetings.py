"""Notes the URLs that a crawl meets: the pictures of a page, the pages that it leads to, and the priority of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from core.item_errors import FetchForbidden
from core.products import TEXTS, product_id_of, shortened_id
from crawler import recipes
from crawler.extraction import Extraction, FoundPicture, LeftOut, Links, PageKind, Rule
from crawler.feeds import Feed
from crawler.findings import Findings
from crawler.patterns import Admission, Patterns
from crawler.recipes import Recipe
from crawler.urls import canonical_or_same, canonical_url, without_www
from db.crawls.met_urls import MetUrl, QueuedUrl
from db.crawls.requests import CrawlRequest, digest_of
from db.tables import CrawlPriority, UrlKind, UrlReason

MAX_TEXT = 2_000
"""Maximum number of characters of each text that is noted about a picture."""


class Meetings:
    """Decides for one crawl which of the URLs that it meets are requested, and in which order."""

    def __init__(
        self,
        crawl: CrawlRequest,
        findings: Findings,
        patterns: Patterns,
        start_urls: Iterable[str],
        site_recipes: list[Recipe],
    ) -> None:
        """`start_urls`: the start URLs and the URLs that they redirect to. Pages may be on the hosts of all of them."""
        self._crawl = crawl
        self._findings = findings
        self._patterns = patterns
        self._site_recipes = site_recipes
        self.products_in_lists: set[str] = set()
        """Digests of the pages of products that a recipe has read from a list."""
        self._chosen_recipe = next((recipe for recipe in site_recipes if recipe.name == crawl.recipe), None)
        self._hosts = {without_www(host) for host in crawl.limits.hosts}
        self._hosts |= {without_www(urlsplit(url).hostname) for url in start_urls}
        asked = [without_www(urlsplit(url).hostname) for url in crawl.start_urls]
        self._first_host = asked[0]
        self._other_shops = bool(crawl.limits.hosts) or len(set(asked)) > 1

    def allow_host_of(self, url: str) -> None:
        """Allow pages on the host of a URL."""
        self._hosts.add(without_www(urlsplit(url).hostname))

    def seeds(self) -> list[MetUrl]:
        """Return the start URLs, with the query of the crawl where a recipe knows how to search."""
        seeds = []
        for url in self._crawl.start_urls:
            recipe = self._recipe_of_site() or recipes.find_recipe(self._site_recipes, url)
            if recipe is not None and self._crawl.query is not None:
                url = recipe.with_query(url, self._crawl.query)  # noqa: PLW2901
            met = self._decide(url, UrlKind.PAGE, CrawlPriority.START, 0, None)
            if met is not None:
                seeds.append(met)
        return seeds

    def recipe_for(self, page: QueuedUrl, url: str, body: bytes) -> Recipe | None:
        """Return the recipe by which a page is read, if there is one for its list, its site or its shop engine."""
        named = page.known.get("recipe")
        if named is not None:
            return next((recipe for recipe in self._site_recipes if recipe.name == named), None)
        return self._recipe_of_site() or recipes.recipe_of_page(self._site_recipes, url, body)

    def _recipe_of_site(self) -> Recipe | None:
        """Return the chosen recipe, if it is one for all pages of a site."""
        return self._chosen_recipe if self._chosen_recipe is not None and not self._chosen_recipe.contains else None

    def meet_list_of_engine(self, page: QueuedUrl, url: str, body: bytes) -> None:
        """Meet the list of all products of the shop, if a start page shows a shop engine that has one."""
        if page.priority is not CrawlPriority.START or page.depth > 0:
            return
        for recipe in self._site_recipes:
            target = recipe.list_url(url)
            if target is not None and (recipe is self._chosen_recipe or recipe.recognises(url, body)):
                known = {"recipe": recipe.name}
                self.meet(target, UrlKind.PAGE, CrawlPriority.START, page.depth + 1, page.url, known)
                return

    def follow(self, page: QueuedUrl, extraction: Extraction, recipe: Recipe | None, *, fruitful: bool) -> None:
        """Meet the pictures that a page shows, and the pages that it leads to.

        `fruitful`: whether the page shows anything that is new to the crawl.
        """
        links = extraction.links
        # A listing that a recipe reads is complete, therefore the pages of its products are not needed.
        is_followed = not is_read_by_recipe(extraction) or (recipe is not None and recipe.follow)
        self._leave_out_translations(page, links.translations)
        unrelated = extraction.kind is PageKind.OTHER and page.priority is CrawlPriority.OTHER_PAGE
        if links.noindex or unrelated:
            # An unrelated page is neither a start URL nor in a sitemap, and nothing on it says that it shows products.
            reason = UrlReason.NOINDEX if links.noindex else LeftOut.NO_PRODUCT
            self._findings.count_left_out(reason, len(extraction.pictures))
        else:
            query = recipe.query_of(page.url) if recipe is not None else None
            for picture in extraction.pictures:
                searched = query or (self._crawl.query if recipe is not None else None)
                known = _source_of(picture, searched, self._product_of(picture))
                self._meet_picture(page, picture, known, follow=is_followed and not links.nofollow)
        if links.nofollow:
            return
        self._follow_list(page, links, fruitful=fruitful)
        if not is_followed:
            self.products_in_lists.update(digest_of(canonical_url(url)) for url in links.products)
            return
        for url in links.products:
            self.meet(url, UrlKind.PAGE, CrawlPriority.PRODUCT, page.depth + 1, page.url)
        if page.priority is CrawlPriority.VIEW and not fruitful:
            # Its own filters would only select from what is known already.
            return
        for url in links.others:
            self.meet(url, UrlKind.PAGE, CrawlPriority.OTHER_PAGE, page.depth + 1, page.url)
        for url in links.views:
            self.meet(url, UrlKind.PAGE, CrawlPriority.VIEW, page.depth + 1, page.url)

    def _follow_list(self, page: QueuedUrl, links: Links, *, fruitful: bool) -> None:
        """Meet the further pages of a listing. They are as deep as its first page."""
        priority = max(CrawlPriority.NEXT_PAGE, page.priority) if page.priority is CrawlPriority.VIEW else None
        if "recipe" in page.known:
            for url in links.pages if fruitful else ():
                self.meet(url, UrlKind.PAGE, page.priority, page.depth, page.url, page.known)
            return
        for url in links.pages:
            self.meet(url, UrlKind.PAGE, priority or CrawlPriority.NEXT_PAGE, page.depth, page.url)
        # Nobody has promised these pages, so they end with the first one that shows nothing new.
        for url in links.more if fruitful or not page.known.get("continues") else ():
            known = {"continues": True}
            self.meet(url, UrlKind.PAGE, priority or CrawlPriority.NEXT_PAGE, page.depth, page.url, known)

    def _leave_out_translations(self, page: QueuedUrl, urls: Iterable[str]) -> None:
        for url in urls:
            met = self._decide(url, UrlKind.PAGE, CrawlPriority.OTHER_PAGE, page.depth, page.url)
            if met is not None and met.left_out is None:
                self._findings.add_met(replace(met, left_out=UrlReason.TRANSLATION))

    def follow_feed(self, page: QueuedUrl, feed: Feed) -> None:
        """Meet the pages that a sitemap or a feed names.

        The pictures of its entries are fallbacks. The sitemaps of an index that are not about products come last, and
        so do their pages.
        """
        is_other = page.kind is UrlKind.SITEMAP and page.priority is CrawlPriority.OTHER_PAGE
        for sitemap in feed.sitemaps:
            later = is_other or sitemap in feed.other_sitemaps
            priority = CrawlPriority.OTHER_PAGE if later else CrawlPriority.START
            self.meet(sitemap, UrlKind.SITEMAP, priority, page.depth, page.url)
        priority = CrawlPriority.OTHER_PAGE if is_other else CrawlPriority.PRODUCT
        for entry in feed.entries:
            self.meet(entry.url, UrlKind.PAGE, priority, page.depth + 1, page.url)
            self._leave_out_translations(page, entry.translations)
            for picture in entry.pictures(page.url):
                self._meet_picture(page, picture, _source_of(picture, None, self._product_of(picture)), follow=True)

    def _product_of(self, picture: FoundPicture) -> dict[str, Any]:
        """Return what the page says about the product of a picture.

        Two shops may give the same id to different products. If a crawl may visit several, the ids of products of other
        hosts than that of the first start URL therefore begin with the host.
        """
        product = picture.product.as_json()
        if picture.product_url is not None:
            product.setdefault("url", picture.product_url)
        product_id = product_id_of(product)
        if product_id is not None:
            host = without_www(urlsplit(picture.page_url).hostname)
            # A URL is different in each shop anyway.
            is_foreign = self._other_shops and host != self._first_host and product_id != product.get("url")
            product["product_id"] = shortened_id(f"{host}/{product_id}" if is_foreign else product_id)
        return {name: value[: TEXTS[name]] if name in TEXTS else value for name, value in product.items()}

    def _meet_picture(self, page: QueuedUrl, picture: FoundPicture, known: dict[str, Any], *, follow: bool) -> None:
        """Meet a picture of a page.

        The pictures of a listing are small. Therefore such a picture is only a fallback for the page of its product.
        """
        priority = CrawlPriority.PICTURE
        if picture.product_url is not None and follow:
            product = self._decide(picture.product_url, UrlKind.PAGE, CrawlPriority.PRODUCT, page.depth + 1, page.url)
            if product is not None and product.left_out is None:
                known, priority = {**known, "product_digest": product.digest}, CrawlPriority.FALLBACK
        self.meet(picture.url, UrlKind.PICTURE, priority, page.depth, page.url, known)

    def meet(
        self,
        url: str,
        kind: UrlKind,
        priority: CrawlPriority,
        depth: int,
        referrer: str | None,
        known: Mapping[str, Any] | None = None,
    ) -> str:
        """Note that a URL was met. Return its digest, or an empty string if it will not be requested."""
        met = self._decide(url, kind, priority, depth, referrer)
        if met is None:
            self._findings.count_left_out(LeftOut.BAD_URL)
            return ""
        self._findings.add_met(replace(met, known=known))
        return met.digest if met.left_out is None else ""

    def _decide(
        self, url: str, kind: UrlKind, priority: CrawlPriority, depth: int, referrer: str | None
    ) -> MetUrl | None:
        """Return a URL with the decision whether it will be requested. Return None if it can never be fetched."""
        try:
            digest = digest_of(canonical_url(url))
        except FetchForbidden:
            return None
        left_out = None
        if kind is not UrlKind.PICTURE:
            if referrer is not None and without_www(urlsplit(url).hostname) not in self._hosts:
                left_out = UrlReason.OTHER_HOST
            elif depth > self._crawl.limits.depth:
                left_out = UrlReason.LIMIT_DEPTH
        if left_out is None and kind is UrlKind.PAGE and priority is not CrawlPriority.START:
            admission = self._patterns.admit(url)
            if admission is Admission.NEVER:
                left_out = UrlReason.ENDLESS_PATTERN
            elif admission is Admission.LATER:
                priority = CrawlPriority.VIEW
        return MetUrl(digest, url, kind, priority, depth, referrer, left_out=left_out)


def is_read_by_recipe(extraction: Extraction) -> bool:
    """Return whether a recipe has read the page as a listing."""
    return extraction.recipe is not None and any(picture.rule is Rule.RECIPE for picture in extraction.pictures)


def shown_by(extraction: Extraction) -> set[str]:
    """Return what a page shows, so that a page that shows nothing new is recognised.

    A product is known by its URL, on its own page by its title and picture, because many URLs may lead to that page.
    """
    pages = [*extraction.links.products, *(picture.product_url for picture in extraction.pictures)]
    on_page = (picture for picture in extraction.pictures if picture.product_url is None)
    pictures = (f"{picture.product.title} {canonical_or_same(picture.url)}" for picture in on_page)
    return {*(canonical_or_same(url) for url in pages if url), *pictures}


def _source_of(picture: FoundPicture, query: str | None, product: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `source` and the `product` of the picture's item."""
    source = {
        "page_url": picture.page_url,
        "alt": picture.alt,
        "query": query,
        "label": picture.label,
        "rank": picture.rank,
        "rule": picture.rule.value,
        "product": product or None,
    }
    return {name: _shortened(value) for name, value in source.items() if value is not None}


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shortened(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_shortened(member) for member in value]
    # PostgreSQL stores no NUL characters in text.
    return value.replace("\0", "")[:MAX_TEXT] if isinstance(value, str) else value
