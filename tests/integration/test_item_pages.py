"""Pages of items with every filter in every order, on both databases, and their query plans."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session

from core.clock import utc_now
from core.search import searchable
from db.database import Database
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import Item, ItemStatus, ItemText, Job, JobSource
from db.views import item_pages, items
from db.views.item_marks import read_marks
from db.views.item_pages import ItemCursor, ItemFilter, ItemSort
from tests.databases import make_sqlite
from tests.integration.builders import a_model, a_varied_job, review

REVIEWED = {0: "dress", 1: "dress", 2: None, 13: "shirt", 20: "shirt"}
FILTERS = [
    ItemFilter(status, labels, min_confidence=low, max_confidence=high, reviewed=reviewed)
    for status, labels, (low, high), reviewed in product(
        (None, *ItemStatus),
        (None, (), ("dress",), ("shirt", "dress")),
        ((None, None), (0.6, None), (0.6, 0.8)),
        (None, True, False),
    )
]
FILTERS += [
    ItemFilter(status, labels, predicted, reviewed=reviewed, rejected=rejected)
    for status, labels, predicted, reviewed, rejected in product(
        (None, ItemStatus.SUCCEEDED, ItemStatus.FAILED),
        (None, ("dress",)),
        (None, "shirt", "dress"),
        (None, True, False),
        (None, True, False),
    )
]
FILTERS += [
    ItemFilter(status, error=error, text=part)
    for status, error, part in product(
        (None, ItemStatus.FAILED, ItemStatus.SUCCEEDED),
        (None, "model_error", "too_large"),
        (None, "1.JPG", "SKU%", "sku_2", "Wool coat", "shop.example/3", "nothing"),
    )
]
ORDERS = [ItemSort.POSITION, ItemSort.CONFIDENCE]
"""The orders of all items. tests/integration/test_hints.py has those of hints."""
FILTERS += [ItemFilter(predicted="dress", min_confidence=0.6), ItemFilter(labels=("dress",), text="sku", reviewed=True)]


def read_all(session: Session, job_id: str, item_filter: ItemFilter, sort: ItemSort, limit: int) -> list[Item]:
    """Read all items page by page."""
    seen: list[Item] = []
    while True:
        after = ItemCursor(seen[-1].position, seen[-1].confidence) if seen else None
        page = items.list_of_job(session, job_id, item_filter, sort, after, limit)
        assert len(page) <= limit
        seen += page
        if len(page) < limit:
            return seen


def matches(item: Item, item_filter: ItemFilter) -> bool:
    confidence, low, high = item.confidence, item_filter.min_confidence, item_filter.max_confidence
    return (
        item_filter.status in (None, item.status)
        and (item_filter.labels is None or item.label in item_filter.labels)
        and (low is None or (confidence is not None and confidence >= low))
        and (high is None or (confidence is not None and confidence <= high))
        and item_filter.reviewed in (None, item.review is not None)
        and item_filter.rejected in (None, item.review is not None and item.review.rejected)
        and (item_filter.predicted is None or _predicted(item) == item_filter.predicted)
        and item_filter.error in (None, item.error_code)
        and (item_filter.text is None or any(item_filter.text.casefold() in text for text in _texts(item)))
    )


def _predicted(item: Item) -> str | None:
    return None if item.prediction is None else item.prediction.label


def _texts(item: Item) -> list[str]:
    title = ((item.provenance or {}).get("product") or {}).get("title")
    texts = (item.source_name, item.custom_id, title, item.source_url)
    return [text.casefold() for text in texts if text]


def describe(session: Session, job_id: str) -> None:
    """Give some items of a job texts to search for."""
    for item in session.scalars(select(Item).where(Item.job_id == job_id, Item.position < 12)):
        item.custom_id = f"SKU{'_' if item.position % 2 else '-'}{item.position}"
        item.source_url = f"https://shop.example/{item.position}"
        item.provenance = {"product": {"title": "Wool COAT"}} if item.position % 3 else {}
        session.get_one(ItemText, (job_id, item.position)).text = searchable(_texts(item))


def rank(item: Item, sort: ItemSort) -> tuple[float, int]:
    if sort == ItemSort.POSITION:
        return 0, item.position
    return 2 if item.confidence is None else item.confidence, item.position


@pytest.mark.parametrize("sort", ORDERS)
def test_pages_contain_every_item_once_for_all_filters_and_orders(database: Database, sort: ItemSort) -> None:
    job_id = a_varied_job(database)
    a_varied_job(database)
    review(database, job_id, REVIEWED)
    with database.writing() as session:
        describe(session, job_id)
    with database.reading() as session:
        job = session.get_one(Job, job_id)
        all_items = session.scalars(select(Item).where(Item.job_id == job_id)).all()
        counts = Counter(item.status for item in all_items)
        assert counts == {"succeeded": 20, "failed": 4, "pending": 4, "canceled": 12}
        for item_filter in FILTERS:
            matching = (item for item in all_items if matches(item, item_filter))
            expected = sorted(matching, key=lambda item: rank(item, sort))
            found = read_all(session, job_id, item_filter, sort, 3)
            assert [item.position for item in found] == [item.position for item in expected], item_filter
            marks = read_marks(session, job, item_filter, sort, 3)
            assert marks.total == len(expected), item_filter
            ends = [item.position for item in expected[2:-1:3]]
            assert [cursor.position for cursor in marks.cursors] == ends, item_filter


def test_a_group_of_very_many_labels_can_be_paged(database: Database) -> None:
    job_id = a_varied_job(database)
    labels = (*(f"label {n}" for n in range(item_pages.MAX_RUNS)), "shirt", "dress")
    with database.reading() as session:
        for sort in ORDERS:
            assert len(read_all(session, job_id, ItemFilter(labels=labels), sort, 7)) == 20


@pytest.mark.parametrize("sort", list(ItemSort))
def test_a_page_sorts_only_the_items_that_it_shows(tmp_path: Path, sort: ItemSort) -> None:
    """SQLite's query plans show it; benchmarks/paging.py measures both databases with a million items."""
    make_sqlite(tmp_path / "test.db")
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    labels: Sequence[tuple[str, ...] | None] = (None, ("dress",), ("shirt", "dress"))
    for status, names, after in product((None, *ItemStatus), labels, (None, ItemCursor(3, 0.6, 2))):
        if names and status not in (None, ItemStatus.SUCCEEDED):
            # Only succeeded items have a label, so these filters find nothing and read nothing.
            continue
        query = item_pages.select_page(select(Item.id), "job_x", ItemFilter(status, names), sort, after, 51)
        with database.reading() as session:
            plan = session.execute(text(f"EXPLAIN QUERY PLAN {written(query, database)}")).all()
        for step in (row.detail for row in plan):
            assert not step.startswith("SCAN items"), plan
        # Sorting is allowed for the merged page, whose items are looked up by their keys, but not for a run of items.
        sorted_steps = {row.parent for row in plan if "TEMP B-TREE" in row.detail}
        runs = [row for row in plan if "SEARCH items" in row.detail and "(job_id=? AND position=?)" not in row.detail]
        assert not [run.detail for run in runs if run.parent in sorted_steps], plan
    database.close()


def written(query: Select[str], database: Database) -> str:
    return str(query.compile(database.engine, compile_kwargs={"literal_binds": True}))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ÉCHARPE", ["scarf"]),
        (unicodedata.normalize("NFD", "écharpe"), ["scarf"]),
        ("코트", ["coat"]),
        (unicodedata.normalize("NFD", "코트"), ["coat"]),
        ("strasse", ["street"]),
        ("ΣΊΣΥΦΟΣ", ["greek"]),
        ("ａｃｍｅ", ["coat", "scarf"]),
        ("sku-７", ["scarf"]),
        ("8801234", ["coat"]),
        ("https://Shop.example/구두/1.JPG", ["shoes"]),
        ("%", []),
    ],
)
def test_text_is_found_in_every_script_case_and_composition(database: Database, query: str, found: list[str]) -> None:
    new = [
        NewItem(
            unicodedata.normalize("NFD", "겨울 코트.jpg"),
            None,
            custom_id="coat",
            provenance={"product": {"brand": "ACME", "gtin": "8801234567893"}},
        ),
        NewItem(
            "1.jpg",
            None,
            custom_id="scarf",
            provenance={"product": {"title": unicodedata.normalize("NFD", "Écharpe"), "sku": "SKU-7", "brand": "Acme"}},
        ),
        NewItem("Große Straße.png", None, custom_id="street"),
        NewItem("Σίσυφος", None, custom_id="greek"),
        NewItem("1.jpg", None, custom_id="shoes", source_url="https://shop.example/구두/1.jpg"),
    ]
    with database.writing() as session:
        job = submitting.create(session, NewJob("x", JobSource.ITEMS, a_model(session)), new, utc_now())
        job_id = job.id
    with database.reading() as session:
        rows = items.list_of_job(session, job_id, ItemFilter(text=query), ItemSort.POSITION, None, 10)
    assert [row.custom_id for row in rows] == found
