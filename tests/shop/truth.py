"""The expected result of a crawl of the shop: the kinds of pages with their rules, and each product's truth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from tests.shop import embedded, listings, markup, structured
from tests.shop.catalogue import GARMENTS, Product
from tests.shop.pictures import BEST, LARGEST, photo
from tests.shop.shelf import SHOWN, Shelf


@dataclass(frozen=True, slots=True)
class PictureTruth:
    """The largest file of one photo of a product."""

    url: str
    shot: str
    """The name of its shot. Files of the same shot show the same photo, even if they belong to different products."""
    width: int
    height: int
    make: Callable[[], bytes]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.make()).hexdigest()


@dataclass(frozen=True, slots=True)
class ProductTruth:
    """The expected result of a product page, or of one product of a listing."""

    url: str
    kind: str
    variant: str
    rule: str
    title: str
    price: Decimal
    currency: str
    category: str
    breadcrumb: tuple[str, ...]
    pictures: tuple[PictureTruth, ...]
    """The pictures that the rule finds."""
    also: tuple[PictureTruth, ...] = ()
    """Further photos of the product that the page shows in its own size. Finding them is right as well."""


@dataclass(frozen=True, slots=True)
class ListingTruth:
    """The expected result of a page of search results for `query`."""

    url: str
    kind: str
    rule: str
    query: str
    page: int
    products: tuple[ProductTruth, ...]


def _all_views(product: Product) -> int:
    return product.views


def _usual(shelf: Shelf, product: Product, view: int) -> str:
    return shelf.photo(product, view)


def _no_variant(_: Product) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of product page: its markup, the rule that reads it, and the pictures that the rule finds."""

    rule: str
    page: Callable[[Shelf, Product], str]
    views: Callable[[Product], int] = _all_views
    url: Callable[[Shelf, Product, int], str] = _usual
    variant: Callable[[Product], str] = _no_variant


KINDS = {
    "json-ld": Kind("json_ld", structured.json_ld, structured.json_ld_views, variant=structured.json_ld_variant),
    "json-ld-broken": Kind("json_ld", structured.broken_json_ld, views=lambda _: 1, variant=structured.broken_variant),
    "microdata": Kind("microdata", structured.microdata, variant=structured.microdata_variant),
    "open-graph": Kind("open_graph", structured.open_graph),
    "next": Kind("state", embedded.next_page),
    "state": Kind("state", embedded.state_page, variant=embedded.state_variant),
    "picture": Kind("picture", markup.picture, url=markup.picture_url, variant=markup.picture_variant),
    "lazy": Kind("lazy", markup.lazy, url=markup.lazy_url, variant=markup.lazy_variant),
    "noscript": Kind("noscript", markup.noscript),
    "img": Kind("img", markup.plain),
}
"""The kinds by the name of their site, in the precedence of their rules: if a page has several, the first one wins."""


class SiteTruth:
    """The truth of one site. It is computed on each call, so its memory does not grow with the shop's size."""

    def __init__(self, kind: str, shelf: Shelf) -> None:
        self.kind, self.shelf = kind, shelf

    def products(self) -> Iterator[ProductTruth]:
        return (self.product(product) for product in self.shelf.catalogue)

    def product(self, product: Product) -> ProductTruth:
        kind, shelf, catalogue = KINDS[self.kind], self.shelf, self.shelf.catalogue

        def picture(url: str, view: int, width: int, quality: int) -> PictureTruth:
            make = partial(photo, catalogue.seed, catalogue.site, product, view, width, quality)
            return PictureTruth(url, product.shot(view).name, width, width * 4 // 3, make)

        views, found_by_rule = range(product.views), kind.views(product)
        pictures = tuple(picture(kind.url(shelf, product, view), view, LARGEST, BEST) for view in views[:found_by_rule])
        shown = tuple(picture(shelf.photo(product, view, *SHOWN), view, *SHOWN) for view in views[found_by_rule:])
        return ProductTruth(
            url=shelf.page(product),
            kind=self.kind,
            variant=kind.variant(product),
            rule=kind.rule,
            title=product.title,
            price=product.price,
            currency=product.currency,
            category=product.category,
            breadcrumb=product.breadcrumb,
            pictures=pictures,
            also=shown,
        )

    def searches(self, size: int = embedded.SEARCH_SIZE) -> Iterator[ListingTruth]:
        """Yield every page of results for the Korean name of every category, on the site `next`."""
        for garment in GARMENTS:
            for page in range(1, 1_000_000):
                found = listings.page_of(self.shelf, garment.slug, page, size)
                if not found.products:
                    break
                query = {"query": garment.korean, "pagingIndex": page, "pagingSize": size}
                yield ListingTruth(
                    url=f"{self.shelf.base}/search/all?{urlencode(query)}",
                    kind="next-search",
                    rule="recipe",
                    query=garment.korean,
                    page=page,
                    products=tuple(self._listed(product) for product in found.products),
                )

    def _listed(self, product: Product) -> ProductTruth:
        """Return the truth of a product in a list, which shows only its first photo."""
        whole = self.product(product)
        return replace(whole, pictures=whole.pictures[:1], also=())

    def fates(self) -> Iterator[tuple[str, str]]:
        """Yield the URL of every product page of both visits, and what the second visit finds (see Catalogue.fate)."""
        catalogue = self.shelf.catalogue
        for number in range(catalogue.size):
            slug = f"{GARMENTS[number % len(GARMENTS)].slug}-{number}"
            yield f"{self.shelf.base}/p/{slug}", catalogue.fate(number)

    def write(self, path: Path) -> None:
        """Write a line of JSON for each product page, with the SHA-256 of its pictures."""
        with path.open("w", encoding="utf-8") as file:
            for product in self.products():
                file.write(json.dumps(as_json(product), ensure_ascii=False) + "\n")


def as_json(product: ProductTruth) -> dict[str, object]:
    names = ("url", "kind", "variant", "rule", "title", "currency", "category", "breadcrumb")
    pictures = [
        {
            "url": picture.url,
            "sha256": picture.sha256,
            "width": picture.width,
            "height": picture.height,
            "shot": picture.shot,
        }
        for picture in product.pictures
    ]
    return {name: getattr(product, name) for name in names} | {"price": str(product.price), "pictures": pictures}
