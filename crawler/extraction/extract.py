"""Applies all rules to a page in their order, and collects the pictures of its products.

docs/adr/0020-extraction-rules.md explains the rules.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from core.errors import FetchForbidden
from crawler.extraction.by_recipe import RecipeResult, apply_recipe
from crawler.extraction.found import Extraction, LeftOut, Rule
from crawler.extraction.junk import RepeatedImages
from crawler.extraction.kinds import page_kind
from crawler.extraction.links import find_links
from crawler.extraction.markup import PageImage, PageMarkup, read_markup
from crawler.extraction.merging import Album, Picture, as_found
from crawler.extraction.page import Page
from crawler.extraction.products import Product
from crawler.extraction.state import products_in_scripts
from crawler.extraction.structured import json_ld, microdata, open_graph
from crawler.extraction.variants import key_of
from crawler.recipes import Recipe
from crawler.urls import canonical_url

_BUY_BUTTON = re.compile(
    r"add to (?:cart|bag|basket)|buy now|장바구니|구매하기|바로\s*구매|warenkorb|ajouter au panier|cart/add", re.I
)
_LIST_MIN_CARDS = 6
"""A page with this number of priced cards is a list, unless it has a button to buy."""


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
    """Extract the pictures and links of a page. No content of the page makes it raise an error.

    Args:
        body: the decompressed body of the response.
        url: the URL that gave the response.
        headers: the headers of the response, with names in lower case.
        recipe: the recipe of the site, which is the first rule, or None.
        query: the search word that led to this page, for recipes whose labels are search words.
        repeated_images: the image counts of the page's host. This page is added to them.
    """
    page = Page(body, url, headers, status)
    return _PageReader(page, apply_recipe(recipe, page, query) if recipe else None, repeated_images).extraction()


class _PageReader:
    """Reads one page. Each rule sees the results of the rules before it."""

    def __init__(self, page: Page, by_recipe: RecipeResult | None, repeated_images: RepeatedImages | None) -> None:
        self._page = page
        self._by_recipe = by_recipe
        self._repeated_images = repeated_images
        self._album = Album()
        self._left_out: dict[str, LeftOut] = {}
        """Key of a picture → the reason why it was left out."""
        self._main: Product | None = None
        """The product that the page is about, or None."""
        self._is_list = by_recipe is not None and by_recipe.is_list
        self._list_is_complete = by_recipe is not None and by_recipe.is_list and bool(by_recipe.products)
        """Whether a recipe has read the whole list, so that other products on the page do not belong to the list."""
        self._products_by_url: dict[str, Product] = {}
        """Canonical URL of a product page → the product on this listing."""
        self._linked_urls: dict[str, None] = {}
        """The URLs to which the pictures link. It is a dict and not a set, because a dict keeps the order."""
        canonical_link = page.absolute(page.first("string(//link[@rel='canonical']/@href)"))
        self._own_urls = {_canonical_or_same(url) for url in (page.url, canonical_link) if url}
        self._open_graph = open_graph(page)

    def extraction(self) -> Extraction:
        page = self._page
        if page.status >= 400:
            return Extraction(page.url, page_kind(page, 0, 0, 0), title=page.title, encoding=page.encoding)
        breadcrumb = self._read_data()
        visible = read_markup(page)
        if self._main is None and not self._is_list and _is_product_page(page, visible):
            self._main = Product(title=visible.heading, price=visible.price)
        self._read_open_graph(certain=False)
        for image in visible.images:
            self._add_image(image, visible)
        return self._result(visible, breadcrumb or visible.breadcrumb)

    def _read_data(self) -> tuple[str, ...]:
        """Apply all rules that do not use the markup, and return the breadcrumb."""
        page, by_recipe = self._page, self._by_recipe
        if by_recipe:
            self._apply(Rule.RECIPE, by_recipe.products)
        linked, micro = json_ld(page), microdata(page)
        self._apply(Rule.JSON_LD, linked.products)
        self._apply(Rule.MICRODATA, micro.products)
        self._read_open_graph(certain=True)
        self._apply(Rule.STATE, products_in_scripts(page))
        return linked.breadcrumb or micro.breadcrumb

    def _read_open_graph(self, *, certain: bool) -> None:
        """Use the Open Graph data.

        It describes the product of the page if it says so itself (`certain`), or if all other rules say so.
        """
        if self._open_graph is None or self._open_graph[1] is not certain:
            return
        product = self._open_graph[0]
        if self._is_list or not (certain or self._main):
            self._leave_out(product, LeftOut.NO_PRODUCT)
        else:
            self._add_main_product(Rule.OPEN_GRAPH, product)

    def _apply(self, rule: Rule, products: list[Product]) -> None:
        own = [p for p in products if p.url is None or _canonical_or_same(p.url) in self._own_urls]
        if self._main is None and not self._is_list and products:
            self._is_list = len({product.title for product in own}) != 1
        for product in products:
            url = None if product in own else product.url
            if self._is_list:
                self._add_listed_product(rule, product, url)
            elif url is None and (self._main is None or self._is_main(product)):
                self._add_main_product(rule, product)
            else:
                if url:
                    self._linked_urls.setdefault(url)
                self._leave_out(product, LeftOut.OTHER_PRODUCT)

    def _is_main(self, product: Product) -> bool:
        main_title = ((self._main.title if self._main else None) or "").casefold()
        title = (product.title or "").casefold()
        if main_title in title or title in main_title:
            return True
        return any(self._album.find(variants) for variants in product.pictures)

    def _add_main_product(self, rule: Rule, product: Product) -> None:
        if self._main is None:
            self._main = Product()
        main = self._main
        main.title, main.price = main.title or product.title, main.price or product.price
        main.category = main.category or product.category
        self._add_pictures(rule, product, None)

    def _add_listed_product(self, rule: Rule, product: Product, url: str | None) -> None:
        key = _canonical_or_same(url) if url else None
        existing = self._products_by_url.get(key) if key else None
        if existing is None and self._list_is_complete and rule is not Rule.RECIPE:
            self._leave_out(product, LeftOut.NO_PRODUCT)
            return
        if existing is None:
            if key:
                self._products_by_url[key] = product
            self._add_pictures(rule, product, url)
            return
        existing.title, existing.price = existing.title or product.title, existing.price or product.price
        existing.category = existing.category or product.category
        if existing.pictures:
            self._leave_out(product, LeftOut.DUPLICATE)
        else:
            existing.pictures = product.pictures
            self._add_pictures(rule, product, url)

    def _add_pictures(self, rule: Rule, product: Product, url: str | None) -> None:
        for variants in product.pictures:
            alt = next((product.alts[variant.url] for variant in variants if variant.url in product.alts), None)
            self._album.add(Picture(rule, variants, product.title, product.price, alt, product.category, url))

    def _leave_out(self, product: Product, why: LeftOut) -> None:
        for variants in product.pictures:
            existing = self._album.find(variants)
            if existing is None:
                self._left_out.setdefault(key_of(variants[0].url), why)
            else:
                existing.fill_in(Picture(existing.rule, variants))

    def _add_image(self, image: PageImage, visible: PageMarkup) -> None:
        listed = self._products_by_url.get(_canonical_or_same(image.link)) if image.link else None
        picture = Picture(image.rule, image.variants, alt=image.alt)
        if image.link and not image.furniture:
            self._linked_urls.setdefault(image.link)
        if self._album.find(image.variants):
            self._album.add(picture)
            return
        why = self._reason_against(image, visible, listed)
        if why:
            self._left_out.setdefault(key_of(image.variants[0].url), why)
            return
        if self._main is None:
            picture.title, picture.price = (listed and listed.title) or image.title or image.alt, image.price
            picture.product_url = image.link
        if listed:
            listed.pictures.append(image.variants)
        self._album.add(picture)

    def _reason_against(self, image: PageImage, visible: PageMarkup, listed: Product | None) -> LeftOut | None:
        """Return why an image that no other rule has found is left out, or None if it shows a product."""
        if image.furniture:
            return image.doubt or LeftOut.FURNITURE
        if self._main is not None:
            return image.doubt or (LeftOut.OTHER_PRODUCT if image.link else self._repeated(image))
        if listed is not None:
            return LeftOut.DUPLICATE if listed.pictures else None
        if image.price is not None and image.link and not self._list_is_complete:
            return None
        is_listing = self._is_list or visible.has_priced_cards
        if image.doubt:
            return image.doubt
        is_unlisted = self._list_is_complete or (is_listing and image.price is None)
        return LeftOut.NO_PRODUCT if is_unlisted else self._repeated(image)

    def _repeated(self, image: PageImage) -> LeftOut | None:
        seen = self._repeated_images is not None and self._repeated_images.is_repeated(image.variants[0].url)
        return LeftOut.REPEATED if seen else None

    def _result(self, visible: PageMarkup, breadcrumb: tuple[str, ...]) -> Extraction:
        page, album = self._page, self._album
        if self._repeated_images is not None:
            self._repeated_images.add_page(
                {image.variants[0].url for image in visible.images if not image.link and not image.price}
            )
        for picture in album.pictures:
            self._complete(picture, visible)
        by_recipe = self._by_recipe
        found = tuple(
            as_found(picture, page.url, rank, breadcrumb, self._label(picture, breadcrumb))
            for rank, picture in enumerate(album.pictures, 1)
        )
        pages = dict.fromkeys(url for picture in found if (url := picture.product_url))
        listed = (product.url for product in self._products_by_url.values() if product.url)
        product_pages = dict.fromkeys([*pages, *listed, *self._linked_urls])
        products = len({_canonical_or_same(p.product_url) if p.product_url else p.product.title for p in found})
        left_out = Counter(page.left_out.values())
        left_out += Counter(why for key, why in self._left_out.items() if not album.has(key))
        return Extraction(
            url=page.url,
            kind=page_kind(page, products, len(found), len(pages), is_product=self._main is not None),
            pictures=found,
            left_out=dict(left_out),
            links=find_links(page, list(product_pages), by_recipe.next_page if by_recipe else None),
            title=page.title,
            recipe=by_recipe.recipe.name if by_recipe else None,
            yields={name: tuple(values) for name, values in by_recipe.yields.items()} if by_recipe else {},
            encoding=page.encoding,
        )

    def _label(self, picture: Picture, breadcrumb: tuple[str, ...]) -> str | None:
        return self._by_recipe.label(picture.category, breadcrumb) if self._by_recipe else None

    def _complete(self, picture: Picture, visible: PageMarkup) -> None:
        """Fill in what the rule of the picture did not find, from its product."""
        main = self._main
        product = main
        if picture.product_url:
            product = self._products_by_url.get(_canonical_or_same(picture.product_url))
        if product is not None:
            picture.title, picture.price = picture.title or product.title, picture.price or product.price
            picture.category = picture.category or product.category
        if product is main and main is not None:
            open_graph_title = self._open_graph[0].title if self._open_graph else None
            picture.title = picture.title or visible.heading or open_graph_title
            picture.price = picture.price or visible.price


def _is_product_page(page: Page, visible: PageMarkup) -> bool:
    """Return whether a page looks like a product page: it has a price, and pictures without links."""
    if visible.price is None:
        return False
    if not any(not (image.link or image.furniture or image.doubt) for image in visible.images):
        return False
    cards = {image.link for image in visible.images if image.link and image.price}
    return len(cards) < _LIST_MIN_CARDS or _BUY_BUTTON.search(page.text) is not None


def _canonical_or_same(url: str) -> str:
    try:
        return canonical_url(url)
    except FetchForbidden:
        return url
