"""Product pages with structured data: JSON-LD, valid and broken, microdata, Open Graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from typing import Any

from tests.shop.catalogue import Product, price_text
from tests.shop.shelf import Shelf, attribute, breadcrumb, buy_box, document, gallery, related

JSON_LD = ("string", "list", "object", "graph", "relative", "aggregate", "array")
BROKEN = ("trailing-comma", "newline-in-string", "cdata", "comments", "bad-escape", "semicolon")
MICRODATA = ("img", "link", "meta")


def json_ld_variant(product: Product) -> str:
    return JSON_LD[product.number % len(JSON_LD)]


def broken_variant(product: Product) -> str:
    return BROKEN[product.number % len(BROKEN)]


def microdata_variant(product: Product) -> str:
    return MICRODATA[product.number % len(MICRODATA)]


def json_ld_views(product: Product) -> int:
    return product.views if json_ld_variant(product) in {"list", "graph"} else 1


def json_ld(shelf: Shelf, product: Product) -> str:
    return _page(shelf, product, head=_script(json.dumps(_linked_data(shelf, product), ensure_ascii=False)))


def broken_json_ld(shelf: Shelf, product: Product) -> str:
    thing = _product(shelf, product, shelf.photo(product))
    text = json.dumps(thing, ensure_ascii=False, indent=1)
    return _page(shelf, product, head=_script(_BREAK[broken_variant(product)](text)))


_BREAK: dict[str, Callable[[str], str]] = {
    "trailing-comma": lambda text: text[:-2] + ",\n}",
    "newline-in-string": lambda text: text.replace("Made with care.", "Made with\n\tcare."),
    "cdata": lambda text: f"//<![CDATA[\n{text}\n//]]>",
    "comments": lambda text: "/* product */" + text.replace("{", "{ // of this page", 1),
    "bad-escape": lambda text: text.replace("Made with care.", r"Made with \'care\'."),
    "semicolon": lambda text: f"<!--\n{text};\n-->",
}


def _linked_data(shelf: Shelf, product: Product) -> Any:  # noqa: PLR0911 - a table of variants
    largest = [shelf.photo(product, view) for view in range(product.views)]
    objects = [{"@type": "ImageObject", "contentUrl": url, "width": 800} for url in largest]
    image = {"@type": "ImageObject", "url": largest[0], "thumbnailUrl": shelf.photo(product, width=200, quality=75)}
    match json_ld_variant(product):
        case "list":
            return _product(shelf, product, largest)
        case "object":
            return _product(shelf, product, image)
        case "graph":
            thing = _product(shelf, product, objects)
            thing.pop("@context")
            return {"@context": "https://schema.org", "@graph": [_trail(shelf, product), _seller(shelf), thing]}
        case "relative":
            return _product(shelf, product, shelf.path(largest[0]), price=float(product.price), offers_in_list=True)
        case "aggregate":
            thing = _product(shelf, product, largest[0]) | {"@type": ["Product", "Thing"]}
            offer = thing["offers"]
            thing["offers"] = {
                "@type": "AggregateOffer",
                "lowPrice": offer["price"],
                "highPrice": str(product.price + 50),
                "priceCurrency": offer["priceCurrency"],
                "offerCount": 3,
            }
            return thing
        case "array":
            grouped = f"{product.price:,}"
            return [_seller(shelf), _product(shelf, product, largest[0], price=grouped), _trail(shelf, product)]
        case _:
            return _product(shelf, product, largest[0])


def _product(
    shelf: Shelf, product: Product, image: Any, *, price: Any = None, offers_in_list: bool = False
) -> dict[str, Any]:
    offer = {
        "@type": "Offer",
        "price": str(product.price) if price is None else price,
        "priceCurrency": product.currency,
        "availability": "https://schema.org/InStock",
    }
    return {
        "@context": "https://schema.org/",
        "@type": "Product",
        "name": product.title,
        "image": image,
        "description": "Made with care.",
        "category": product.category,
        "sku": product.slug,
        "brand": {"@type": "Brand", "name": "Fixture"},
        "url": shelf.page(product),
        "offers": [offer] if offers_in_list else offer,
    }


def _trail(shelf: Shelf, product: Product) -> dict[str, Any]:
    items = [
        {"@type": "ListItem", "position": position, "name": name, "item": shelf.listing(product.category_slug)}
        for position, name in enumerate(product.breadcrumb, 1)
    ]
    return {"@type": "BreadcrumbList", "itemListElement": items}


def _seller(shelf: Shelf) -> dict[str, Any]:
    logo = {"@type": "ImageObject", "url": f"{shelf.base}/assets/logo.png"}
    return {"@type": "Organization", "name": "Fixture Shop", "logo": logo, "image": logo}


def _script(text: str) -> str:
    # Only "</" could end the script early, so shops escape only that.
    return '<script type="application/ld+json">' + text.replace("</", "<\\/") + "</script>"


def microdata(shelf: Shelf, product: Product) -> str:
    largest = [shelf.photo(product, view) for view in range(product.views)]
    title = attribute(product.title)
    images = {
        "img": "".join(f'<img itemprop="image" src="{shelf.path(url)}" alt="{title}">' for url in largest),
        "link": "".join(f'<link itemprop="image" href="{url}">' for url in largest) + gallery(shelf, product),
        "meta": "".join(f'<meta itemprop="image" content="{url}">' for url in largest) + gallery(shelf, product),
    }[microdata_variant(product)]
    price = "" if microdata_variant(product) == "meta" else f' content="{product.price}"'
    body = f"""{breadcrumb(shelf, product)}
<div itemscope itemtype="https://schema.org/Product">
<h1 itemprop="name">{escape(product.title)}</h1>
{images}
<meta itemprop="category" content="{attribute(product.category)}">
<div itemprop="offers" itemscope itemtype="http://schema.org/Offer">
<meta itemprop="priceCurrency" content="{product.currency}">
<span itemprop="price"{price}>{price_text(product)}</span></div></div>
{related(shelf, product)}"""
    return document(shelf, f"{product.title} | Fixture Shop", body, canonical=shelf.page(product))


def open_graph(shelf: Shelf, product: Product) -> str:
    pairs = [("og:type", "product"), ("og:title", product.title), ("og:url", shelf.page(product))]
    for view in range(product.views):
        pairs += [("og:image", shelf.photo(product, view)), ("og:image:width", "800"), ("og:image:height", "1066")]
    prefix = "product" if product.number % 2 else "og"
    pairs += [(f"{prefix}:price:amount", str(product.price)), (f"{prefix}:price:currency", product.currency)]
    pairs += [("og:site_name", "Fixture Shop"), ("product:category", product.category)]
    head = "\n".join(f'<meta property="{name}" content="{attribute(text)}">' for name, text in pairs)
    return _page(shelf, product, head=head)


def _page(shelf: Shelf, product: Product, *, head: str) -> str:
    body = "\n".join(
        [breadcrumb(shelf, product), gallery(shelf, product), buy_box(product), related(shelf, product)],
    )
    return document(shelf, f"{product.title} | Fixture Shop", body, head, canonical=shelf.page(product))
