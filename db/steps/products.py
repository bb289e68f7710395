"""Store the products of items, and the verdicts of their photos. The caller has locked the job's row.

A transaction that adds items, or changes the label of photos, updates the products. Stored verdicts therefore always
equal the count of the votes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Table, select, update
from sqlalchemy.orm import Session

from core.categories import CategoryWords
from core.votes import vote
from db.bulk import AddToRows, InsertMissing, UpdateRows, count_changed, in_values
from db.tables import Item, Job, Product
from db.views.products import MAX_PHOTOS, read_photos

_PRODUCTS = cast(Table, Product.__table__)
_INSERT_MISSING = InsertMissing(_PRODUCTS)
_COUNT_PICTURES = AddToRows(_PRODUCTS, ("pictures",))
_NO_VERDICT = {"label": None, "confidence": None, "has_set_apart": False, "contradicts": None}
_STORE_VERDICTS = UpdateRows(_PRODUCTS, tuple(_NO_VERDICT))


def add(session: Session, job: Job, items: Iterable[Mapping[str, Any]]) -> None:
    """Count new items, given as rows, as pictures of their products. `job.products` grows by the new products."""
    firsts: dict[str, dict[str, Any]] = {}
    counts: Counter[str] = Counter()
    for item in items:
        if item["product_id"] is not None:
            counts[item["product_id"]] += 1
            firsts.setdefault(item["product_id"], item["provenance"]["product"])
    if not counts:
        return
    words = CategoryWords(job.model_version.taxonomy)
    rows: list[dict[str, Any]] = []
    for product_id in sorted(counts):
        labels = words.labels_of(firsts[product_id].get("category"), firsts[product_id].get("breadcrumb", ()))
        fitting = None if labels is None else "\n".join(sorted(labels))
        rows.append(
            {"job_id": job.id, "product_id": product_id, "pictures": 0, "category_labels": fitting, **_NO_VERDICT}
        )
    job.products += _INSERT_MISSING.execute(session, rows)
    _COUNT_PICTURES.execute(session, [{**row, "pictures": counts[row["product_id"]]} for row in rows])
    grown = in_values(session, Product.product_id, sorted(counts))
    too_many = (Product.job_id == job.id) & (Product.pictures > MAX_PHOTOS) & grown
    count_changed(session, update(Product).where(too_many).values(_NO_VERDICT))


def count_votes(session: Session, job: Job, item_ids: Sequence[str]) -> None:
    """Let the photos of the products vote again that these items show."""
    if not job.products or not item_ids:
        return
    shown = select(Item.product_id).where(in_values(session, Item.id, item_ids))
    known = select(Product.product_id, Product.category_labels).where(
        Product.job_id == job.id, Product.product_id.in_(shown), Product.pictures <= MAX_PHOTOS
    )
    categories = {row.product_id: row.category_labels for row in session.execute(known)}
    photos = read_photos(session, job.id, sorted(categories))
    rows = []
    for product_id, of_product in photos.items():
        found, fitting = vote(of_product), categories[product_id]
        is_known = fitting is not None and found.label is not None
        rows.append(
            {
                "job_id": job.id,
                "product_id": product_id,
                "label": found.label,
                "confidence": found.confidence,
                "has_set_apart": bool(found.set_apart),
                "contradicts": found.label not in (fitting or "").split("\n") if is_known else None,
            }
        )
    _STORE_VERDICTS.execute(session, rows)
