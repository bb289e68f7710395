"""Measure how long it takes to find where a picture was seen before, among a million pictures.

Few pictures share a band, about as many as photographs share by chance. Each picture that is looked up is alike to
exactly one picture of an earlier job.
"""

from __future__ import annotations

import secrets
import statistics
import struct
import time
from typing import Any, cast

from rich.progress import Progress
from sqlalchemy import Connection, Table, select, text, update
from sqlalchemy.orm import Session

from benchmarks.pipeline import empty_installation
from benchmarks.run import percentile
from core.clock import utc_now
from core.fingerprints import BANDS
from db import model_versions
from db.database import Database
from db.steps import linking, submitting
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import Blob, BlobBands, Item, JobSource, ModelVersion
from db.tables.items import BAND_COLUMNS
from db.views import items

PICTURES = 1_000_000
LOOK_UPS = 500
VALUES = 2**21
"""Number of values of each band. It gives four candidates by chance; photographs have two or three."""

_TABLES = tuple(cast(Table, model.__table__) for model in (Blob, BlobBands, Item))
_SQLITE = {
    "numbers": "WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {count}) ",
    "from": "FROM s",
    "sha256": "lower(hex(randomblob(32)))",
    "fingerprint": "randomblob(35)",
    "band": "abs(random()) % {values}",
}
_POSTGRESQL = {
    "numbers": "",
    "from": "FROM generate_series(0, {count} - 1) AS s(n)",
    "sha256": "md5(random()::text) || md5(random()::text)",
    "fingerprint": "decode(md5(random()::text) || md5(random()::text) || '808080', 'hex')",
    "band": "floor(random() * {values})::int",
}
_BLOBS = """
INSERT INTO blobs (sha256, bytes, format, width, height, fingerprint, created_at)
{numbers} SELECT {sha256}, 30000, 'jpeg', 300, 400, {fingerprint}, :now {from}
"""
_BANDS = "INSERT INTO blob_bands (blob_sha256, {columns}) SELECT sha256, {bands} FROM blobs"
_ITEMS = """
INSERT INTO items (id, job_id, position, status, blob_sha256, crop_key, source_name, reused, error_code, created_at)
SELECT 'itm_' || substr(sha256, 1, 32), :job, row_number() OVER () - 1, 'failed', sha256, '', 'x.jpg', false, 'none',
       :now FROM blobs
"""


def run(progress: Progress) -> dict[str, Any]:
    """Return the seconds of a look-up on each database."""
    task = progress.add_task("seen before", total=2)
    found = {}
    for kind in ("sqlite", "postgresql"):
        with empty_installation(kind) as settings:
            database = Database(settings.resolved_database_url)
            seconds = _seconds(database, _store(database))
            found[kind] = {"median": statistics.median(seconds), "p95": percentile(seconds, 0.95)}
            database.close()
        progress.advance(task)
    return {"pictures": PICTURES, "asked": LOOK_UPS, "databases": found}


def _store(database: Database) -> str:
    """Store a job of a million pictures, and a later job with pictures alike to some of them. Return its id."""
    with database.writing() as session:
        version = model_versions.resolve(session, model_versions.PRODUCTION)
        early = submitting.create(session, NewJob("early", JobSource.UPLOADS, version), [], utc_now()).id
        _fill(session.connection(), early, sqlite=database.is_sqlite)
    with database.writing() as session:
        late = _add_alike(session, version)
    if not database.is_sqlite:
        # PostgreSQL would do this by itself a minute later, in the middle of the measurement.
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    return late


def _fill(connection: Connection, job_id: str, *, sqlite: bool) -> None:
    words = {
        word: sql.format(count=PICTURES, values=VALUES) for word, sql in (_SQLITE if sqlite else _POSTGRESQL).items()
    }
    indexes = [index for table in _TABLES for index in table.indexes]
    for index in indexes:
        index.drop(connection)
    connection.execute(text(_BLOBS.format(**words)), {"now": utc_now()})
    bands = ", ".join([words["band"]] * BANDS)
    connection.execute(text(_BANDS.format(columns=", ".join(BAND_COLUMNS), bands=bands)))
    connection.execute(text(_ITEMS), {"job": job_id, "now": utc_now()})
    for index in indexes:
        index.create(connection)


def _add_alike(session: Session, version: ModelVersion) -> str:
    """Store a job in which each picture has the fingerprint of a stored picture. Return its id."""
    known = session.execute(select(BlobBands.__table__).order_by(BlobBands.blob_sha256).limit(LOOK_UPS)).all()
    prints = [struct.pack(f">{BANDS}i", *row[1:]) + b"\x80\x80\x80" for row in known]
    alike = [secrets.token_hex(32) for _ in known]
    new_items = [NewItem("x.jpg", StoredBlob(sha256, 30000)) for sha256 in alike]
    job = submitting.create(session, NewJob("late", JobSource.UPLOADS, version), new_items, utc_now())
    described = {"width": 300, "height": 400}
    rows = [{"sha256": row[0], "fingerprint": found, **described} for row, found in zip(known, prints, strict=True)]
    rows += [{"sha256": sha256, "fingerprint": found, **described} for sha256, found in zip(alike, prints, strict=True)]
    session.execute(update(Blob), rows)
    return job.id


def _seconds(database: Database, job_id: str) -> list[float]:
    """Return the seconds of each look-up. Each look-up must find the one picture that is alike."""
    with database.reading() as session:
        item_ids = session.scalars(select(Item.id).where(Item.job_id == job_id)).all()
    seconds = []
    for item_id in item_ids:
        with database.reading() as session:
            item = items.get(session, item_id)
            assert item is not None
            started = time.perf_counter()
            found = linking.find_earlier(session, item, utc_now(), 50)
            seconds.append(time.perf_counter() - started)
            if [picture.distance for picture in found] != [0]:
                raise RuntimeError(f"expected one picture that is alike, got {len(found)}")
    return seconds
