"""The data of one product while a page is read, and how the data of several rules becomes one product."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from core.products import ID_FIELDS
from crawler.extraction.currencies import local_currency
from crawler.extraction.found import MAX_DESCRIPTION, Product, Rule
from crawler.extraction.page import tidy
from crawler.extraction.prices import Price
from crawler.extraction.variants import Variant
from crawler.words import words

TEXT_FIELDS = tuple(
    words("title sku gtin mpn brand category availability color size material variant_of url description")
)
_AVAILABILITIES = {
    name.lower(): name
    for name in words(
        "InStock OutOfStock PreOrder PreSale BackOrder Discontinued SoldOut LimitedAvailability OnlineOnly InStoreOnly "
        "MadeToOrder Reserved"
    )
}
_AVAILABILITY_SPELLINGS = {
    **dict.fromkeys(["available", "instocknow", "true", "yes", "1", "onsale", "instore"], "InStock"),
    **dict.fromkeys(["oos", "unavailable", "notavailable", "notinstock", "false", "no", "0", "outstock"], "OutOfStock"),
    **dict.fromkeys(["availablefororder", "pending", "backordered"], "BackOrder"),
    "lowstock": "LimitedAvailability",
}
_NOT_LETTERS = re.compile(r"[^a-z0-9]+")
_GTIN_LENGTHS = frozenset({8, 12, 13, 14})
_NO_VALUE = frozenset(words("none null undefined nan n/a na - -- 0 false true default brand unknown"))
_MAX_CODE = 64
"""Maximum number of characters of an SKU or MPN."""


@dataclass(slots=True)
class ProductData:
    """The data of one product. Any member can be missing or wrong."""

    pictures: list[list[Variant]] = field(default_factory=list)
    """One list of variants for each picture."""
    alts: dict[str, str] = field(default_factory=dict)
    """Picture URL → alt text or caption."""
    title: str | None = None
    price: Price | None = None
    list_price: Price | None = None
    other_prices: list[Price] = field(default_factory=list)
    """Further prices of the product, for example those of its variants and of other sellers."""
    other_ids: list[str] = field(default_factory=list)
    """Further ids that the data calls ids of the product, without saying which kind."""
    sku: str | None = None
    gtin: str | None = None
    mpn: str | None = None
    brand: str | None = None
    category: str | None = None
    availability: str | None = None
    color: str | None = None
    size: str | None = None
    material: str | None = None
    variant_of: str | None = None
    url: str | None = None
    description: str | None = None
    sources: dict[str, Rule] = field(default_factory=dict)
    """Field → the rule that found its value."""

    def found_by(self, rule: Rule) -> ProductData:
        """Note the rule for all fields that have a value, and return the product."""
        for name in (*TEXT_FIELDS, "price", "list_price"):
            if getattr(self, name) is not None:
                self.sources.setdefault(name, rule)
        return self

    def set(self, name: str, value: str | Price | None, rule: Rule) -> None:
        """Replace a field."""
        setattr(self, name, value)
        if value is None:
            self.sources.pop(name, None)
        else:
            self.sources[name] = rule

    def fill_in(self, other: ProductData) -> None:
        """Take the fields that this product does not have from another rule's data of the same product."""
        for name in TEXT_FIELDS:
            value = getattr(other, name)
            if value is not None and getattr(self, name) is None:
                setattr(self, name, value)
                if name in other.sources:
                    self.sources[name] = other.sources[name]
        if other.price is not None:
            if self.price is None:
                self.set("price", other.price, other.sources.get("price", Rule.TEXT))
                self.list_price = None
            else:
                self.other_prices.append(other.price)
        if other.list_price is not None and self.list_price is None:
            self.set("list_price", other.list_price, other.sources.get("list_price", Rule.TEXT))
        self.other_prices += other.other_prices
        self.other_ids += other.other_ids

    def as_product(self, breadcrumb: tuple[str, ...], url: str | None) -> Product:
        """Return the product in the form in which extraction returns it. `url`: the page of the product."""
        sources = dict(self.sources)
        price, list_price = self.price, self.list_price
        if list_price is not None and (price is None or list_price.amount <= price.amount):
            list_price = None
            sources.pop("list_price", None)
        currency = price.currency if price else None
        if currency is not None and "price" in sources:
            sources["currency"] = sources["price"]
            if price is not None and price.is_local and sources["price"] is Rule.TEXT:
                currency = local_currency(currency, urlsplit(url or "").hostname)
        category = self.category or (breadcrumb[-1] if breadcrumb else None)
        own = self.url or url
        if self.url is None and own is not None:
            sources["url"] = Rule.URL
        ids = {name: own if name == "url" else getattr(self, name) for name in ID_FIELDS}
        id_name, product_id = next(((name, value) for name, value in ids.items() if value), ("", None))
        if product_id is not None and id_name in sources:
            sources["product_id"] = sources[id_name]
        return Product(
            product_id=product_id,
            sku=self.sku,
            gtin=self.gtin,
            mpn=self.mpn,
            brand=self.brand,
            title=self.title,
            category=category,
            breadcrumb=breadcrumb,
            price=price.amount if price else None,
            list_price=list_price.amount if list_price else None,
            currency=currency,
            availability=self.availability,
            color=self.color,
            size=self.size,
            material=self.material,
            variant_of=self.variant_of,
            url=own,
            description=self.description,
            sources=sources,
        )


def read_availability(value: object) -> str | None:
    """Return the short name of a schema.org availability for a URL, a name or a common spelling, or None."""
    if isinstance(value, bool):
        return "InStock" if value else "OutOfStock"
    if not isinstance(value, str):
        return None
    word = _NOT_LETTERS.sub("", re.split(r"[/:#]", value.rstrip("/"))[-1].lower())
    return _AVAILABILITIES.get(word) or _AVAILABILITY_SPELLINGS.get(word)


def read_gtin(value: object) -> str | None:
    """Return the digits of a GTIN, or None if the value has another length or a wrong check digit.

    The check digit is that of the GS1 General Specifications, section 7.9.
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    digits = re.sub(r"[\s-]", "", text) if isinstance(text, str) else ""
    if len(digits) not in _GTIN_LENGTHS or not (digits.isascii() and digits.isdecimal()) or not int(digits):
        return None
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return digits if weighted % 10 == 0 else None


def read_code(value: object) -> str | None:
    """Return an SKU or MPN as text, or None if the value is none."""
    text = tidy(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    return text if text and len(text) <= _MAX_CODE and text.lower() not in _NO_VALUE else None


def read_name(value: object) -> str | None:
    """Return a brand, colour, size or material, or None if the value is a placeholder."""
    text = tidy(value, 200)
    return None if text is None or text.lower() in _NO_VALUE or "$" in text or "{" in text else text


def read_description(value: object) -> str | None:
    """Return a description without markup, cut at the end of a word."""
    text = tidy(_MARKUP.sub(" ", value)) if isinstance(value, str) and value else None
    if text is None or len(text) < MAX_DESCRIPTION:
        return text
    return text[:MAX_DESCRIPTION].rpartition(" ")[0] or text[:MAX_DESCRIPTION]


_MARKUP = re.compile(r"<[^<>]{0,2000}>")
