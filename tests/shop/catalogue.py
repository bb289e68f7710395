"""The products of the shop. Each product is computed from the seed, its site and its number, and stored nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import NamedTuple

from classifier.learning.data.synthesis.drawing import Part
from samples import garments


@dataclass(frozen=True, slots=True)
class Garment:
    """A kind of garment, which is also a category of the shop."""

    slug: str
    korean: str
    english: str
    group: str
    parts: Callable[[], list[Part]]


GARMENTS = (
    Garment("t-shirts", "티셔츠", "T-shirt", "Tops", garments.t_shirt),
    Garment("longsleeves", "긴팔 티셔츠", "Longsleeve", "Tops", garments.longsleeve),
    Garment("shirts", "셔츠", "Shirt", "Tops", garments.shirt),
    Garment("dresses", "원피스", "Dress", "Dresses", garments.dress),
    Garment("shirt-dresses", "셔츠 원피스", "Shirt dress", "Dresses", garments.sleeved_dress),
    Garment("coats", "코트", "Coat", "Outerwear", garments.coat),
    Garment("jackets", "재킷", "Jacket", "Outerwear", garments.jacket),
    Garment("pants", "바지", "Pants", "Bottoms", garments.pants),
    Garment("shorts", "반바지", "Shorts", "Bottoms", garments.shorts),
    Garment("skirts", "스커트", "Skirt", "Bottoms", garments.skirt),
    Garment("hats", "모자", "Hat", "Accessories", garments.hat),
    Garment("caps", "캡", "Cap", "Accessories", garments.cap),
    Garment("sneakers", "운동화", "Sneaker", "Shoes", garments.sneaker),
    Garment("shoes", "구두", "Shoe", "Shoes", garments.shoe),
)
CATEGORIES = {garment.slug: index for index, garment in enumerate(GARMENTS)}


class Colour(NamedTuple):
    """A colour's names, and its red, green and blue."""

    english: str
    korean: str
    rgb: tuple[int, int, int]


COLOURS = (
    Colour("Red", "레드", (196, 52, 44)),
    Colour("Navy", "네이비", (62, 82, 136)),
    Colour("Green", "그린", (72, 124, 92)),
    Colour("Camel", "카멜", (202, 158, 106)),
    Colour("Ivory", "아이보리", (246, 240, 224)),
    Colour("Pink", "핑크", (232, 150, 166)),
    Colour("Sky", "스카이", (142, 184, 224)),
    Colour("Yellow", "옐로", (236, 192, 82)),
    Colour("Grey", "그레이", (150, 152, 156)),
    Colour("Brown", "브라운", (132, 84, 58)),
    Colour("Purple", "퍼플", (128, 88, 160)),
    Colour("Black", "블랙", (72, 70, 72)),
)
CLOTHS = (("", ""), ("Striped", "스트라이프"))

_KOREAN = ("린넨 블렌드", "오버핏", "클래식", "데일리", "여름 신상", "프리미엄", "루즈핏", "빈티지")
_ENGLISH = ("Linen", "Relaxed", "Classic", "Everyday", "Slim-fit", "Men's", "Heavy 12oz", 'Petite 24"')
_EXTRAS = ("", " & Co.", " – SS26", " (2 pcs)", " / Unisex", " <3", " 100% Cotton", " [단독]")
_CURRENCIES = ("KRW", "KRW", "USD", "EUR")

_GONE, _CHANGED, _NEW = 0.05, 0.15, 0.05
"""Shares of the products that are gone, changed and new at the second visit."""


@dataclass(frozen=True, slots=True)
class Shot:
    """The motif of a photo. Photos of equal shots differ only in size, quality and file."""

    garment: int
    cloth: int
    colour: int
    view: int
    """0 for the whole garment, 1 for a detail."""

    @property
    def name(self) -> str:
        return f"{GARMENTS[self.garment].slug}-{self.cloth}-{self.colour}-{self.view}"


@dataclass(frozen=True, slots=True)
class Product:
    number: int
    title: str
    price: Decimal
    currency: str
    garment: int
    cloth: int
    colour: int
    views: int
    """The number of its photos, 1 or 2."""
    price_version: int
    photo_version: int
    """1, or 2 if the second visit finds another price or photo."""

    @property
    def category(self) -> str:
        return GARMENTS[self.garment].english

    @property
    def category_slug(self) -> str:
        return GARMENTS[self.garment].slug

    @property
    def breadcrumb(self) -> tuple[str, ...]:
        return "Home", GARMENTS[self.garment].group, self.category

    @property
    def slug(self) -> str:
        return f"{self.category_slug}-{self.number}"

    @property
    def version(self) -> int:
        return max(self.price_version, self.photo_version)

    def shot(self, view: int) -> Shot:
        return Shot(self.garment, self.cloth, self.colour, view)


class Catalogue:
    """The products of one site.

    Args:
        products: the number of products at the first visit.
        visit: 1, or 2 for the same shop some days later, when some products are gone, changed or new.
    """

    def __init__(self, seed: int, site: str, products: int, visit: int = 1) -> None:
        self.seed, self.site, self.visit = seed, site, visit
        self.first = products
        self.size = products if visit == 1 else products + max(1, round(products * _NEW))

    def __iter__(self) -> Iterator[Product]:
        """Yield all products that are on sale at this visit, in the order of their numbers."""
        return (product for number in range(self.size) if (product := self.get(number)) is not None)

    def of_category(self, garment: int) -> range:
        """Return the numbers of a category's products, including those that are gone."""
        return range(garment, self.size, len(GARMENTS))

    def get(self, number: int) -> Product | None:
        """Return the product of a number, or None if it does not exist or is gone."""
        fate = self.fate(number) if self.visit > 1 else "same"
        return _product(self.seed, self.site, number, fate) if 0 <= number < self.size and fate != "gone" else None

    def originally(self, number: int) -> Product:
        """Return the product of a number as it is at the first visit."""
        return _product(self.seed, self.site, number, "same")

    def fate(self, number: int) -> str:
        """Return the state of a product at the second visit: same, price, photo, both, gone or new."""
        if number >= self.first:
            return "new"
        random = Random(f"{self.seed} {self.site} {number} fate")
        drawn = random.random()
        if drawn < _GONE:
            return "gone"
        return random.choice(("price", "photo", "both")) if drawn < _GONE + _CHANGED else "same"


@lru_cache(maxsize=4096)
def _product(seed: int, site: str, number: int, fate: str) -> Product:
    random = Random(f"{seed} {site} {number}")
    garment = number % len(GARMENTS)
    cloth, colour = random.randrange(len(CLOTHS)), random.randrange(len(COLOURS))
    currency = random.choice(_CURRENCIES)
    price = (
        Decimal(random.randrange(9, 400)) * 1000 + 900 if currency == "KRW" else _cents(random.randrange(990, 200000))
    )
    title = _title(random, garment, cloth, colour) + f" #{number}"
    new_price, new_photo = fate in {"price", "both"}, fate in {"photo", "both"}
    if new_price:
        price = price + 1000 if currency == "KRW" else price + 10
    if new_photo:
        colour = (colour + 1) % len(COLOURS)
    versions = 1 + new_price, 1 + new_photo
    return Product(number, title, price, currency, garment, cloth, colour, 1 + (number % 3 == 0), *versions)


def _cents(number: int) -> Decimal:
    return Decimal(number) / 100


def _title(random: Random, garment: int, cloth: int, colour: int) -> str:
    korean = random.random() < 0.5
    words = (
        random.choice(_KOREAN if korean else _ENGLISH),
        CLOTHS[cloth][korean],
        COLOURS[colour].korean if korean else COLOURS[colour].english,
        GARMENTS[garment].korean if korean else GARMENTS[garment].english,
    )
    return " ".join(word for word in words if word) + random.choice(_EXTRAS)


def price_text(product: Product) -> str:
    """Return the price as a page shows it, in one of the spellings of its currency."""
    whole, cents = divmod(round(product.price * 100), 100)
    grouped = f"{whole:,}"
    dotted = grouped.replace(",", ".")
    spellings = {
        "KRW": (f"{grouped}원", f"₩{grouped}", f"KRW {grouped}", f"{grouped} 원"),
        "USD": (
            f"${grouped}.{cents:02}",
            f"US$ {grouped}.{cents:02}",
            f"USD {whole}.{cents:02}",
            f"$ {grouped}.{cents:02}",
        ),
        "EUR": (
            f"{dotted},{cents:02} €",
            f"€{grouped}.{cents:02}",
            f"{whole},{cents:02} EUR",
            f"€ {dotted},{cents:02}",
        ),
    }[product.currency]
    return spellings[product.number % len(spellings)]
