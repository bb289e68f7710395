"""Completes the product of a page from its visible text, and resolves contradictions between text and data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

from crawler.extraction.buy_box import BuyBox
from crawler.extraction.found import Rule
from crawler.extraction.page import Page
from crawler.extraction.page_text import PageText
from crawler.extraction.prices import Price
from crawler.extraction.product_data import ProductData
from crawler.words import words

_ID_PARAMETERS = frozenset(
    words(
        "pid id product productid product_id prodid item itemid item_id iid sku skuid goodsno goods_no goodsid prdno "
        "productno product_no itemno articleid article dealid deal itemcode goodscode prdcode code p_id"
    )
)
_ID_TOKEN = re.compile(r"(?=[A-Za-z.]*\d)[A-Za-z0-9.]{4,40}", re.ASCII)
_PREFIX = re.compile(r"^[A-Za-z]{1,3}(?=\d{4,}$)")
_MIN_DIGITS = 4


def complete(product: ProductData, page: Page, box: BuyBox) -> None:
    """Fill in the fields of a page's product, and decide where its data and the visible text differ."""
    text = PageText(page, box)
    seen = ProductData(title=box.heading)
    text.add_facts(seen)
    _decide_price(product, box)
    _decide_sku(product, seen.sku, page, text)
    _decide_availability(product, text.stock(), box)
    seen.sku = None
    product.fill_in(seen.found_by(Rule.TEXT))


def _decide_price(product: ProductData, box: BuyBox) -> None:
    """Take the visible price if the data has none or another one.

    Data is often older than the page, and names the price before a reduction, or the prices of all variants.
    """
    visible, known = box.price, product.price
    if visible is None or product.sources.get("price") is Rule.RECIPE:
        return
    if known is None:
        product.set("price", visible, Rule.TEXT)
    elif visible.amount != known.amount:
        same = next((price for price in product.other_prices if price.amount == visible.amount), None)
        if same is None and not box.price_is_certain:
            return
        rule = product.sources.get("price", Rule.TEXT) if same is not None else Rule.TEXT
        # A sign such as $ belongs to many currencies. The data names the currency itself.
        product.set("price", Price(visible.amount, known.currency or visible.currency), rule)
    elif known.currency is None:
        product.price = Price(known.amount, visible.currency)
    if box.list_price is not None:
        product.set("list_price", box.list_price, Rule.TEXT)


def _decide_availability(product: ProductData, stated: str | None, box: BuyBox) -> None:
    """Decide whether the product can be bought: by its data, by the words on the page, and by the button.

    A page that says that the product is sold out, and that has no button, is newer than its data. A price or a button
    without any word about the stock counts as in stock, as for the catalogs of search engines.
    """
    if product.sources.get("availability") is Rule.RECIPE:
        return
    can_buy = box.button is not None
    if stated == "OutOfStock" and not can_buy:
        if product.availability in {None, "InStock"}:
            product.set("availability", stated, Rule.TEXT)
    elif product.availability is None and (can_buy or stated == "InStock" or product.price is not None):
        product.set("availability", "InStock", Rule.TEXT)


def _decide_sku(product: ProductData, labelled: str | None, page: Page, text: PageText) -> None:
    """Decide which of the page's codes identifies the product in its shop.

    The code of the data counts if visitors see it, too, or if it is in the address. Otherwise the code that the page
    shows is the one that customers and sellers use. A code that is part of the title is that of the maker.
    """
    if product.sources.get("sku") is Rule.RECIPE:
        return
    title = f" {(product.title or '').casefold()} "
    known = product.sku
    if known and known.casefold() in title and not known.isdecimal():
        if product.mpn is None:
            product.set("mpn", known, product.sources.get("sku", Rule.TEXT))
        known = None
    address = unquote(page.url).casefold()
    if known and (known.casefold() in address or text.mentions(known)):
        return
    if labelled:
        product.set("sku", labelled, Rule.TEXT)
        return
    other = next((code for code in product.other_ids if code.casefold() in address or text.mentions(code)), None)
    if other:
        product.set("sku", other, product.sources.get("title", Rule.TEXT))
    elif known is None:
        other = next(iter(product.other_ids), None)
        found = _id_in_address(page) or other
        rule = Rule.URL if found != other else product.sources.get("title", Rule.TEXT)
        product.set("sku", found, rule)


def _id_in_address(page: Page) -> str | None:
    """Return the part of the address that the page also uses as a value of its own, which makes it an id, or None."""
    for token in _tokens(page.url):
        for candidate in dict.fromkeys([token, _PREFIX.sub("", token)]):
            if re.search(rf"""["'=:>]\s*{re.escape(candidate)}\s*["'&;,}}<]""", page.text):
                return candidate
    return None


def _tokens(url: str) -> Iterator[str]:
    """Yield the parts of an address that may be an id: parameters first, then the end of the path."""
    parts = urlsplit(url)
    for name, value in parse_qsl(parts.query):
        if name.lower().replace("-", "") in _ID_PARAMETERS and _is_id(value):
            yield value
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    for segment in reversed(segments[-3:]):
        name = re.sub(r"\.\w{2,5}$", "", segment)
        yield from (token for token in (name, *reversed(re.split(r"[-_.,;=]", name))) if _is_id(token))


def _is_id(text: str) -> bool:
    if not _ID_TOKEN.fullmatch(text):
        return False
    return sum(map(str.isdigit, text)) >= _MIN_DIGITS or (text.isupper() and len(text) >= 6)
