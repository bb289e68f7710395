"""The pages that link products: home, categories, sitemaps, feeds, robots.txt."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from html import escape
from itertools import islice

from tests.shop.catalogue import GARMENTS, Catalogue, Product, price_text
from tests.shop.pictures import CARD
from tests.shop.shelf import Shelf, attribute, document

PAGE_SIZE = 24
_MAX_SITEMAP_URLS = 5000
_FEED_ENTRIES = 20
DATE, ISO_DATE = "Mon, 02 Nov 2026 09:00:00 GMT", "2026-11-02T09:00:00Z"


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a category."""

    products: list[Product]
    total: int
    """The number of the category's products, including those that are gone and leave their places empty."""
    more: bool


def page_of(shelf: Shelf, category: str, page: int, size: int = PAGE_SIZE) -> Found:
    index = next(index for index, garment in enumerate(GARMENTS) if garment.slug == category)
    numbers = shelf.catalogue.of_category(index)
    on_page = numbers[(page - 1) * size : page * size] if page > 0 else range(0)
    products = [product for number in on_page if (product := shelf.catalogue.get(number)) is not None]
    return Found(products, len(numbers), page * size < len(numbers))


def home(shelf: Shelf) -> str:
    links = "".join(f'<p><a href="{shelf.listing(garment.slug)}">{garment.korean}</a></p>' for garment in GARMENTS)
    newest = "".join(card(shelf, product) for product in islice(shelf.catalogue, 8))
    return document(shelf, "Fixture Shop", f"<h1>Fixture Shop</h1>{links}<section>{newest}</section>")


def category(shelf: Shelf, slug: str, page: int) -> str:
    found = page_of(shelf, slug, page)
    cards = "".join(card(shelf, product) for product in found.products)
    head, links = paging(shelf, slug, page, found.more)
    return document(shelf, f"{slug} – {page}", f"<h1>{escape(slug)}</h1><ul>{cards}</ul>{links}", head)


def about(shelf: Shelf) -> str:
    """Return a page with a large picture and without products."""
    image = f"{shelf.base}/assets/story.jpg"
    head = (
        f'<meta property="og:image" content="{image}"><meta property="og:type" content="website">'
        '<script type="application/ld+json">{"@context": "https://schema.org", "@type": "AboutPage", '
        f'"name": "Our story", "image": "{image}"}}</script>'
    )
    body = '<h1>Our story</h1><p>Since 1998.</p><img src="/assets/story.jpg" alt="Our first workshop">'
    return document(shelf, "About us", body, head)


def paging(shelf: Shelf, slug: str, page: int, more: bool) -> tuple[str, str]:
    """Return the tags for the head of a category page, and the links at its end."""
    head = f'<link rel="canonical" href="{shelf.listing(slug, page)}">'
    links = '<a href="?sort=price">Cheapest first</a> '
    if page > 1:
        head += f'<link rel="prev" href="{shelf.listing(slug, page - 1)}">'
        links += f'<a href="{shelf.path(shelf.listing(slug, page - 1))}">‹</a> '
    if more:
        head += f'<link rel="next" href="{shelf.listing(slug, page + 1)}">'
        links += f'<a rel="next" href="?page={page + 1}">›</a>'
    return head, f"<p>{links}</p>"


def card(shelf: Shelf, product: Product) -> str:
    """Return a product as a listing shows it."""
    return (
        f'<li class="card"><a href="{shelf.path(shelf.page(product))}">'
        f'<img src="{shelf.path(shelf.photo(product, width=CARD, quality=60))}" alt="{attribute(product.title)}">'
        f"<b>{escape(product.title)}</b></a> <span>{price_text(product)}</span></li>"
    )


def robots(shelf: Shelf, crawl_delay: float | None = None) -> str:
    delay = f"Crawl-delay: {crawl_delay:g}\n" if crawl_delay else ""
    return (
        f"# fixture\nUser-agent: *\nDisallow: /cart\nDisallow: /private/\nDisallow: /*?sort=\n"
        f"Allow: /private/size-guide\n{delay}\nUser-agent: BadBot\nDisallow: /\n\nSitemap: {shelf.base}/sitemap.xml\n"
    )


def sitemaps(catalogue: Catalogue) -> int:
    """Return the number of parts of the sitemap. Every second part is compressed."""
    return max(2, -(-catalogue.size // _MAX_SITEMAP_URLS))


def sitemap_index(shelf: Shelf) -> str:
    names = (
        f"sitemap-{part}.xml" + (".gz" if part % 2 == 0 else "") for part in range(1, sitemaps(shelf.catalogue) + 1)
    )
    parts = "".join(f"<sitemap><loc>{shelf.base}/{name}</loc><lastmod>{ISO_DATE}</lastmod></sitemap>" for name in names)
    return _XML + f'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{parts}</sitemapindex>'


def sitemap(shelf: Shelf, part: int) -> str | None:
    """Return a part of the sitemap, or None if there are fewer parts."""
    parts, size = sitemaps(shelf.catalogue), shelf.catalogue.size
    if not 1 <= part <= parts:
        return None
    share = -(-size // parts)
    numbers = range((part - 1) * share, min(part * share, size))
    urls = "".join(
        f"<url><loc>{shelf.page(product)}</loc><lastmod>{ISO_DATE}</lastmod>"
        f"<image:image><image:loc>{shelf.photo(product)}</image:loc></image:image></url>"
        for number in numbers
        if (product := shelf.catalogue.get(number)) is not None
    )
    return (
        _XML + '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
        f'xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">{urls}</urlset>'
    )


def packed(content: str | bytes) -> bytes:
    """Return the content compressed to the same bytes at any time."""
    return gzip.compress(content.encode() if isinstance(content, str) else content, mtime=0)


def rss(shelf: Shelf) -> str:
    items = "".join(
        f"<item><title>{escape(product.title)}</title><link>{shelf.page(product)}</link>"
        f'<guid>{shelf.page(product)}</guid><pubDate>{DATE}</pubDate><enclosure url="{shelf.photo(product)}" '
        f'type="image/jpeg" length="0"/></item>'
        for product in islice(shelf.catalogue, _FEED_ENTRIES)
    )
    channel = f"<title>Fixture Shop</title><link>{shelf.base}/</link>{items}"
    return f'{_XML}<rss version="2.0"><channel>{channel}</channel></rss>'


def atom(shelf: Shelf) -> str:
    entries = "".join(
        f"<entry><title>{escape(product.title)}</title><id>{shelf.page(product)}</id><updated>{ISO_DATE}</updated>"
        f'<link rel="alternate" href="{shelf.page(product)}"/></entry>'
        for product in islice(shelf.catalogue, _FEED_ENTRIES)
    )
    return (
        f'{_XML}<feed xmlns="http://www.w3.org/2005/Atom"><title>Fixture Shop</title><id>{shelf.base}/</id>'
        f"<updated>{ISO_DATE}</updated>{entries}</feed>"
    )


_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
