"""One picture, found by several rules, at several sizes, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from crawler.extraction.found import FoundPicture, Rule
from crawler.extraction.prices import Price
from crawler.extraction.variants import UNSIZED, Variant, key_of, largest

_MOST_VARIANTS = 100


@dataclass(slots=True)
class Picture:
    """A picture and what is known of it so far. What a rule above said stays; rules below fill in what is missing."""

    rule: Rule
    variants: list[Variant]
    title: str | None = None
    price: Price | None = None
    alt: str | None = None
    category: str | None = None
    product_url: str | None = None
    best: Variant = field(init=False)

    def __post_init__(self) -> None:
        self.best = largest(self.variants)

    def learn(self, other: Picture) -> None:
        new = [variant for variant in other.variants if variant not in self.variants]
        if new and len(self.variants) < _MOST_VARIANTS:
            self.variants += new
            self.best = largest(self.variants)
        self.title = self.title or other.title
        self.price = self.price or other.price
        self.alt = self.alt or other.alt
        self.category = self.category or other.category
        self.product_url = self.product_url or other.product_url


class Album:
    """The pictures of a page, in the order in which they were found."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self._by_key: dict[str, Picture] = {}

    def known(self, variants: Iterable[Variant]) -> Picture | None:
        """The picture that one of these files is a variant of."""
        return next((self._by_key[key] for one in variants if (key := key_of(one.url)) in self._by_key), None)

    def has(self, key: str) -> bool:
        return key in self._by_key

    def add(self, picture: Picture) -> Picture:
        """Takes a picture in, or lets the one that it is a variant of learn from it; the one that is kept."""
        kept = self.known(picture.variants)
        if kept is None:
            kept = picture
            self.pictures.append(picture)
        else:
            kept.learn(picture)
        for variant in picture.variants:
            self._by_key.setdefault(key_of(variant.url), kept)
        return kept


def as_found(
    picture: Picture, page_url: str, rank: int, breadcrumb: tuple[str, ...], label: str | None
) -> FoundPicture:
    """The picture as it leaves extraction."""
    size = picture.best.size
    return FoundPicture(
        url=picture.best.url,
        page_url=page_url,
        rule=picture.rule,
        rank=rank,
        title=picture.title,
        price=picture.price.amount if picture.price else None,
        currency=picture.price.currency if picture.price else None,
        alt=picture.alt,
        category=picture.category or (breadcrumb[-1] if breadcrumb else None),
        breadcrumb=breadcrumb,
        product_url=picture.product_url,
        width=size if size < UNSIZED else None,
        label=label,
    )
