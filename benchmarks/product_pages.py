"""Measure extraction on stored product pages with known truth: `python -m benchmarks.product_pages FOLDER`.

FOLDER contains the pages as `<id>.html` or `<id>.html.gz`, beside `truth.json` or in `pages.tar`. The truth has the
form of the product extraction benchmark of Zyte (https://github.com/scrapinghub/product-extraction-benchmark): id →
field → list of accepted values, and `url`, the address of the page.

A value of the extraction is compared with all accepted values of its field:

* `price` as a decimal number. The currency is a field of its own.
* `sku` and `mpn` letter for letter.
* `gtin` as a number, because leading zeros only make a GTIN longer.
* `availability` as `InStock` or `OutOfStock`. `OutOfStock`, `SoldOut` and `Discontinued` are out of stock. All other
  values of schema.org mean that the product can be ordered. A missing value is wrong, as for all other fields. The
  original benchmark counts it as `InStock` instead.
* `currency` as an ISO 4217 code. A sign in the truth stands for all currencies that use it.
* `brand` without regard to case.

A right value is a true positive. A wrong one is a false positive, and also a false negative if the truth has a value. A
missing one is a false negative. A value where the truth has none is a false positive for price, sku and availability,
which the authors of the benchmark looked up on all pages. They noted the other fields only here and there.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from crawler.extraction import Extraction, PageKind, extract

_OUT_OF_STOCK = frozenset({"OutOfStock", "SoldOut", "Discontinued"})
_CURRENCIES_BY_SIGN = {
    "$": {"USD", "CAD", "AUD", "NZD", "HKD", "TWD", "SGD", "MXN", "CLP", "COP", "ARS", "UYU"},
    "€": {"EUR"},
    "£": {"GBP"},
    "¥": {"JPY", "CNY"},
    "₩": {"KRW"},
    "₹": {"INR"},
    "₽": {"RUB"},
    "zł": {"PLN"},
    "kč": {"CZK"},
    "ft": {"HUF"},
    "lei": {"RON"},
    "kn": {"HRK"},
    "kr": {"SEK", "NOK", "DKK", "ISK"},
    "rs": {"PKR", "INR", "LKR", "NPR", "MUR"},
    "r$": {"BRL"},
    "ر.س": {"SAR"},
}


@dataclass(slots=True)
class Counts:
    """How often the values of one field are right or wrong."""

    right: int = 0
    wrong: int = 0
    """False positives."""
    missed: int = 0
    """False negatives."""

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    def count(self, truth: set[Any], value: Any, *, is_complete: bool) -> bool:
        """Count a value and return whether it is right. `is_complete`: whether no truth means that there is none."""
        if value is None:
            self.missed += bool(truth)
            return not truth
        if value in truth:
            self.right += 1
            return True
        if truth or is_complete:
            self.wrong += 1
            self.missed += bool(truth)
            return False
        return True


def _exact(text: str) -> set[Any]:
    return {text.strip()}


def _number(text: str) -> set[Any]:
    try:
        return {Decimal(text.strip())}
    except InvalidOperation:
        return {text}


def _availability(text: str) -> set[Any]:
    return {"OutOfStock" if text in _OUT_OF_STOCK else "InStock"}


def _currency(text: str) -> set[Any]:
    return _CURRENCIES_BY_SIGN.get(text.strip().lower(), {text.strip().upper()})


def _name(text: str) -> set[Any]:
    return {" ".join(text.casefold().split())}


FIELDS: dict[str, Callable[[str], set[Any]]] = {
    "price": _number,
    "sku": _exact,
    "availability": _availability,
    "currency": _currency,
    "brand": _name,
    "mpn": _exact,
    "gtin": _number,
}
"""Field → the function that returns the comparable forms of an accepted value."""
COMPLETE = frozenset({"price", "sku", "availability"})
"""The fields for which a missing truth means that the page has no value."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A page on which a field, or the kind of the page, is wrong."""

    page: str
    url: str
    field: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Report:
    """The result on all pages of a folder."""

    kinds: dict[PageKind, int]
    """Kind → number of pages. All pages are product pages."""
    fields: dict[str, Counts]
    mistakes: list[Mistake]

    def as_json(self) -> dict[str, Any]:
        pages = sum(self.kinds.values())
        return {
            "pages": pages,
            "known_as_product": self.kinds.get(PageKind.PRODUCT, 0) / pages if pages else 0.0,
            "kinds": {kind.value: count for kind, count in self.kinds.items()},
            "fields": {
                name: {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1}
                for name, counts in self.fields.items()
            },
        }


def measure(folder: Path) -> Report:
    """Extract all pages of a folder that the truth names, and compare them with the truth."""
    truth: dict[str, dict[str, Any]] = json.loads((folder / "truth.json").read_text("utf-8"))
    kinds: dict[PageKind, int] = {}
    fields = {name: Counts() for name in FIELDS}
    mistakes = []
    for page, body in _pages(folder):
        if page not in truth:
            continue
        accepted = truth[page]
        found = extract(body, accepted["url"])
        kinds[found.kind] = kinds.get(found.kind, 0) + 1
        if found.kind is not PageKind.PRODUCT:
            mistakes.append(Mistake(page, accepted["url"], "kind", PageKind.PRODUCT, found.kind))
        for name, comparable in FIELDS.items():
            values = accepted.get(name, [])
            expected = {form for value in values for form in comparable(value)}
            value = _value(found, name, comparable)
            if not fields[name].count(expected, value, is_complete=name in COMPLETE):
                mistakes.append(
                    Mistake(page, accepted["url"], name, ", ".join(values), "" if value is None else str(value))
                )
    return Report(kinds, fields, mistakes)


def _value(found: Extraction, name: str, comparable: Callable[[str], set[Any]]) -> Any:
    value = getattr(found.product, name)
    return None if value is None else min(comparable(str(value)))


def _pages(folder: Path) -> Iterator[tuple[str, bytes]]:
    archive = folder / "pages.tar"
    if archive.exists():
        with tarfile.open(archive) as pages:
            for member in pages:
                stored = pages.extractfile(member)
                if stored is not None:
                    yield _page_in(Path(member.name), stored.read())
        return
    for path in sorted(folder.glob("*.html*")):
        yield _page_in(path, path.read_bytes())


def _page_in(path: Path, stored: bytes) -> tuple[str, bytes]:
    return path.name.partition(".")[0], gzip.decompress(stored) if path.suffix == ".gz" else stored


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.product_pages", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder with truth.json and the pages")
    parser.add_argument("--wrong", action="store_true", help="also list the pages with wrong or missing values")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    report = measure(arguments.folder)
    out = Console()
    if arguments.json:
        print(json.dumps(report.as_json(), indent=2))
        return
    kinds = ", ".join(f"{count} {kind.value}" for kind, count in sorted(report.kinds.items()))
    out.print(f"kinds of the pages: {kinds}")
    table = Table("field", "F1", "precision", "recall", "right", "wrong", "missed")
    for name, counts in report.fields.items():
        shares = (f"{share:.3f}" for share in (counts.f1, counts.precision, counts.recall))
        table.add_row(name, *shares, str(counts.right), str(counts.wrong), str(counts.missed))
    out.print(table)
    if arguments.wrong:
        wrong = Table("page", "field", "expected", "found", "url")
        for mistake in sorted(report.mistakes, key=lambda mistake: mistake.field):
            wrong.add_row(mistake.page[:12], mistake.field, mistake.expected, mistake.found, mistake.url)
        out.print(wrong)


if __name__ == "__main__":
    main()
