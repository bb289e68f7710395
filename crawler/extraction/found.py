"""The result of extraction: pictures with their origin, the reasons for pictures that were left out, and links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class Rule(StrEnum):
    """The rule that found a picture. The most trusted rule comes first."""

    RECIPE = "recipe"
    JSON_LD = "json_ld"
    MICRODATA = "microdata"
    OPEN_GRAPH = "open_graph"
    STATE = "state"
    """`__NEXT_DATA__` and other data about products in the scripts of a page."""
    PICTURE = "picture"
    """`<picture>` and `srcset`."""
    LAZY = "lazy"
    NOSCRIPT = "noscript"
    IMG = "img"


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
class FoundPicture:
    """A picture and its origin. All texts are those of the page. Display them as text, never as HTML."""

    url: str
    """The absolute URL of the largest variant on the page."""
    page_url: str
    rule: Rule
    rank: int
    """The position of the picture on the page, starting at 1."""
    title: str | None = None
    price: Decimal | None = None
    currency: str | None = None
    alt: str | None = None
    category: str | None = None
    breadcrumb: tuple[str, ...] = ()
    product_url: str | None = None
    """The URL of the product's own page, if that is another page."""
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
    others: tuple[str, ...] = ()
    """All other pages of the same host."""
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
