"""What the shop holds, for whoever has to find it: the kinds of pages with their rules, and each product's truth."""

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
    """Which photo it is: files with the same shot are the same photo, whichever product they belong to."""
    width: int
    height: int
    make: Callable[[], bytes]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.make()).hexdigest()


@dataclass(frozen=True, slots=True)
class ProductTruth:
    """What is to be found on a product page, or of one product in a listing."""

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
    """What the rule finds."""
    also: tuple[PictureTruth, ...] = ()
    """Further photos of the product, which the page only shows, in its own size: whoever takes them is right, too."""


@dataclass(frozen=True, slots=True)
class ListingTruth:
    """What is to be found on a page of results; `query` is the word that was searched for."""

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
    """A kind of product page: how it is written, which rule finds the product on it, and what that rule finds."""

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
"""By the name of their site. The rules' order is that of docs: what stands above wins where a page has several."""


class SiteTruth:
    """The truth of one site: computed as it is asked for, whatever the shop's size."""

    def __init__(self, kind: str, shelf: Shelf) -> None:
        self.kind, self.shelf = kind, shelf

    def products(self) -> Iterator[ProductTruth]:
        return (self.product(product) for product in self.shelf.catalogue)

    def product(self, product: Product) -> ProductTruth:
        kind, shelf, catalogue = KINDS[self.kind], self.shelf, self.shelf.catalogue

        def picture(url: str, view: int, width: int, quality: int) -> PictureTruth:
            make = partial(photo, catalogue.seed, catalogue.site, product, view, width, quality)
            return PictureTruth(url, product.shot(view).name, width, width * 4 // 3, make)

        told, there = kind.views(product), range(product.views)
        pictures = tuple(picture(kind.url(shelf, product, view), view, LARGEST, BEST) for view in there[:told])
        shown = tuple(picture(shelf.photo(product, view, *SHOWN), view, *SHOWN) for view in there[told:])
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
        """Every page of results of every category's Korean name, on the site `next`."""
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
        """In a list a product has its first photo only."""
        whole = self.product(product)
        return replace(whole, pictures=whole.pictures[:1], also=())

    def fates(self) -> Iterator[tuple[str, str]]:
        """The URL of every product page of both visits, and what the second visit finds: see Catalogue.fate."""
        catalogue = self.shelf.catalogue
        for number in range(catalogue.size):
            slug = f"{GARMENTS[number % len(GARMENTS)].slug}-{number}"
            yield f"{self.shelf.base}/p/{slug}", catalogue.fate(number)

    def write(self, path: Path) -> None:
        """One line of JSON for each product page, the SHA-256 of its pictures included."""
        with path.open("w", encoding="utf-8") as file:
            for product in self.products():
                file.write(json.dumps(as_json(product), ensure_ascii=False) + "\n")


def as_json(product: ProductTruth) -> dict[str, object]:
    names = ("url", "kind", "variant", "rule", "title", "currency", "category", "breadcrumb")
    pictures = [
        {"url": one.url, "sha256": one.sha256, "width": one.width, "height": one.height, "shot": one.shot}
        for one in product.pictures
    ]
    return {name: getattr(product, name) for name in names} | {"price": str(product.price), "pictures": pictures}
