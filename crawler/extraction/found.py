"""What extraction gives: pictures with their provenance, what was left out and why, and where to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class Rule(StrEnum):
    """Which rule found a picture. In the order in which they are believed."""

    RECIPE = "recipe"
    JSON_LD = "json_ld"
    MICRODATA = "microdata"
    OPEN_GRAPH = "open_graph"
    STATE = "state"
    """`__NEXT_DATA__` and whatever else a page's scripts keep of its products."""
    PICTURE = "picture"
    """`<picture>` and `srcset`."""
    LAZY = "lazy"
    NOSCRIPT = "noscript"
    IMG = "img"


class LeftOut(StrEnum):
    """Why a picture of a page is not one of its products' pictures."""

    DATA_URI = "data_uri"
    BAD_URL = "bad_url"
    """Not http(s), or no URL at all."""
    SPACER = "spacer"
    """Declared smaller than a thumbnail, or named as a placeholder or a counting pixel."""
    ICON = "icon"
    LOGO = "logo"
    SPRITE = "sprite"
    BANNER = "banner"
    """Named so, or declared more than three times as wide as high."""
    FURNITURE = "furniture"
    """In a header, footer or menu."""
    REPEATED = "repeated"
    """On so many pages of the host that it belongs to none of them."""
    OTHER_PRODUCT = "other_product"
    """On a product's page, and leads to another's, which a crawl reads itself."""
    DUPLICATE = "duplicate"
    """In a list, of a product that a rule above has a picture of."""
    NO_PRODUCT = "no_product"
    """Nothing says that it shows a product, on a page where other pictures do."""
    TOO_MANY = "too_many"
    """Beyond what is read of one page."""


class PageKind(StrEnum):
    """What a page is to a crawl."""

    PRODUCT = "product"
    LISTING = "listing"
    OTHER = "other"
    """Pictures, but neither one product nor a list of some."""
    EMPTY = "empty"
    CONSENT = "consent"
    """A cookie wall, an age check, or another question that stands before the shop."""
    ERROR = "error"
    """An error, whatever its status says."""


@dataclass(frozen=True, slots=True)
class FoundPicture:
    """A picture and where it came from. All text is as the page has it: to be shown as text, never as HTML."""

    url: str
    """Absolute; the largest of the variants that the page offers."""
    page_url: str
    rule: Rule
    rank: int
    """1 for the first picture of the page."""
    title: str | None = None
    price: Decimal | None = None
    currency: str | None = None
    alt: str | None = None
    category: str | None = None
    breadcrumb: tuple[str, ...] = ()
    product_url: str | None = None
    """The product's own page, where the page is another."""
    width: float | None = None
    """In pixels, as far as the page or the URL says."""
    label: str | None = None
    """The weak label, where a recipe says which text is one."""


@dataclass(frozen=True, slots=True)
class Links:
    """Where a crawl may go on. Absolute, in the order of the page, each once."""

    products: tuple[str, ...] = ()
    """Pages of the products that were found on a listing."""
    pages: tuple[str, ...] = ()
    """Further pages of this listing."""
    others: tuple[str, ...] = ()
    """Every other page of the same host."""
    feeds: tuple[str, ...] = ()
    """RSS and Atom."""
    canonical: str | None = None
    nofollow: bool = False
    noindex: bool = False


@dataclass(frozen=True, slots=True)
class Extraction:
    """All that one page gave."""

    url: str
    kind: PageKind
    pictures: tuple[FoundPicture, ...] = ()
    left_out: Mapping[LeftOut, int] = field(default_factory=dict)
    """How many pictures were left out, by reason."""
    links: Links = Links()
    title: str | None = None
    recipe: str | None = None
    """The name of the recipe that was used."""
    yields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field of the recipe → of each node what it gave, empty where it gave nothing."""
    encoding: str | None = None
