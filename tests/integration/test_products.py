"""The products of a job over HTTP, on both databases: verdicts, filters, pages and exports."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from pyarrow import parquet
from sqlalchemy import text

from api.app import LookbookApp
from core.settings import Settings
from db.database import Database
from db.migrate import downgrade, upgrade
from db.steps import linking, submitting
from db.steps.linking import FinishedJob, FoundDuplicates
from db.steps.submitting import NewItem, NewJob
from db.tables import Item, Job, JobSource
from db.views import items
from tests.integration.apps import serving
from tests.integration.builders import NOW, POLICY, a_blob, a_model, record_chunk, review, scored

PICTURES: tuple[tuple[str, str | None, float, dict[str, Any]], ...] = (
    ("coat front", "shirt", 0.9, {"product_id": "p1", "title": "Shirt", "brand": "Aire", "category": "Shirts"}),
    ("coat back", "shirt", 0.7, {"product_id": "p1"}),
    ("coat worn", "dress", 0.8, {"product_id": "p1"}),
    ("dress", "dress", 0.6, {"sku": "D-2", "price": "39.90", "currency": "EUR", "breadcrumb": ["Women", "Shirts"]}),
    ("bag", "dress", 0.9, {"product_id": "p3", "category": "Bags"}),
    ("new", None, 0.0, {"product_id": "p4", "category": "Dresses"}),
    ("logo", "shirt", 0.5, {"title": "No id"}),
)
"""Content, predicted label (None: not yet), its confidence, and the product of each picture."""


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(settings, database) as made:
        yield made


@pytest.fixture
def job_id(database: Database) -> str:
    new_items = [
        NewItem(f"{n}.jpg", a_blob(content), provenance={"page_url": "https://shop.example/", "product": product})
        for n, (content, _, _, product) in enumerate(PICTURES)
    ]
    with database.writing() as session:
        new = NewJob("Autumn", JobSource.ITEMS, a_model(session))
        job, messages = submitting.create_with_chunks(session, new, new_items, POLICY, NOW)
    outcomes = {a_blob(content).sha256: scored(label, score) for content, label, score, _ in PICTURES if label}
    while messages:
        with database.writing() as session:
            message = messages.pop(0)
            found = items.list_pending_pictures(session, message.chunk_id)
            known = {picture: outcomes[picture[0]] for picture in found if picture[0] in outcomes}
            messages += record_chunk(session, message, known).next_chunks
    return job.id


def products(client: FlaskClient, job_id: str, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/v1/jobs/{job_id}/products?{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.get_json()["data"]
    return found


def ids(client: FlaskClient, job_id: str, query: str) -> list[str]:
    return [row["product"]["product_id"] for row in products(client, job_id, query)]


def test_each_product_has_the_verdict_of_its_photos(client: FlaskClient, job_id: str) -> None:
    dress, shirt, bag, new = products(client, job_id)
    # 0.9 + 0.7 for a shirt win over 0.8 for a dress: 1.6 of 3 votes.
    assert (shirt["verdict"]["id"], shirt["confidence"], shirt["votes"]) == ("shirt", pytest.approx(1.6 / 3), 3)
    assert (shirt["product"]["title"], shirt["product"]["brand"], shirt["pictures"]) == ("Shirt", "Aire", 3)
    assert [photo["set_apart"] for photo in shirt["photos"]] == [False, False, True]
    assert shirt["set_apart"] == [shirt["photos"][2]["id"]]
    assert shirt["photos"][0]["thumbnail"] == f"/v1/items/{shirt['photos'][0]['id']}/thumbnail"
    assert (shirt["contradicts_category"], shirt["category_labels"]) == (False, ["shirt"])
    assert (dress["product"]["product_id"], dress["product"]["price"]) == ("D-2", "39.90")
    assert (dress["contradicts_category"], dress["confidence"], dress["by_review"]) == (True, 0.6, False)
    assert (bag["contradicts_category"], bag["category_labels"]) == (None, None)
    assert (new["verdict"], new["confidence"], new["votes"], new["pictures"]) == (None, None, 0, 1)
    assert (new["contradicts_category"], new["category_labels"], new["set_apart"]) == (None, ["dress"], [])


def test_a_review_decides_the_verdict_and_undoing_it_brings_the_votes_back(
    client: FlaskClient, database: Database, job_id: str
) -> None:
    before = products(client, job_id, "product_id=p1")
    review(database, job_id, {2: "dress", 4: None})
    (shirt,) = products(client, job_id, "product_id=p1")
    assert (shirt["verdict"]["id"], shirt["confidence"], shirt["votes"]) == ("dress", 1.0, 1)
    assert (shirt["by_review"], shirt["contradicts_category"], len(shirt["set_apart"])) == (True, True, 2)
    (bag,) = products(client, job_id, "product_id=p3")
    assert (bag["verdict"], bag["set_apart"]) == (None, [])
    reviewed = shirt["photos"][2]["id"]
    assert client.delete(f"/v1/items/{reviewed}/review").status_code == 204
    assert products(client, job_id, "product_id=p1") == before


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("label=dress", ["D-2", "p3"]),
        ("contradicts=true", ["D-2"]),
        ("contradicts=false", ["p1"]),
        ("set_apart=true", ["p1"]),
        ("set_apart=false", ["D-2", "p3", "p4"]),
        ("min_confidence=0.6", ["D-2", "p3"]),
        ("max_confidence=0.6", ["D-2", "p1"]),
        ("label=dress&min_confidence=0.7", ["p3"]),
    ],
)
def test_filters_concern_the_verdict(client: FlaskClient, job_id: str, query: str, expected: list[str]) -> None:
    assert ids(client, job_id, query) == expected
    first = client.get(f"/v1/jobs/{job_id}/products?{query}&limit=1").get_json()
    pages = [first["data"]]
    while first["next_cursor"]:
        first = client.get(f"/v1/jobs/{job_id}/products?{query}&limit=1&cursor={first['next_cursor']}").get_json()
        pages.append(first["data"])
    assert [row["product"]["product_id"] for (row,) in pages] == expected


def test_a_wrong_filter_of_products_is_refused(client: FlaskClient, job_id: str) -> None:
    for query, code in (("label=hat", "unknown_label"), ("cursor=x", "bad_cursor"), ("reviewed=1", "invalid_request")):
        answer = client.get(f"/v1/jobs/{job_id}/products?{query}")
        assert (answer.status_code, answer.get_json()["code"]) == (422, code), answer.text
    assert client.get("/v1/jobs/job_x/products").status_code == 404


def test_items_are_found_by_product_and_sku(client: FlaskClient, job_id: str) -> None:
    def positions(query: str) -> list[int]:
        answer = client.get(f"/v1/jobs/{job_id}/items?{query}").get_json()
        return [item["position"] for item in answer["data"]]

    assert positions("product_id=p1") == [0, 1, 2]
    assert positions("product_id=p1&sort=confidence") == [1, 2, 0]
    assert positions("product_id=p1&label=dress") == [2]
    assert (positions("sku=D-2"), positions("product_id=D-2"), positions("sku=D")) == ([3], [3], [])


def test_products_are_exported_with_one_row_each(client: FlaskClient, job_id: str) -> None:
    rows = {kind: read(client, job_id, kind) for kind in ("jsonl", "csv", "parquet")}
    dress, shirt, bag, new = rows["jsonl"]
    known = {name: value for name, value in dress.items() if value is not None}
    item = known.pop("items")
    assert known == {
        "product_id": "D-2",
        "product_sku": "D-2",
        "product_price": "39.90",
        "product_currency": "EUR",
        "product_breadcrumb": "Women > Shirts",
        "pictures": 1,
        "verdict": "dress",
        "verdict_name": "Dress",
        "verdict_name_ko": "원피스",
        "group": "tops",
        "confidence": 0.6,
        "votes": 1,
        "by_review": False,
        "contradicts_category": True,
        "category_labels": ["shirt"],
        "set_apart": [],
    }
    assert len(item) == 1
    assert (shirt["pictures"], len(shirt["items"]), shirt["set_apart"]) == (3, 3, shirt["items"][2:])
    assert (bag["contradicts_category"], new["verdict"], new["confidence"]) == (None, None, None)
    for kind in ("csv", "parquet"):
        assert [list(row) for row in rows[kind]] == [list(row) for row in rows["jsonl"]]
    assert rows["csv"][0]["category_labels"] == rows["parquet"][0]["category_labels"] == '["shirt"]'
    assert [row["product_id"] for row in read(client, job_id, "jsonl", "contradicts=true")] == ["D-2"]
    answer = client.get(f"/v1/jobs/{job_id}/products/export")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="Autumn products (partial).csv"'


def read(client: FlaskClient, job_id: str, kind: str, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/v1/jobs/{job_id}/products/export?format={kind}&{query}")
    assert answer.status_code == 200, answer.text
    if kind == "jsonl":
        return [json.loads(line) for line in answer.text.splitlines()]
    if kind == "parquet":
        return list(parquet.read_table(io.BytesIO(answer.data)).to_pylist())
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))


def test_a_photo_that_the_linker_finds_twice_votes_once(client: FlaskClient, database: Database) -> None:
    contents = {"a": ("shirt", 0.6), "b": ("dress", 0.5), "copy of b": ("dress", 0.5)}
    new_items = [NewItem(name, a_blob(name), provenance={"product": {"product_id": "p"}}) for name in contents]
    with database.writing() as session:
        job, messages = submitting.create_with_chunks(
            session, NewJob("Copies", JobSource.ITEMS, a_model(session)), new_items, POLICY, NOW
        )
        outcomes = {(a_blob(name).sha256, ""): scored(*found) for name, found in contents.items()}
        record_chunk(session, messages[0], outcomes)
    (before,) = products(client, job.id)
    assert (before["verdict"]["id"], before["votes"]) == ("dress", 3)
    _, original, copy = (photo["id"] for photo in before["photos"])
    with database.writing() as session:
        found = FinishedJob(job.id, 3, session.get_one(Job, job.id).finished_at)
        assert linking.store(session, [FoundDuplicates(found, links=[(copy, original)], duplicates=1)])
    (after,) = products(client, job.id, "label=shirt")
    assert (after["confidence"], after["votes"], after["set_apart"]) == (0.3, 2, [original, copy])


def test_an_id_of_too_many_pictures_gets_no_verdict(client: FlaskClient, database: Database) -> None:
    product = {"product_id": "all", "title": "Everything"}
    new_items = [NewItem(f"{n}.jpg", a_blob(f"same {n}"), provenance={"product": product}) for n in range(201)]
    with database.writing() as session:
        job, messages = submitting.create_with_chunks(
            session, NewJob("Everything", JobSource.ITEMS, a_model(session)), new_items, POLICY, NOW
        )
        record_chunk(session, messages[0], {(a_blob(f"same {n}").sha256, ""): scored() for n in range(4)})
    (row,) = products(client, job.id)
    assert (row["pictures"], row["verdict"], row["votes"], len(row["photos"])) == (201, None, 0, 50)
    assert row["product"]["title"] == "Everything"
    assert products(client, job.id, "label=shirt") == []
    assert client.get(f"/v1/jobs/{job.id}").get_json()["products"] == 1


def test_an_upgrade_moves_what_items_said_about_products(database: Database, job_id: str) -> None:
    downgrade(database, "0016")
    with database.engine.begin() as connection:
        known = connection.execute(text("SELECT provenance FROM items ORDER BY position")).scalars().all()
        flat = [value if isinstance(value, dict) else json.loads(value) for value in known]
        assert flat[3].items() >= {"price": "39.90", "currency": "EUR"}.items()
        assert "product" not in flat[3]
        old = json.dumps({"title": "셔츠", "product_url": "https://shop.example/p/1", "alt": "a"})
        connection.execute(text("UPDATE items SET provenance = :old WHERE position = 0"), {"old": old})
    upgrade(database)
    with database.reading() as session:
        item = session.query(Item).filter(Item.position == 0).one()
        product = {"title": "셔츠", "url": "https://shop.example/p/1"}
        assert item.provenance == {"alt": "a", "product": product}
