"""Measure how many products extraction finds on the fixture shop's pages, and how long one page takes on one core."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.progress import Progress

from benchmarks.run import Spread, spread
from core.fetching import Fetched, Fetcher
from crawler.extraction import Extraction, extract
from crawler.recipes import SITES, load_recipe
from tests.shop import KINDS, ProductTruth, Shop, running_shop
from tests.shop.scoring import Score

PRODUCTS = 210
ROUNDS = 5
SEARCH = "next, search by recipe"

CARDS, LINKS = 100, 400
_SHOP = "http://shop.test"

Read = Callable[[Fetched], Extraction]


@dataclass(frozen=True, slots=True)
class Kind:
    """Pages of one kind, the products on them, and the function that reads them."""

    pages: list[tuple[list[ProductTruth], Fetched]]
    read: Read

    def score(self) -> Score:
        score = Score()
        for truths, page in self.pages:
            score.count(truths, self.read(page))
        return score

    def milliseconds(self) -> float:
        """Return the milliseconds of processor time that one page takes on average."""
        started = time.process_time()
        for _, page in self.pages:
            self.read(page)
        return (time.process_time() - started) / len(self.pages) * 1e3


def run(progress: Progress) -> dict[str, Any]:
    """Return recall, precision, the shares of right titles and prices, and the time of extraction, by kind of page."""
    task = progress.add_task("extraction", total=(len(KINDS) + 1) * (ROUNDS + 1))
    with running_shop(products=PRODUCTS) as shop, Fetcher(allow=shop.allow, resolver=shop.resolver) as fetcher:
        kinds = {name: _product_pages(shop, fetcher, name) for name in KINDS}
        kinds[SEARCH] = _searches(shop, fetcher)
    scores = {}
    for name, kind in kinds.items():
        scores[name] = kind.score()
        progress.advance(task)
    times: dict[str, list[float]] = {name: [] for name in kinds}
    body = _large_page()
    url = f"{_SHOP}/c/coats"
    large = Kind([([], Fetched(url, 200, {}, body, len(body), len(body), ()))], kinds["img"].read)
    times_large: list[float] = []
    for _ in range(ROUNDS):
        for name, kind in kinds.items():
            times[name].append(kind.milliseconds())
            progress.advance(task)
        times_large.append(large.milliseconds())
    rates = [len(KINDS) * 1e3 / sum(times[name][turn] for name in KINDS) for turn in range(ROUNDS)]
    rows = {name: _row(kind, scores[name], times[name]) for name, kind in kinds.items()}
    big = {"kilobytes": len(body) / 1e3, "products": CARDS, "links": LINKS, "milliseconds": spread(times_large)}
    return {"kinds": rows, "product_pages_per_second": spread(rates), "large": big}


def _row(kind: Kind, score: Score, milliseconds: Sequence[float]) -> dict[str, float | Spread]:
    return {
        "pages": score.pages,
        "kilobytes": statistics.mean(len(page.body) for _, page in kind.pages) / 1e3,
        "recall": score.recall,
        "precision": score.precision,
        "title": score.title,
        "price": score.price,
        "milliseconds": spread(milliseconds),
    }


def _product_pages(shop: Shop, fetcher: Fetcher, name: str) -> Kind:
    pages = [([product], fetcher.get(product.url)) for product in shop.truth(name).products()]
    return Kind(pages, lambda page: extract(page.body, page.url, page.headers))


def _searches(shop: Shop, fetcher: Fetcher) -> Kind:
    recipe = load_recipe(SITES / "shopping-search.yaml")
    pages = [(list(listing.products), fetcher.get(listing.url)) for listing in shop.truth("next").searches()]
    return Kind(pages, lambda page: extract(page.body, page.url, page.headers, recipe=recipe))


def _large_page() -> bytes:
    """Return a category page like those of large shops."""
    links = "".join(f'<li class="menu__item"><a href="/c/{n}?ref=menu">Kind {n}</a></li>' for n in range(LINKS))
    cards = "".join(_card(n) for n in range(CARDS))
    style, script = ".c{color:red}" * 2_000, "function f(){return 1};" * 3_000
    return (
        f"<!doctype html><html><head><title>Coats</title><style>{style}</style></head><body><nav>{links}</nav>"
        f"<main><h1>Coats</h1>{cards}</main><script>{script}</script></body></html>"
    ).encode()


def _card(n: int) -> str:
    widths = ", ".join(f"/i/coat-{n}_{width}x.jpg {width}w" for width in range(165, 1500, 180))
    link = f'<a href="/p/coat-{n}?variant={n * 7}">'
    image = f'<img src="/i/coat-{n}_165x.jpg" srcset="{widths}" alt="Coat {n}" loading="lazy">'
    price = f'<s class="price__was">₩{n + 60},000</s><span class="price__now">₩{n + 40},000</span>'
    return (
        f'<li class="grid__item"><div class="card"><div class="card__media">{link}{image}</a></div>'
        f'<h3 class="card__title">{link}Coat {n}</a></h3><div class="price">{price}</div>'
        f'<ul class="swatches">{"<li class=swatch><span></span></li>" * 8}</ul></div></li>'
    )
