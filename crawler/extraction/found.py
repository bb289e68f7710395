"""The result of extraction: pictures with their products, the reasons for pictures that were left out, and links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any

MAX_DESCRIPTION = 1_000
"""Maximum number of characters of a product's description."""


class Rule(StrEnum):
    """The rule that found a picture or a field of a product. The most trusted rule comes first."""

    RECIPE = "recipe"
    JSON_LD = "json_ld"
    MICRODATA = "microdata"
    RDFA = "rdfa"
    OPEN_GRAPH = "open_graph"
    STATE = "state"
    """`__NEXT_DATA__` and other data about products in the scripts of a page."""
    TEXT = "text"
    """The visible text of the page: its heading, and the words beside the price and the button to buy."""
    URL = "url"
    """The address of the page or of the product."""
    PICTURE = "picture"
    """`<picture>` and `srcset`."""
    LAZY = "lazy"
    NOSCRIPT = "noscript"
    IMG = "img"
    BACKGROUND = "background"
    """A CSS background in a `style` attribute."""
    LINK = "link"
    """A link to a picture file that contains no image."""
    FEED = "feed"
    """An entry of RSS or Atom, such as a product feed."""


class LeftOut(StrEnum):
    """The reason why a picture of a page was not used."""

    DATA_URI = "data_uri"
    BAD_URL = "bad_url"
    """The URL is not http or https, or it is not a URL."""
    SPACER = "spacer"
    """The declared size is smaller than a thumbnail, or the name says that it is a placeholder or a tracking pixel."""
    ICON = "icon"
    LOGO = "logo"
    SPRITE = "sprite"
    BANNER = "banner"
    """The name says so, or the declared width is more than three times the height."""
    FURNITURE = "furniture"
    """The picture is in a header, footer or menu."""
    REPEATED = "repeated"
    """The picture is on so many pages of the host that it belongs to none of their products."""
    OTHER_PRODUCT = "other_product"
    """The picture is on a product page and links to another product, whose own page a crawl reads."""
    DUPLICATE = "duplicate"
    """The picture is in a list and shows a product that already has a picture from a more trusted rule."""
    NO_PRODUCT = "no_product"
    """The page does not connect this picture with a product, but connects others."""
    TOO_MANY = "too_many"
    """The page has more pictures than are read from one page."""


class PageKind(StrEnum):
    """The kind of a page, as a crawl sees it."""

    PRODUCT = "product"
    LISTING = "listing"
    OTHER = "other"
    """The page has pictures, but it shows neither one product nor a list of products."""
    EMPTY = "empty"
    CONSENT = "consent"
    """A cookie wall, an age check, or another question that the visitor must answer first."""
    ERROR = "error"
    """An error page, whatever its status is."""


@dataclass(frozen=True, slots=True)
class Product:
    """The facts about one product on a page. All texts are those of the page. Display them as text, never as HTML.

    docs/crawling.md says which rule reads which field.
    """

    product_id: str | None = None
    """One id for all pictures of the product in its shop: `variant_of`, or else `sku`, `gtin` or `mpn`, or else `url`.
    """
    sku: str | None = None
    gtin: str | None = None
    """The digits of a GTIN with 8, 12, 13 or 14 digits."""
    mpn: str | None = None
    brand: str | None = None
    title: str | None = None
    category: str | None = None
    breadcrumb: tuple[str, ...] = ()
    price: Decimal | None = None
    """The price to pay now."""
    list_price: Decimal | None = None
    """The price before a reduction, which is higher than `price`."""
    currency: str | None = None
    """The ISO 4217 code of both prices."""
    availability: str | None = None
    """The short name of a schema.org `ItemAvailability`, such as `InStock`, `OutOfStock` or `PreOrder`."""
    color: str | None = None
    size: str | None = None
    material: str | None = None
    variant_of: str | None = None
    """The id of the product group of which this product is a variant."""
    url: str | None = None
    """The absolute URL of the product's own page."""
    description: str | None = None
    """Plain text of at most `MAX_DESCRIPTION` characters."""
    sources: Mapping[str, Rule] = field(default_factory=dict)
    """Field → the rule that found its value."""

    def as_json(self) -> dict[str, Any]:
        """Return the fields that have a value, as the JSON object in an item's provenance. Prices are texts."""
        values = {member.name: getattr(self, member.name) for member in fields(self)}
        values["breadcrumb"] = list(self.breadcrumb)
        values["sources"] = {name: rule.value for name, rule in self.sources.items()}
        return {
            name: str(value) if isinstance(value, Decimal) else value
            for name, value in values.items()
            if value not in (None, [], {})
        }


@dataclass(frozen=True, slots=True)
class FoundPicture:
    """A picture, its origin and its product."""

    url: str
    """The absolute URL of the largest variant on the page."""
    page_url: str
    rule: Rule
    rank: int
    """The position of the picture on the page, starting at 1."""
    product: Product = Product()
    """The product that the picture shows. It is empty if the page says nothing about it."""
    alt: str | None = None
    product_url: str | None = None
    """The URL of the product's own page, if that is another page, which a crawl then reads."""
    width: float | None = None
    """The width in pixels, or None if neither the page nor the URL tells it."""
    label: str | None = None
    """The weak label, if a recipe says which text to use."""


@dataclass(frozen=True, slots=True)
class Links:
    """The absolute URLs that a crawl may follow, in the order of the page and without repetitions."""

    products: tuple[str, ...] = ()
    """The product pages that a listing links to."""
    pages: tuple[str, ...] = ()
    """The other pages of this listing."""
    more: tuple[str, ...] = ()
    """Where this listing may go on, if it has no link to its next page."""
    views: tuple[str, ...] = ()
    """This page with further parameters, such as a filter or another order."""
    others: tuple[str, ...] = ()
    """All other pages of the same host."""
    translations: tuple[str, ...] = ()
    """The same page in other languages."""
    feeds: tuple[str, ...] = ()
    """RSS and Atom feeds."""
    canonical: str | None = None
    nofollow: bool = False
    noindex: bool = False


@dataclass(frozen=True, slots=True)
class Extraction:
    """Everything that was extracted from one page."""

    url: str
    kind: PageKind
    product: Product = Product()
    """The product that the page is about. It is empty if the page is not about one product."""
    pictures: tuple[FoundPicture, ...] = ()
    left_out: Mapping[LeftOut, int] = field(default_factory=dict)
    """The number of pictures that were left out, by reason."""
    links: Links = Links()
    title: str | None = None
    recipe: str | None = None
    """The name of the recipe that was used."""
    yields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field of the recipe → its value in each node. The value is empty if the field found nothing."""
    encoding: str | None = None
