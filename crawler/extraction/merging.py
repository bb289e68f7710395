"""Merges the finds of several rules, so that each picture of a page is kept once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from crawler.extraction.found import FoundPicture, Product, Rule
from crawler.extraction.product_data import ProductData
from crawler.extraction.variants import UNSIZED, Variant, key_of, largest

_MAX_VARIANTS = 100


@dataclass(slots=True)
class Picture:
    """A picture and its data so far. The data of a more trusted rule stays. Later rules fill in what is missing."""

    rule: Rule
    variants: list[Variant]
    product: ProductData = field(default_factory=ProductData)
    """The product that the picture shows. Pictures of one product share it."""
    alt: str | None = None
    link: str | None = None
    """The URL of the product's own page, if that is another page."""
    best: Variant = field(init=False)

    def __post_init__(self) -> None:
        self.best = largest(self.variants)

    def fill_in(self, other: Picture) -> None:
        new = [variant for variant in other.variants if variant not in self.variants]
        if new and len(self.variants) < _MAX_VARIANTS:
            self.variants += new
            self.best = largest(self.variants)
        self.alt = self.alt or other.alt
        self.link = self.link or other.link
        if other.product is not self.product:
            self.product.fill_in(other.product)


class Album:
    """The pictures of a page in the order in which they were found."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self._by_key: dict[str, Picture] = {}

    def find(self, variants: Iterable[Variant]) -> Picture | None:
        """Return the picture to which one of these files belongs, or None."""
        return next((self._by_key[key] for variant in variants if (key := key_of(variant.url)) in self._by_key), None)

    def has(self, key: str) -> bool:
        return key in self._by_key

    def add(self, picture: Picture) -> Picture:
        """Add a picture, or merge it into the same picture if that exists. Return the picture that is kept."""
        kept = self.find(picture.variants)
        if kept is None:
            kept = picture
            self.pictures.append(picture)
        else:
            kept.fill_in(picture)
        for variant in picture.variants:
            self._by_key.setdefault(key_of(variant.url), kept)
        return kept


def as_found(picture: Picture, page_url: str, rank: int, product: Product, label: str | None) -> FoundPicture:
    """Return the picture in the form in which extraction returns it."""
    size = picture.best.size
    return FoundPicture(
        url=picture.best.url,
        page_url=page_url,
        rule=picture.rule,
        rank=rank,
        product=product,
        alt=picture.alt,
        product_url=picture.link,
        width=size if size < UNSIZED else None,
        label=label,
    )
