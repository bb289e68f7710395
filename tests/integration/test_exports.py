"""Exports over HTTP on both databases: every format has the same rows, and no export is cut off silently."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient
from pyarrow import parquet
from sqlalchemy import select, update

from api.answers import export_formats
from api.app import LookbookApp
from core.errors import ExportBroken
from core.settings import PROJECT, Settings
from db.database import Database
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import Item, ItemStatus, Job, JobSource, Scope
from db.views import exports
from tests.integration.apps import serving
from tests.integration.builders import (
    FAILED,
    NOW,
    POLICY,
    a_blob,
    a_key,
    a_model,
    a_varied_job,
    record_chunk,
    review,
    scored,
)

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
KOREAN = '=HYPERLINK("가을 셔츠")'


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(settings, database) as made:
        yield made


def full_job(database: Database, name: str = "가을 1/2") -> str:
    """Create a job of a reviewed, a failed and a pending item with every possible field, and return its id."""
    with database.writing() as session:
        new = NewJob(name, JobSource.UPLOADS, a_model(session), top_k=2)
        new_items = [NewItem(f"{KOREAN}, {n}.jpg", a_blob(f"full {n}")) for n in range(3)]
        policy = replace(POLICY, size=1, window=3)
        job, messages = submitting.create_with_chunks(session, new, new_items, policy, NOW)
        record_chunk(session, messages[0], {(a_blob("full 0").sha256, ""): scored("shirt", 0.75)}, policy=policy)
        record_chunk(session, messages[1], {(a_blob("full 1").sha256, ""): FAILED}, policy=policy)
        first = session.scalars(select(Item).where(Item.job_id == job.id, Item.position == 0)).one()
        first.custom_id, first.source_url = "-1", "https://a.example/가.jpg"
        product = {"title": "@셔츠", "price": "+9.90", "currency": "EUR", "breadcrumb": ["여성", "셔츠"]}
        first.provenance, first.product_id = {"page_url": "https://a.example/", "product": product}, "s-1"
        first.duplicate_of, first.crop_key = "itm_first", "1,2,3x4"
        first.details = {"rank": 1, "이름": "가"}
    review(database, job.id, {0: "dress"})
    return job.id


def read(client: FlaskClient, job_id: str, kind: str, query: str = "") -> list[dict[str, Any]]:
    """Return the rows of an export, as a reader who knows the types of the columns sees them."""
    answer = client.get(f"/v1/jobs/{job_id}/export?format={kind}&{query}")
    assert answer.status_code == 200
    if kind == "jsonl":
        return [json.loads(line) for line in answer.get_data(as_text=True).splitlines()]
    if kind == "parquet":
        return list(parquet.read_table(io.BytesIO(answer.data)).to_pylist())
    text = answer.get_data(as_text=True)
    assert text.startswith(BOM)
    return list(csv.DictReader(io.StringIO(text.removeprefix(BOM), newline="")))


def test_every_format_has_the_same_rows_and_columns(client: FlaskClient, database: Database) -> None:
    for job_id in (full_job(database), a_varied_job(database)):
        lines, table, cells = (read(client, job_id, kind) for kind in ("jsonl", "parquet", "csv"))
        assert len(lines) == len(table) == len(cells) > 0
        for line, row, cell in zip(lines, table, cells, strict=True):
            assert list(line) == list(row) == list(cell)
            assert {name: plain(value) for name, value in row.items()} == {
                name: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
                if name == "metadata" and value
                else value
                for name, value in line.items()
            }
            assert cell == {name: written(value) for name, value in line.items()}


def plain(value: object) -> object:
    """Return the JSON form of a value of Parquet."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def written(value: object) -> str:
    """Return the CSV form of a value of JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"'{value}" if isinstance(value, str) and value[0] in "=+-@\t\r" else str(value)


def test_an_export_contains_everything_known_about_an_item(client: FlaskClient, database: Database) -> None:
    succeeded, failed, pending = read(client, full_job(database), "jsonl")
    known = {name: value for name, value in succeeded.items() if value is not None}
    assert known.pop("id").startswith("itm_")
    assert known == {
        "custom_id": "-1",
        "position": 0,
        "status": "succeeded",
        "source_name": f"{KOREAN}, 0.jpg",
        "source_url": "https://a.example/가.jpg",
        "source_page_url": "https://a.example/",
        "product_id": "s-1",
        "product_title": "@셔츠",
        "product_price": "+9.90",
        "product_currency": "EUR",
        "product_breadcrumb": "여성 > 셔츠",
        "sha256": a_blob("full 0").sha256,
        "width": 30,
        "height": 40,
        "format": "jpeg",
        "bytes": 6,
        "crop_x": 1,
        "crop_y": 2,
        "crop_width": 3,
        "crop_height": 4,
        "duplicate_of": "itm_first",
        "label": "dress",
        "label_name": "Dress",
        "label_name_ko": "원피스",
        "group": "tops",
        "predicted_label": "shirt",
        "confidence": 0.75,
        "label_1": "shirt",
        "score_1": 0.75,
        "label_2": "dress",
        "score_2": 0.25,
        "model": "test@1",
        "reused": False,
        "review_label": "dress",
        "review_rejected": False,
        "reviewed_at": "2026-01-31T12:00:00.000Z",
        "accepted": False,
        "created_at": "2026-01-31T12:00:00.000Z",
        "finished_at": "2026-01-31T12:00:00.000Z",
        "metadata": {"rank": 1, "이름": "가"},
    }
    assert (failed["status"], failed["error_code"], failed["label"], failed["reused"]) == (
        "failed",
        "model_error",
        None,
        None,
    )
    assert (pending["status"], pending["finished_at"], pending["error_code"]) == ("pending", None, None)


def test_chosen_items_are_exported_by_position(client: FlaskClient, database: Database) -> None:
    job_id = a_varied_job(database)
    items = client.get(f"/v1/jobs/{job_id}/items?limit=200").get_json()["data"]
    chosen = [items[number]["id"] for number in (39, 2, 5)]
    answer = client.post(f"/v1/jobs/{job_id}/export", json={"format": "jsonl", "items": chosen})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="varied (partial).jsonl"'
    rows = [json.loads(line) for line in answer.get_data(as_text=True).splitlines()]
    assert [row["position"] for row in rows] == [2, 5, 39]
    assert rows[0] == read(client, job_id, "jsonl")[2]
    other = client.get(f"/v1/jobs/{a_varied_job(database)}/items").get_json()["data"][0]["id"]
    refused = client.post(f"/v1/jobs/{job_id}/export", json={"items": [chosen[0], other]}).get_json()
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("unknown_item", "/items/1")
    assert client.post(f"/v1/jobs/{job_id}/export", json={"items": []}).status_code == 422
    assert client.post(f"/v1/jobs/{job_id}/export", json={"items": ["\0"]}).status_code == 422
    assert client.post("/v1/jobs/job_x/export", json={"items": chosen}).status_code == 404


def test_a_key_that_may_only_read_exports_chosen_items(client: FlaskClient, database: Database) -> None:
    key_id, written_key = a_key(database, Scope.READ)
    job_id = a_varied_job(database)
    with database.writing() as session:
        session.execute(update(Job).values(key_id=key_id))
    headers = {"Authorization": f"Bearer {written_key}"}
    item = client.get(f"/v1/jobs/{job_id}/items", headers=headers).get_json()["data"][0]["id"]
    assert client.post(f"/v1/jobs/{job_id}/export", json={"items": [item]}, headers=headers).status_code == 200
    changes = {"reviews": [{"item": item, "rejected": True}]}
    assert client.post(f"/v1/jobs/{job_id}/reviews", json=changes, headers=headers).status_code == 403


def test_a_csv_export_is_safe_for_spreadsheets_and_keeps_korean(client: FlaskClient, database: Database) -> None:
    answer = client.get(f"/v1/jobs/{full_job(database)}/export?format=csv")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.data.startswith(b"\xef\xbb\xbfid,custom_id,position,")
    assert answer.data.count(b"\r\n") == answer.data.count(b"\n") == 4
    first = next(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))
    assert (first["custom_id"], first["product_title"], first["product_price"]) == ("'-1", "'@셔츠", "'+9.90")
    assert first["source_name"] == f"'{KOREAN}, 0.jpg"
    assert (first["confidence"], first["position"]) == ("0.75", "0")


def test_a_parquet_export_has_types_and_describes_its_job(client: FlaskClient, database: Database) -> None:
    job_id = full_job(database)
    answer = client.get(f"/v1/jobs/{job_id}/export?format=parquet")
    schema = parquet.ParquetFile(io.BytesIO(answer.data)).schema_arrow
    types = {name: str(schema.field(name).type) for name in schema.names}
    assert (types["position"], types["score_1"], types["reused"]) == ("int64", "double", "bool")
    assert (types["created_at"], types["metadata"]) == ("timestamp[ms, tz=UTC]", "string")
    about = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    assert (about["job"], about["name"], about["status"]) == (job_id, "가을 1/2", "running")


def test_the_file_name_of_an_export_names_the_job_and_says_if_it_is_partial(
    client: FlaskClient, database: Database
) -> None:
    running = client.get(f"/v1/jobs/{full_job(database)}/export?format=parquet").headers
    assert running["X-Job-Status"] == "running"
    plain_name, name = names(running["Content-Disposition"])
    assert (plain_name, name) == ("1_2 (partial).parquet", "가을 1_2 (partial).parquet")

    job_id = full_job(database, "가을")
    with database.writing() as session:
        session.execute(update(Item).values(status=ItemStatus.CANCELED).where(Item.status == ItemStatus.PENDING))
        session.execute(update(Job).where(Job.id == job_id).values(status="completed", pending=0, canceled=1))
    over = client.get(f"/v1/jobs/{job_id}/export").headers
    assert over["X-Job-Status"] == "completed"
    assert names(over["Content-Disposition"]) == (f"{job_id}.csv", "가을.csv")

    # A hostile name stays within the header, and names a file of its own folder.
    hostile = full_job(database, '../a"; filename=evil.exe\r\nX-Injected: yes\u202egpj.\x1b\\b')
    headers = client.get(f"/v1/jobs/{hostile}/export").headers
    assert "X-Injected" not in headers
    safe = "_a_; filename=evil.exe__X-Injected_ yes_gpj.__b (partial).csv"
    assert headers["Content-Disposition"] == f'attachment; filename="{safe}"'


def names(header: str) -> tuple[str, str]:
    match = re.fullmatch(r"attachment; filename=\"?(.*?)\"?; filename\*=UTF-8''(\S+)", header)
    assert match, header
    return match[1], unquote(match[2])


def test_an_export_has_the_same_items_as_the_filtered_list(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "ITEMS_PER_PAGE", 3)
    job_id = a_varied_job(database)
    review(database, job_id, {2: None, 13: "shirt"})
    for query in (
        "",
        "status=failed",
        "label=dress",
        "group=tops&max_confidence=0.6",
        "reviewed=true",
        "reviewed=false",
        "duplicates=hide",
    ):
        listed = client.get(f"/v1/jobs/{job_id}/items?limit=200&{query}").get_json()["data"]
        exported = read(client, job_id, "jsonl", query)
        assert [row["id"] for row in exported] == [item["id"] for item in listed], query


def test_an_export_without_rows_is_a_valid_file(client: FlaskClient, database: Database) -> None:
    job_id = a_varied_job(database)
    for kind in ("csv", "jsonl", "parquet"):
        assert read(client, job_id, kind, "status=pending&label=dress") == []


def test_an_export_that_breaks_halfway_does_not_look_complete(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "ITEMS_PER_PAGE", 10)
    monkeypatch.setattr(export_formats, "ROW_GROUP", 10)
    for kind in ("csv", "jsonl", "parquet"):
        job_id = a_varied_job(database)
        answer = client.get(f"/v1/jobs/{job_id}/export?format={kind}", buffered=False)
        pieces = answer.iter_encoded()
        next(pieces)
        with database.writing() as session:
            session.execute(update(Job).where(Job.id == job_id).values(deleted_at=NOW))
        with pytest.raises(ExportBroken):
            list(pieces)


def test_exports_of_unknown_jobs_formats_and_labels_are_refused(client: FlaskClient, database: Database) -> None:
    job_id = a_varied_job(database)
    assert client.get("/v1/jobs/job_x/export").status_code == 404
    assert client.get(f"/v1/jobs/{job_id}/export?format=xml").status_code == 422
    assert client.get(f"/v1/jobs/{job_id}/export?label=hat").get_json()["code"] == "unknown_label"
    with database.writing() as session:
        session.execute(update(Job).values(status="completed", expires_at=NOW - timedelta(days=1)))
    assert client.get(f"/v1/jobs/{job_id}/export").status_code == 410


def test_the_api_starts_without_the_library_that_only_parquet_needs() -> None:
    code = "import sys, api.server; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0
