"""The comparison of extracted fields with the truth of stored pages."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.product_pages import Counts, measure

PAGE = """<html><title>Dress</title><main><h1>Dress</h1><img src="/i/a.jpg"><b class="price">{price}</b>
<p>SKU: {sku}</p></main></html>"""


def test_pages_are_compared_with_all_accepted_values(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(PAGE.format(price="€39.90", sku="A-1"), "utf-8")
    (tmp_path / "b.html.gz").write_bytes(gzip.compress(PAGE.format(price="€5", sku="B-2").encode()))
    (tmp_path / "c.html").write_text("<html><p>Nothing</p></html>", "utf-8")
    (tmp_path / "unknown.html").write_text("<html></html>", "utf-8")
    truth = {
        "a": {"price": ["39.9"], "sku": ["X", "A-1"], "availability": ["InStock"], "currency": ["€"]},
        "b": {"price": ["6"], "availability": ["PreOrder"]},
        "c": {"sku": ["C-3"], "brand": ["Acme"]},
    }
    (tmp_path / "truth.json").write_text(
        json.dumps({name: {"url": f"https://shop.example/{name}"} | fields for name, fields in truth.items()}), "utf-8"
    )
    report = measure(tmp_path)
    assert report.kinds == {"product": 2, "empty": 1}
    assert report.fields["price"] == Counts(right=1, wrong=1, missed=1)
    assert report.fields["sku"] == Counts(right=1, wrong=1, missed=1)
    assert report.fields["availability"] == Counts(right=2)
    assert report.fields["brand"] == Counts(missed=1)
    assert [(m.page, m.field, m.expected, m.found) for m in report.mistakes if m.field in {"price", "kind"}] == [
        ("b", "price", "6", "5"),
        ("c", "kind", "product", "empty"),
    ]
    assert report.as_json()["known_as_product"] == pytest.approx(2 / 3)


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    counts = Counts(right=6, wrong=2, missed=4)
    assert (counts.precision, counts.recall) == (0.75, 0.6)
    assert counts.f1 == pytest.approx(2 / 3)
    assert Counts().f1 == 1.0
