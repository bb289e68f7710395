"""From a page to its products' pictures: the rules in their order (docs/adr/0020-extraction-rules.md)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from core.errors import FetchForbidden
from crawler.extraction.by_recipe import Applied, apply
from crawler.extraction.found import Extraction, LeftOut, Rule
from crawler.extraction.junk import RepeatedImages
from crawler.extraction.kinds import kind_of
from crawler.extraction.links import links
from crawler.extraction.markup import Shown, Sight, markup
from crawler.extraction.merging import Album, Picture, as_found
from crawler.extraction.page import Page
from crawler.extraction.products import Product
from crawler.extraction.state import state
from crawler.extraction.structured import json_ld, microdata, open_graph
from crawler.extraction.variants import key_of
from crawler.recipes import Recipe
from crawler.urls import canonical_url

_BUYS = re.compile(
    r"add to (?:cart|bag|basket)|buy now|장바구니|구매하기|바로\s*구매|warenkorb|ajouter au panier|cart/add", re.I
)
_MANY_CARDS = 6


def extract(
    body: bytes,
    url: str,
    headers: Mapping[str, str] | None = None,
    status: int = 200,
    *,
    recipe: Recipe | None = None,
    query: str | None = None,
    repeated_images: RepeatedImages | None = None,
) -> Extraction:
    """What a page gives. Never raises because of what the page holds.

    Args:
        body: as it came, decompressed.
        url: that answered.
        headers: of the answer, names in lower case.
        recipe: of the site, if there is one: it is asked first.
        query: the search word that led here, for recipes whose labels are queries.
        repeated_images: of the page's host; the page is counted in it.
    """
    page = Page(body, url, headers, status)
    return _Reading(page, apply(recipe, page, query) if recipe else None, repeated_images).extraction()


class _Reading:
    """One page while it is read. A rule sees what the rules above it have found."""

    def __init__(self, page: Page, applied: Applied | None, repeated_images: RepeatedImages | None) -> None:
        self._page = page
        self._applied = applied
        self._repeated_images = repeated_images
        self._album = Album()
        self._left: dict[str, LeftOut] = {}
        """Key of a picture → why it was left out."""
        self._main: Product | None = None
        """The product that this page is about."""
        self._is_list = applied is not None and applied.is_list
        self._is_whole = applied is not None and applied.is_list and bool(applied.products)
        """A recipe has read the list: what it does not know is none of its products."""
        self._listed: dict[str, Product] = {}
        """Canonical URL of a page → the product that this listing has of it."""
        self._cards: dict[str, None] = {}
        """URLs that pictures lead to."""
        canonical_link = page.absolute(page.first("string(//link[@rel='canonical']/@href)"))
        self._here = {_spelled(url) for url in (page.url, canonical_link) if url}
        self._shared = open_graph(page)

    def extraction(self) -> Extraction:
        page = self._page
        if page.status >= 400:
            return Extraction(page.url, kind_of(page, 0, 0, 0), title=page.title, encoding=page.encoding)
        breadcrumb = self._read_what_is_said()
        shown = markup(page)
        if self._main is None and not self._is_list and _is_product_page(page, shown):
            self._main = Product(title=shown.heading, price=shown.price)
        self._read_open_graph(certain=False)
        for sight in shown.sights:
            self._look_at(sight, shown)
        return self._told(shown, breadcrumb or shown.breadcrumb)

    def _read_what_is_said(self) -> tuple[str, ...]:
        """Everything but markup; the breadcrumb."""
        page, applied = self._page, self._applied
        if applied:
            self._read(Rule.RECIPE, applied.products)
        linked, micro = json_ld(page), microdata(page)
        self._read(Rule.JSON_LD, linked.products)
        self._read(Rule.MICRODATA, micro.products)
        self._read_open_graph(certain=True)
        self._read(Rule.STATE, state(page))
        return linked.breadcrumb or micro.breadcrumb

    def _read_open_graph(self, *, certain: bool) -> None:
        """What a page is shared as is its product if it says so, or else if everything else says so."""
        if self._shared is None or self._shared[1] is not certain:
            return
        product = self._shared[0]
        if self._is_list or not (certain or self._main):
            self._leave_all(product, LeftOut.NO_PRODUCT)
        else:
            self._take_of_main(Rule.OPEN_GRAPH, product)

    def _read(self, rule: Rule, products: list[Product]) -> None:
        own = [one for one in products if one.url is None or _spelled(one.url) in self._here]
        if self._main is None and not self._is_list and products:
            self._is_list = len({one.title for one in own}) != 1
        for one in products:
            url = None if one in own else one.url
            if self._is_list:
                self._take_of_list(rule, one, url)
            elif url is None and (self._main is None or self._is_main(one)):
                self._take_of_main(rule, one)
            else:
                if url:
                    self._cards.setdefault(url)
                self._leave_all(one, LeftOut.OTHER_PRODUCT)

    def _is_main(self, one: Product) -> bool:
        mine, other = ((self._main.title if self._main else None) or "").casefold(), (one.title or "").casefold()
        return mine in other or other in mine or any(self._album.known(variants) for variants in one.pictures)

    def _take_of_main(self, rule: Rule, one: Product) -> None:
        if self._main is None:
            self._main = Product()
        main = self._main
        main.title, main.price = main.title or one.title, main.price or one.price
        main.category = main.category or one.category
        self._take(rule, one, None)

    def _take_of_list(self, rule: Rule, one: Product, url: str | None) -> None:
        key = _spelled(url) if url else None
        known = self._listed.get(key) if key else None
        if known is None and self._is_whole and rule is not Rule.RECIPE:
            self._leave_all(one, LeftOut.NO_PRODUCT)
            return
        if known is None:
            if key:
                self._listed[key] = one
            self._take(rule, one, url)
            return
        known.title, known.price = known.title or one.title, known.price or one.price
        known.category = known.category or one.category
        if known.pictures:
            self._leave_all(one, LeftOut.DUPLICATE)
        else:
            known.pictures = one.pictures
            self._take(rule, one, url)

    def _take(self, rule: Rule, one: Product, url: str | None) -> None:
        for variants in one.pictures:
            alt = next((one.alts[variant.url] for variant in variants if variant.url in one.alts), None)
            self._album.add(Picture(rule, variants, one.title, one.price, alt, one.category, url))

    def _leave_all(self, one: Product, why: LeftOut) -> None:
        for variants in one.pictures:
            known = self._album.known(variants)
            if known is None:
                self._left.setdefault(key_of(variants[0].url), why)
            else:
                known.learn(Picture(known.rule, variants))

    def _look_at(self, sight: Sight, shown: Shown) -> None:
        listed = self._listed.get(_spelled(sight.link)) if sight.link else None
        picture = Picture(sight.rule, sight.variants, alt=sight.alt)
        if sight.link and not sight.furniture:
            self._cards.setdefault(sight.link)
        if self._album.known(sight.variants):
            self._album.add(picture)
            return
        why = self._against(sight, shown, listed)
        if why:
            self._left.setdefault(key_of(sight.variants[0].url), why)
            return
        if self._main is None:
            picture.title, picture.price = (listed and listed.title) or sight.title or sight.alt, sight.price
            picture.product_url = sight.link
        if listed:
            listed.pictures.append(sight.variants)
        self._album.add(picture)

    def _against(self, sight: Sight, shown: Shown, listed: Product | None) -> LeftOut | None:
        """Why an image that no other rule has found is left out; None if it is a product's picture."""
        if sight.furniture:
            return sight.doubt or LeftOut.FURNITURE
        if self._main is not None:
            return sight.doubt or (LeftOut.OTHER_PRODUCT if sight.link else self._repeated(sight))
        if listed is not None:
            return LeftOut.DUPLICATE if listed.pictures else None
        if sight.price is not None and sight.link and not self._is_whole:
            return None
        elsewhere = self._is_list or shown.has_priced_cards
        return sight.doubt or (
            LeftOut.NO_PRODUCT if self._is_whole or (elsewhere and sight.price is None) else self._repeated(sight)
        )

    def _repeated(self, sight: Sight) -> LeftOut | None:
        seen = self._repeated_images is not None and self._repeated_images.is_repeated(sight.variants[0].url)
        return LeftOut.REPEATED if seen else None

    def _told(self, shown: Shown, breadcrumb: tuple[str, ...]) -> Extraction:
        page, album = self._page, self._album
        if self._repeated_images is not None:
            self._repeated_images.add_page(
                {sight.variants[0].url for sight in shown.sights if not sight.link and not sight.price}
            )
        for picture in album.pictures:
            self._complete(picture, shown)
        applied = self._applied
        found = tuple(
            as_found(one, page.url, rank, breadcrumb, applied.label(one.category, breadcrumb) if applied else None)
            for rank, one in enumerate(album.pictures, 1)
        )
        pages = dict.fromkeys(url for one in found if (url := one.product_url))
        further = dict.fromkeys([*pages, *(one.url for one in self._listed.values() if one.url), *self._cards])
        products = len({_spelled(one.product_url) if one.product_url else one.title for one in found})
        left = Counter(page.left_out.values()) + Counter(why for key, why in self._left.items() if not album.has(key))
        return Extraction(
            url=page.url,
            kind=kind_of(page, products, len(found), len(pages), is_product=self._main is not None),
            pictures=found,
            left_out=dict(left),
            links=links(page, list(further), applied.next_page if applied else None),
            title=page.title,
            recipe=applied.recipe.name if applied else None,
            yields={name: tuple(values) for name, values in applied.yields.items()} if applied else {},
            encoding=page.encoding,
        )

    def _complete(self, picture: Picture, shown: Shown) -> None:
        """What the picture's own rule did not say, its product says."""
        main = self._main
        of = self._listed.get(_spelled(picture.product_url)) if picture.product_url else main
        if of is not None:
            picture.title, picture.price = picture.title or of.title, picture.price or of.price
            picture.category = picture.category or of.category
        if of is main and main is not None:
            shared = self._shared[0].title if self._shared else None
            picture.title = picture.title or shown.heading or shared
            picture.price = picture.price or shown.price


def _is_product_page(page: Page, shown: Shown) -> bool:
    """Whether nothing but its looks makes a page a product's: a price and pictures that lead nowhere else."""
    if shown.price is None:
        return False
    if not any(not (sight.link or sight.furniture or sight.doubt) for sight in shown.sights):
        return False
    cards = {sight.link for sight in shown.sights if sight.link and sight.price}
    return len(cards) < _MANY_CARDS or _BUYS.search(page.text) is not None


def _spelled(url: str) -> str:
    try:
        return canonical_url(url)
    except FetchForbidden:
        return url
