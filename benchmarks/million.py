"""Write a finished job of a million items straight into the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from core.clock import utc_now
from core.ids import new_id
from db import model_versions
from db.database import Database
from db.tables import Job, JobSource, ModelVersion

PICTURES = 50_000
"""Number of different pictures. Each appears in `ROUNDS` items."""
ROUNDS = 20
ITEMS = PICTURES * ROUNDS
_FAILED = "n % 4 = 1"

_ITEMS = f"""
INSERT INTO items (id, job_id, position, status, blob_sha256, crop_key, source_name, prediction_id, reused, label,
                   label_group, confidence, error_code, error_detail, error_retryable, created_at, finished_at)
SELECT 'itm_' || (10000000 + p), :job, p, CASE WHEN {_FAILED} THEN 'failed' ELSE 'succeeded' END, blob_sha256, '',
       'picture-' || p || '.jpg', CASE WHEN {_FAILED} THEN NULL ELSE id END, round > 0,
       CASE WHEN {_FAILED} THEN NULL ELSE label END, CASE WHEN {_FAILED} THEN NULL ELSE label_group END,
       CASE WHEN {_FAILED} THEN NULL ELSE confidence END, CASE WHEN {_FAILED} THEN 'truncated_image' END,
       CASE WHEN {_FAILED} THEN 'The picture ends before its data is complete.' END,
       CASE WHEN {_FAILED} THEN false END, created_at, created_at
FROM (SELECT numbered.*, round, round * {PICTURES} + n AS p
      FROM (SELECT predictions.*, row_number() OVER (ORDER BY id) - 1 AS n FROM predictions) AS numbered
      CROSS JOIN ({" UNION ALL ".join(f"SELECT {n} AS round" for n in range(ROUNDS))}) AS rounds) AS every
WHERE p < :total
ORDER BY p
"""
_TALLIES = """
INSERT INTO label_tallies (job_id, label, bin, label_group, count, confidence_sum)
SELECT job_id, label, CAST(confidence * 20 - 0.5 AS INTEGER), min(label_group), count(*), sum(confidence)
FROM items WHERE status = 'succeeded' GROUP BY 1, 2, 3
"""
_ERRORS = """
INSERT INTO error_tallies (job_id, code, count)
SELECT job_id, error_code, count(*) FROM items WHERE status = 'failed' GROUP BY 1, 2
"""
_COUNTS = """
UPDATE jobs SET status = 'completed', total = :total, succeeded = :total - :failed, failed = :failed,
                reused = 0, started_at = created_at, finished_at = created_at WHERE id = :job
"""


def store_million(database: Database, total: int = ITEMS) -> str:
    """Store the job, or one of `total` items, and return its id. Every fourth item has failed.

    Two in five of the other items have the first label. Confidences are spread evenly between 0.1 and 1.
    """
    now = utc_now()
    with database.writing() as session:
        version = model_versions.resolve(session, model_versions.PRODUCTION)
        job = Job(id=new_id("job"), name="A million", source=JobSource.UPLOADS, model_version=version, created_at=now)
        session.add(job)
        session.flush()
        connection = session.connection()
        _store_predictions(connection, version)
        connection.execute(text(_ITEMS), {"job": job.id, "total": total})
        connection.execute(text(_TALLIES))
        connection.execute(text(_ERRORS))
        connection.execute(text(_COUNTS), {"job": job.id, "total": total, "failed": total // 4})
    if not database.is_sqlite:
        # PostgreSQL would do this by itself a minute later, in the middle of the measurement.
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    return job.id


def _store_predictions(connection: Connection, version: ModelVersion) -> None:
    now = utc_now()
    connection.execute(
        text(
            "INSERT INTO blobs (sha256, bytes, format, width, height, created_at) "
            "VALUES (:sha256, 30000, 'jpeg', 400, 400, :now)"
        ),
        [{"sha256": f"{n:064x}", "now": now} for n in range(PICTURES)],
    )
    connection.execute(
        text(
            "INSERT INTO predictions (id, blob_sha256, crop_key, model_version_id, label, label_group, confidence, "
            "scores, created_at) VALUES (:id, :sha256, '', :version, :label, :group, :confidence, :scores, :now)"
        ),
        [{"version": version.id, "now": now, **row} for row in _predictions(version.taxonomy["labels"])],
    )


def _predictions(labels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for n in range(PICTURES):
        confidence = 0.1 + 0.9 * (n * 7919 % 100_003) / 100_003
        scores = [(1 - confidence) / (len(labels) - 1)] * len(labels)
        index = max(0, n % (len(labels) + 5) - 5)
        label, scores[index] = labels[index], confidence
        yield {
            "id": f"prd_{n:06d}",
            "sha256": f"{n:064x}",
            "label": label["id"],
            "group": label["group"],
            "confidence": confidence,
            "scores": json.dumps(scores),
        }
