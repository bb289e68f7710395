"""Product pages without structured data: `<picture>`, srcset, lazy loading, `<noscript>`, plain `<img>`."""

from __future__ import annotations

from tests.shop.catalogue import Product
from tests.shop.pictures import WIDTHS
from tests.shop.shelf import PLACEHOLDER, Shelf, attribute, breadcrumb, buy_box, document, related

PICTURE = ("widths", "densities", "commas", "srcset")
LAZY = ("data-src", "data-srcset", "data-original", "data-lazy-src", "source")


def picture_variant(product: Product) -> str:
    return PICTURE[product.number % len(PICTURE)]


def lazy_variant(product: Product) -> str:
    return LAZY[product.number % len(LAZY)]


def picture_url(shelf: Shelf, product: Product, view: int) -> str:
    """Return the URL of the largest photo on a page of the site `picture`."""
    commas = picture_variant(product) == "commas"
    return shelf.photo_by_commas(product, view) if commas else shelf.photo(product, view)


def lazy_url(shelf: Shelf, product: Product, view: int) -> str:
    by_query = lazy_variant(product) == "data-original"
    return shelf.photo_by_query(product, view) if by_query else shelf.photo(product, view)


def picture(shelf: Shelf, product: Product) -> str:
    return _page(shelf, product, [_picture(shelf, product, view) for view in range(product.views)])


def _picture(shelf: Shelf, product: Product, view: int) -> str:
    _, small, middle, large, largest = WIDTHS
    alt = attribute(product.title)

    def url(width: int, kind: str = "jpg") -> str:
        return shelf.path(shelf.photo(product, view, width, kind=kind))

    fallback = f'<img src="{url(small)}" alt="{alt}">'
    match picture_variant(product):
        case "widths":
            webp = f"{url(small, 'webp')} {small}w, {url(middle, 'webp')} {middle}w"
            jpeg = f"{url(middle)} {middle}w, {url(largest)} {largest}w, {url(large)} {large}w"
            return (
                f'<picture><source type="image/webp" srcset="{webp}" sizes="50vw">'
                f'<source media="(min-width: 700px)" srcset="{jpeg}" sizes="50vw">{fallback}</picture>'
            )
        case "densities":
            return f'<picture><source srcset="{url(middle)}, {url(largest)} 2x">{fallback}</picture>'
        case "commas":
            widths = ",\n ".join(
                f"{shelf.path(shelf.photo_by_commas(product, view, width))} {width}w" for width in WIDTHS
            )
            return f'<picture><source srcset="{widths}">{fallback}</picture>'
        case _:
            widths = ", ".join(f"{url(width)} {width}w" for width in reversed(WIDTHS))
            return f'<img src="{url(small)}" srcset="{widths}" sizes="(max-width: 600px) 100vw, 600px" alt="{alt}">'


def lazy(shelf: Shelf, product: Product) -> str:
    return _page(shelf, product, [_lazy(shelf, product, view) for view in range(product.views)])


def _lazy(shelf: Shelf, product: Product, view: int) -> str:
    name = lazy_variant(product)
    url = attribute(shelf.path(lazy_url(shelf, product, view)))
    if name == "source":
        small = shelf.path(shelf.photo(product, view, 200))
        return (
            f'<picture><source data-srcset="{small} 200w, {url} 800w" type="image/jpeg">'
            f'<img class="lazyload" src="{PLACEHOLDER}" data-src="{small}" alt="{attribute(product.title)}"></picture>'
        )
    if name == "data-srcset":
        url = f"{shelf.path(shelf.photo(product, view, 400))} 400w, {url} 800w"
    placeholder = PLACEHOLDER if product.number % 2 else "/assets/spacer.gif"
    return f'<img class="lazyload" src="{placeholder}" {name}="{url}" alt="{attribute(product.title)}">'


def noscript(shelf: Shelf, product: Product) -> str:
    images = [
        f'<img class="js-only" src="{PLACEHOLDER}" alt="">'
        f'<noscript><img src="{shelf.path(shelf.photo(product, view))}" alt="{attribute(product.title)}"></noscript>'
        for view in range(product.views)
    ]
    return _page(shelf, product, images)


def plain(shelf: Shelf, product: Product) -> str:
    images = [
        f"<IMG SRC='{shelf.path(shelf.photo(product, view))}' alt=\"{attribute(product.title)}\" width=800>"
        for view in range(product.views)
    ]
    return _page(shelf, product, images)


def _page(shelf: Shelf, product: Product, images: list[str]) -> str:
    body = [
        breadcrumb(shelf, product),
        '<div class="gallery">',
        *images,
        "</div>",
        buy_box(product),
        related(shelf, product),
    ]
    title = f"{product.title} | Fixture Shop"
    return document(shelf, title, "\n".join(body), canonical=shelf.page(product))
