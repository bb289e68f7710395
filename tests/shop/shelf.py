"""The URLs of a site's products and photos, and the parts of a page that all sites share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from tests.shop import furniture, pictures
from tests.shop.catalogue import GARMENTS, Catalogue, Product, price_text
from tests.shop.pictures import BEST, LARGEST, THUMB

SHOWN = 400, 75
"""Width and quality of the photos in the gallery of a page whose structured data names larger ones."""
PLACEHOLDER = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@dataclass(frozen=True, slots=True)
class Shelf:
    """The URLs of a site under the origin `base` (`http://host:port`)."""

    base: str
    catalogue: Catalogue
    photos: str
    """The origin of the URLs of its photos: `base`, or another site's origin."""

    def page(self, product: Product) -> str:
        return f"{self.base}/p/{product.slug}"

    def listing(self, category: str, page: int = 1) -> str:
        return f"{self.base}/c/{category}" + (f"?page={page}" if page > 1 else "")

    def photo(
        self, product: Product, view: int = 0, width: int = LARGEST, quality: int = BEST, kind: str = "jpg"
    ) -> str:
        """Return the usual URL of a photo."""
        return f"{self.photos}/photos/{product.number}-{view}-{width}q{quality}.{kind}"

    def photo_by_query(self, product: Product, view: int = 0, width: int = LARGEST) -> str:
        return f"{self.photos}/i/{product.number}-{view}.jpg?w={width}&q={BEST}"

    def photo_by_commas(self, product: Product, view: int = 0, width: int = LARGEST) -> str:
        """Return a URL with commas in its path, as some image services use. A srcset may contain such URLs."""
        return f"{self.photos}/cdn/w_{width},q_{BEST}/{product.number}-{view}.jpg"

    def path(self, url: str) -> str:
        """Return a URL of this site without its origin."""
        return url.removeprefix(self.base)


def attribute(text: str) -> str:
    return escape(text, quote=True)


def document(shelf: Shelf, title: str, body: str, head: str = "", canonical: str = "") -> str:
    """Return a whole page: the site's frame of logos, icons and links around `body`."""
    if canonical:
        head = f'<link rel="canonical" href="{canonical}">\n{head}'
    categories = "".join(f'<li><a href="/c/{g.slug}">{escape(g.english)}</a></li>' for g in GARMENTS)
    return f"""<!doctype html>
<html lang="ko"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="/assets/favicon.ico">
<link rel="stylesheet" href="/assets/shop.css">
<link rel="alternate" type="application/rss+xml" href="/feed.rss">
{head}</head><body>
<header><a href="/"><img class="logo" src="/assets/logo.png" alt="Fixture Shop" width="240" height="60"></a>
<img src="/assets/logo.svg" alt=""><img src="/assets/spacer.gif" width="1" height="1" alt="">
<i style="background:url(/assets/sprite.png) 0 -64px"></i><img class="sprite" src="/assets/sprite.png" alt="">
<nav><ul>{categories}</ul>
<a href="/about">About us</a> <a href="/cart">Cart</a> <a href="javascript:void(0)">Menu</a></nav>
<img src="/assets/banner.jpg" alt="Free delivery" width="1200" height="200"></header>
<main>
{body}
</main>
<footer><img src="/assets/badge.jpg" alt="Our promise" width="400" height="400">
<img src="/assets/visa.png" alt="Visa"><img src="/assets/bank.png" alt="Bank">
<img src="{PLACEHOLDER}" data-src="/assets/chat.png" alt="Chat" width="32" height="32">
<a href="/private/offers">Members</a> <a href="/private/size-guide">Sizes</a>
<a href="mailto:shop@example.com">Mail</a> <a href="tel:+82000000">Call</a>
<img src="/assets/pixel.gif" width="1" height="1" alt=""></footer>
</body></html>
"""


def breadcrumb(shelf: Shelf, product: Product) -> str:
    *above, last = product.breadcrumb
    links = "".join(f'<li><a href="/">{escape(name)}</a></li>' for name in above)
    return (
        f'<nav class="breadcrumb" aria-label="breadcrumb"><ol>{links}'
        f'<li><a href="/c/{product.category_slug}">{escape(last)}</a></li></ol></nav>'
    )


def buy_box(product: Product) -> str:
    """Return the visible title and price. Every fifth product also shows a higher old price."""
    old = ""
    if product.number % 5 == 0:
        old = f'<del class="price-old">{_dearer(product)}</del> '
    return (
        f'<h1 class="product-title">{escape(product.title)}</h1>\n<p>{old}'
        f'<span class="price">{price_text(product)}</span></p><img src="/assets/heart.png" alt="Like" width="24">'
    )


def related(shelf: Shelf, product: Product) -> str:
    """Return links to four other products with their smallest photos, as they are at the first visit."""
    size = shelf.catalogue.first
    others = [shelf.catalogue.originally((product.number + step) % size) for step in (1, 2, 3, size // 2 + 1)]
    links = "".join(
        f'<a href="{shelf.path(shelf.page(other))}"><img src="{shelf.path(shelf.photo(other, width=THUMB))}" '
        f'width="{THUMB}" alt="{attribute(other.title)}"></a>'
        for other in others
        if other.number != product.number
    )
    return f'<aside class="related">{links}</aside>'


def gallery(shelf: Shelf, product: Product) -> str:
    """Return the photos in the size of the page, not in the largest size."""
    return "".join(
        f'<img class="gallery" src="{shelf.path(shelf.photo(product, view, *SHOWN))}" '
        f'alt="{attribute(product.title)}" width="{SHOWN[0]}">'
        for view in range(product.views)
    )


def _dearer(product: Product) -> str:
    return f"{round(product.price * 2):,}"


_PICTURES = re.compile("/(?:assets|photos|i|cdn)/")


def kind_of(url: str) -> str:
    """Return the kind of image behind a URL: largest, smaller, furniture or other."""
    match = _PICTURES.search(url)
    path = url[match.start() :] if match else ""
    if path.startswith("/assets/"):
        return "furniture" if path.removeprefix("/assets/") in {*furniture.SIZES, "logo.svg"} else "other"
    photo = parse_photo(path)
    if photo is None:
        return "other"
    _, _, width, quality, kind = photo
    return "largest" if (width, quality, kind) == (LARGEST, BEST, "jpg") else "smaller"


def parse_photo(path: str) -> tuple[int, int, int, int, str] | None:
    """Return product number, view, width, quality and format of a photo's path with query, or None for other paths."""
    head, _, query = path.partition("?")
    pieces = head.split("/")
    try:
        match pieces:
            case ["", "photos", name]:
                stem, kind = name.split(".")
                number, view, size = stem.split("-")
                width, quality = size.split("q")
            case ["", "i", name]:
                (number, view), kind = name.removesuffix(".jpg").split("-"), "jpg"
                width, quality = (part.split("=")[1] for part in query.split("&"))
            case ["", "cdn", size, name]:
                (number, view), kind = name.removesuffix(".jpg").split("-"), "jpg"
                width, quality = (part.split("_")[1] for part in size.split(","))
            case _:
                return None
        found = int(number), int(view), int(width), int(quality), kind
    except (ValueError, IndexError):
        return None
    known = found[2] in pictures.WIDTHS and found[3] in pictures.QUALITIES and kind in pictures.TYPES
    return found if known else None
