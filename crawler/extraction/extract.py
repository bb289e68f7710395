"""Applies all rules to a page in their order, and collects the pictures of its products.

docs/adr/0020-extraction-rules.md explains the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from urllib.parse import urlsplit

from crawler.extraction.by_recipe import RecipeResult, apply_recipe
from crawler.extraction.found import Extraction, FoundPicture, LeftOut, Product, Rule
from crawler.extraction.junk import RepeatedImages
from crawler.extraction.kinds import page_kind
from crawler.extraction.links import find_links
from crawler.extraction.main_product import is_named_by, own_products
from crawler.extraction.markup import PageImage, PageMarkup, read_markup
from crawler.extraction.merging import Album, Picture, as_found
from crawler.extraction.meta_tags import open_graph
from crawler.extraction.page import Page
from crawler.extraction.product_data import ProductData
from crawler.extraction.reconcile import complete
from crawler.extraction.state import products_in_scripts
from crawler.extraction.structured import json_ld, microdata, rdfa
from crawler.extraction.subject import shows_one_product
from crawler.extraction.variants import key_of
from crawler.recipes import Recipe
from crawler.urls import canonical_or_same


def extract(
    body: bytes,
    url: str,
    headers: Mapping[str, str] | None = None,
    status: int = 200,
    *,
    recipe: Recipe | None = None,
    query: str | None = None,
    repeated_images: RepeatedImages | None = None,
    from_listing: bool = False,
) -> Extraction:
    """Extract the pictures and links of a page. No content of the page makes it raise an error.

    Args:
        body: the decompressed body of the response.
        url: the URL that gave the response.
        headers: the headers of the response, with names in lower case.
        recipe: the recipe of the site, which is the first rule, or None.
        query: the search word that led to this page, for recipes whose labels are search words.
        repeated_images: the image counts of the page's host. This page is added to them.
        from_listing: whether the card of a listing leads to this page, which suggests that it shows a product.
    """
    page = Page(body, url, headers, status)
    by_recipe = apply_recipe(recipe, page, query) if recipe else None
    return _PageReader(page, by_recipe, repeated_images, from_listing=from_listing).extraction()


class _PageReader:
    """Reads one page. Each rule sees the results of the rules before it."""

    def __init__(
        self,
        page: Page,
        by_recipe: RecipeResult | None,
        repeated_images: RepeatedImages | None,
        *,
        from_listing: bool,
    ) -> None:
        self._page = page
        self._by_recipe = by_recipe
        self._repeated_images = repeated_images
        self._from_listing = from_listing
        self._album = Album()
        self._left_out: dict[str, LeftOut] = {}
        """Key of a picture → the reason why it was left out."""
        self._main: ProductData | None = None
        """The product that the page is about, or None."""
        self._is_list = by_recipe is not None and by_recipe.is_list
        self._list_is_complete = by_recipe is not None and by_recipe.is_list and bool(by_recipe.products)
        """Whether a recipe has read the whole list, so that other products on the page do not belong to the list."""
        self._products_by_url: dict[str, ProductData] = {}
        """Canonical URL of a product page → the product on this listing."""
        self._linked_urls: dict[str, None] = {}
        """The URLs to which the pictures link. It is a dict and not a set, because a dict keeps the order."""
        self._canonical_link = page.absolute(page.first("string(//link[@rel='canonical']/@href)"))
        self._own_urls = {canonical_or_same(url) for url in (page.url, self._canonical_link) if url}

    def extraction(self) -> Extraction:
        page = self._page
        if page.status >= 400:
            return Extraction(page.url, page_kind(page, 0, 0, 0), title=page.title, encoding=page.encoding)
        breadcrumb = self._read_data()
        if self._main is None and not self._is_list and self._shows_one_product:
            self._main = ProductData(title=self._visible.buy_box.heading).found_by(Rule.TEXT)
        self._read_open_graph(certain=False)
        if self._main is not None:
            complete(self._main, page, self._visible.buy_box)
        for image in self._visible.images:
            self._add_image(image)
        return self._result(breadcrumb or self._visible.breadcrumb)

    @cached_property
    def _visible(self) -> PageMarkup:
        return read_markup(self._page)

    @cached_property
    def _open_graph(self) -> tuple[ProductData, bool] | None:
        return open_graph(self._page)

    @cached_property
    def _shows_one_product(self) -> bool:
        certain = self._open_graph is not None and self._open_graph[1]
        return certain or shows_one_product(self._page, self._visible, from_listing=self._from_listing)

    @cached_property
    def _headings(self) -> list[str]:
        """The texts that name the subject of the page."""
        of_meta_tags = self._open_graph[0].title if self._open_graph else None
        return [text for text in (self._visible.buy_box.heading, of_meta_tags) if text]

    def _read_data(self) -> tuple[str, ...]:
        """Apply all rules that do not use the markup, and return the breadcrumb."""
        page, by_recipe = self._page, self._by_recipe
        if by_recipe:
            self._apply(Rule.RECIPE, by_recipe.products)
        linked, micro, annotated = json_ld(page), microdata(page), rdfa(page)
        self._apply(Rule.JSON_LD, linked.products)
        self._apply(Rule.MICRODATA, micro.products)
        self._apply(Rule.RDFA, annotated.products)
        self._read_open_graph(certain=True)
        in_scripts = products_in_scripts(page)
        self._apply(Rule.STATE, [product for product in in_scripts if product.pictures])
        for product in in_scripts:
            if self._main is not None and not product.pictures and is_named_by(product, self._headings):
                self._main.fill_in(product.found_by(Rule.STATE))
        return linked.breadcrumb or micro.breadcrumb or annotated.breadcrumb

    def _read_open_graph(self, *, certain: bool) -> None:
        """Use the meta tags.

        They describe the product of the page if they say so themselves (`certain`), or if all other rules say so.
        """
        if self._open_graph is None or self._open_graph[1] is not certain:
            return
        product = self._open_graph[0]
        if self._is_list or not (certain or self._main):
            self._leave_out(product, LeftOut.NO_PRODUCT)
        else:
            self._add_main_product(Rule.OPEN_GRAPH, product)

    def _apply(self, rule: Rule, products: list[ProductData]) -> None:
        if not products:
            return
        own = [] if self._is_list else own_products(products, self._page.url, self._own_urls, self._headings)
        if self._main is None and not own and not self._is_list:
            # The data describes only other products. They are recommendations if the page itself sells one.
            self._is_list = not self._shows_one_product
        for product in own:
            if self._main is None or self._is_main(product):
                self._add_main_product(rule, product)
            else:
                self._leave_out(product, LeftOut.OTHER_PRODUCT)
        for product in products:
            if product in own:
                continue
            if self._is_list:
                self._add_listed_product(rule, product, product.url)
            else:
                if product.url and canonical_or_same(product.url) not in self._own_urls:
                    self._linked_urls.setdefault(product.url)
                self._leave_out(product, LeftOut.OTHER_PRODUCT)

    def _is_main(self, product: ProductData) -> bool:
        main_title = ((self._main.title if self._main else None) or "").casefold()
        title = (product.title or "").casefold()
        if main_title in title or title in main_title:
            return True
        return any(self._album.find(variants) for variants in product.pictures)

    def _add_main_product(self, rule: Rule, product: ProductData) -> None:
        if self._main is None:
            self._main = ProductData()
        self._main.fill_in(product.found_by(rule))
        self._add_pictures(rule, product, self._main, None)

    def _add_listed_product(self, rule: Rule, product: ProductData, url: str | None) -> None:
        product.found_by(rule)
        key = canonical_or_same(url) if url else None
        existing = self._products_by_url.get(key) if key else None
        if existing is None and self._list_is_complete and rule is not Rule.RECIPE:
            self._leave_out(product, LeftOut.NO_PRODUCT)
            return
        if existing is None:
            if key:
                self._products_by_url[key] = product
            self._add_pictures(rule, product, product, url)
            return
        existing.fill_in(product)
        if existing.pictures:
            self._leave_out(product, LeftOut.DUPLICATE)
        else:
            existing.pictures = product.pictures
            self._add_pictures(rule, product, existing, url)

    def _add_pictures(self, rule: Rule, found: ProductData, shown: ProductData, url: str | None) -> None:
        for variants in found.pictures:
            alt = next((found.alts[variant.url] for variant in variants if variant.url in found.alts), None)
            self._album.add(Picture(rule, variants, shown, alt, url))

    def _leave_out(self, product: ProductData, why: LeftOut) -> None:
        for variants in product.pictures:
            existing = self._album.find(variants)
            if existing is None:
                self._left_out.setdefault(key_of(variants[0].url), why)
            else:
                existing.fill_in(Picture(existing.rule, variants))

    def _add_image(self, image: PageImage) -> None:
        listed = self._products_by_url.get(canonical_or_same(image.link)) if image.link else None
        picture = Picture(image.rule, image.variants, alt=image.alt)
        if image.link and not image.furniture:
            self._linked_urls.setdefault(image.link)
        if self._album.find(image.variants):
            self._album.add(picture)
            return
        why = self._reason_against(image, listed)
        if why:
            self._left_out.setdefault(key_of(image.variants[0].url), why)
            return
        if self._main is not None:
            picture.product = self._main
        else:
            card = ProductData(title=image.title, price=image.price).found_by(Rule.TEXT)
            picture.link, picture.product = image.link, listed or card
            picture.product.fill_in(card if card.title else ProductData(title=image.alt).found_by(Rule.TEXT))
        if listed:
            listed.pictures.append(image.variants)
        self._album.add(picture)

    def _reason_against(self, image: PageImage, listed: ProductData | None) -> LeftOut | None:
        """Return why an image that no other rule has found is left out, or None if it shows a product."""
        if image.furniture:
            return image.doubt or LeftOut.FURNITURE
        if self._main is not None:
            return image.doubt or (LeftOut.OTHER_PRODUCT if image.link else self._repeated(image))
        if listed is not None:
            return LeftOut.DUPLICATE if listed.pictures else None
        if image.price is not None and image.link and not self._list_is_complete:
            return None
        is_listing = self._is_list or self._visible.has_priced_cards
        if image.doubt:
            return image.doubt
        is_unlisted = self._list_is_complete or (is_listing and image.price is None)
        return LeftOut.NO_PRODUCT if is_unlisted else self._repeated(image)

    def _repeated(self, image: PageImage) -> LeftOut | None:
        seen = self._repeated_images is not None and self._repeated_images.is_repeated(image.variants[0].url)
        return LeftOut.REPEATED if seen else None

    def _result(self, breadcrumb: tuple[str, ...]) -> Extraction:
        page, album, by_recipe = self._page, self._album, self._by_recipe
        if self._repeated_images is not None:
            self._repeated_images.add_page(
                {image.variants[0].url for image in self._visible.images if not image.link and not image.price}
            )
        main = self._main.as_product(breadcrumb, self._own_url) if self._main is not None else Product()
        found = tuple(self._found(picture, rank, main, breadcrumb) for rank, picture in enumerate(album.pictures, 1))
        pages = dict.fromkeys(url for picture in found if (url := picture.product_url))
        listed = (product.url for product in self._products_by_url.values() if product.url)
        product_pages = dict.fromkeys([*pages, *listed, *self._linked_urls])
        products = len({canonical_or_same(p.product_url) if p.product_url else p.product.title for p in found})
        is_product = self._main is not None and (bool(found) or self._main.price is not None)
        left_out = Counter(page.left_out.values())
        left_out += Counter(why for key, why in self._left_out.items() if not album.has(key))
        return Extraction(
            url=page.url,
            kind=page_kind(page, products, len(found), len(pages), is_product=is_product),
            product=main,
            pictures=found,
            left_out=dict(left_out),
            links=find_links(
                page,
                list(product_pages),
                by_recipe.next_page if by_recipe else None,
                shown=products if self._main is None and not (by_recipe and by_recipe.recipe.page) else 0,
            ),
            title=page.title,
            recipe=by_recipe.recipe.name if by_recipe else None,
            yields={name: tuple(values) for name, values in by_recipe.yields.items()} if by_recipe else {},
            encoding=page.encoding,
        )

    @property
    def _own_url(self) -> str:
        """The canonical link of the page, unless it leads to the start page of the shop, or its address."""
        link = self._canonical_link
        return link if link and urlsplit(link).path.strip("/") else self._page.url

    def _found(self, picture: Picture, rank: int, main: Product, breadcrumb: tuple[str, ...]) -> FoundPicture:
        data = picture.product
        product = main if data is self._main else data.as_product(breadcrumb, picture.link)
        label = self._by_recipe.label(data.category, breadcrumb) if self._by_recipe else None
        return as_found(picture, self._page.url, rank, product, label)
