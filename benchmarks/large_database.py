"""Measure the queries of a PostgreSQL with millions of predictions, each with its slowest statement's plan.

`python -m benchmarks.large_database --predictions 10000000`. It prints a table and the plans, and stores nothing: the
times depend on how much of the database is in memory, so they belong to a machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.orm import Session

from api.app import create_app
from benchmarks.pipeline import empty_installation
from broker.client import Broker
from core.clock import utc_now
from core.settings import Settings
from db import model_versions
from db.database import Database
from db.steps import purging
from db.steps.chunks import ChunkPolicy
from worker.maintenance.sweeper import sweep

JOB_ITEMS = 100_000
"""Items of each job."""

ROUNDS = 3
"""Runs of each query. The first ones fill caches."""

_BLOBS = """
INSERT INTO blobs (sha256, bytes, format, width, height, created_at)
SELECT encode(sha256(n::text::bytea), 'hex'), 30000, 'jpeg', 400, 400, :now FROM generate_series(:first, :last) AS n
"""
_PREDICTIONS = """
INSERT INTO predictions (id, blob_sha256, crop_key, model_version_id, label, label_group, confidence, scores,
                         created_at)
SELECT 'prd_' || n, encode(sha256(n::text::bytea), 'hex'), '', :version, labels[1 + n % array_length(labels, 1)],
       'tops', 0.1 + 0.9 * ((n * 7919::bigint) % 100003) / 100003, :scores, :now
FROM generate_series(:first, :last) AS n, (SELECT CAST(:labels AS varchar[]) AS labels) AS given
"""
_ITEMS = """
INSERT INTO items (id, job_id, position, status, blob_sha256, crop_key, source_name, prediction_id, reused, label,
                   label_group, confidence, created_at, finished_at)
SELECT 'itm_' || n, :job, n - :first, 'succeeded', encode(sha256(n::text::bytea), 'hex'), '', 'autumn/picture-' || n,
       'prd_' || n, false, labels[1 + n % array_length(labels, 1)], 'tops',
       0.1 + 0.9 * ((n * 7919::bigint) % 100003) / 100003, :now, :now
FROM generate_series(:first, :last) AS n, (SELECT CAST(:labels AS varchar[]) AS labels) AS given
"""
_TEXTS = "INSERT INTO item_texts (job_id, position, text) SELECT job_id, position, source_name FROM items"
_TALLIES = """
INSERT INTO label_tallies (job_id, label, bin, label_group, count, confidence_sum)
SELECT job_id, label, least(19, floor(confidence * 20)::int), min(label_group), count(*), sum(confidence)
FROM items GROUP BY 1, 2, 3
"""
_JOB = """
INSERT INTO jobs (id, name, source, status, priority, discovering, total, pending, succeeded, failed, canceled, reused,
                  retryable, model_version_id, top_k, metadata, revision, rate_done, run_seconds, created_at,
                  started_at, finished_at, duplicates)
VALUES (:job, 'generated', 'uploads', 'completed', 'normal', false, :total, 0, :total, 0, 0, 0, 0, :version, 5, '{}',
        1, 0, 10, :now, :now, :now, 0)
"""


def fill(database: Database, predictions: int) -> list[str]:
    """Store jobs of `JOB_ITEMS` items until there are this many predictions. Return the ids of the jobs."""
    with database.reading() as session:
        version = model_versions.resolve(session, model_versions.PRODUCTION)
        labels = [label["id"] for label in version.taxonomy["labels"]]
    jobs = [f"job_{number:06d}" for number in range(predictions // JOB_ITEMS)]
    common: dict[str, Any] = {"now": utc_now(), "version": version.id, "labels": labels, "total": JOB_ITEMS}
    common["scores"] = str([round(1 / len(labels), 6)] * len(labels))
    for number, job in enumerate(jobs):
        with database.engine.begin() as connection:
            # The rows fit together, so the foreign keys need not be checked one by one.
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.execute(text("SET LOCAL synchronous_commit = off"))
            span = {"job": job, "first": number * JOB_ITEMS, "last": (number + 1) * JOB_ITEMS - 1}
            for statement in (_JOB, _BLOBS, _PREDICTIONS, _ITEMS):
                connection.execute(text(statement), common | span)
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(_TEXTS))
        connection.execute(text(_TALLIES))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    return jobs


class Statements:
    """The statements that run in this process, with their times."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, str, Any]] = []
        event.listen(Engine, "before_cursor_execute", self._before)
        event.listen(Engine, "after_cursor_execute", self._after)

    def _before(
        self, _connection: Connection, _cursor: Any, _sql: str, _values: Any, context: Any, _many: bool
    ) -> None:
        context.began = time.perf_counter()

    def _after(self, _connection: Connection, _cursor: Any, sql: str, values: Any, context: Any, _many: bool) -> None:
        self.seen.append((time.perf_counter() - context.began, sql, values))

    def plan_of_slowest(self, database: Database) -> tuple[float, str]:
        """Return the milliseconds and the plan of the slowest statement. Nothing that it changes is kept."""
        seconds, sql, values = max(self.seen, key=lambda seen: seen[0])
        connection = database.engine.raw_connection()
        try:
            cursor = connection.cursor()
            # The purger deletes the rows that refer to others in an earlier statement, which is not repeated here.
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " + sql, values)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            connection.rollback()
        finally:
            connection.close()
        return seconds * 1000, plan


def measure(settings: Settings, database: Database, jobs: list[str]) -> None:
    """Run each query three times, and print the last time and the plan of its slowest statement."""
    client, broker = create_app(settings.with_changes(no_auth=True)).test_client(), Broker.connect(settings)
    middle = jobs[len(jobs) // 2]

    def get(path: str) -> Callable[[], object]:
        def request() -> object:
            answer = client.get(path)
            assert answer.status_code == 200, answer.text
            return len(answer.data)

        return request

    def purge_one_step() -> object:
        with database.engine.connect() as connection, Session(connection) as session:
            removed = purging.remove_items(session, middle)
            session.rollback()
            return removed.items

    later = lambda: utc_now() + timedelta(hours=1)  # noqa: E731
    queries: dict[str, Callable[[], object]] = {
        "results, first page": get(f"/v1/jobs/{middle}/items?limit=50"),
        "results by confidence": get(f"/v1/jobs/{middle}/items?limit=50&sort=confidence"),
        "search with hits (q=99)": get(f"/v1/jobs/{middle}/items?limit=50&q=99"),
        "search without a hit": get(f"/v1/jobs/{middle}/items?limit=50&q=nowhere"),
        "summary": get(f"/v1/jobs/{middle}/summary"),
        "list of jobs": get("/v1/jobs?limit=50"),
        "export, 100,000 rows (CSV)": get(f"/v1/jobs/{middle}/export?format=csv"),
        "sweeper, nothing to do": lambda: sweep(database, broker, ChunkPolicy.of(settings), later),
        "purger, one step": purge_one_step,
    }
    statements, plans = Statements(), []
    print("| query | time (ms) | slowest statement (ms) |\n|---|---|---|")
    for name, query in queries.items():
        for _ in range(ROUNDS):
            statements.seen.clear()
            began = time.perf_counter()
            query()
            took = (time.perf_counter() - began) * 1000
        slowest, plan = statements.plan_of_slowest(database) if statements.seen else (0.0, "by the driver itself")
        print(f"| {name} | {took:.1f} | {slowest:.1f} |", flush=True)
        plans.append(f"## {name}\n{plan}")
    print("\n" + "\n\n".join(plans))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=int, default=10_000_000)
    wanted = parser.parse_args().predictions
    with empty_installation("postgresql") as settings:
        database = Database(settings.resolved_database_url)
        began = time.perf_counter()
        jobs = fill(database, wanted)
        took = time.perf_counter() - began
        with database.engine.connect() as connection:
            total = connection.scalar(text("SELECT pg_database_size(current_database())"))
            sizes = connection.execute(
                text(
                    "SELECT relname, pg_total_relation_size(oid), pg_indexes_size(oid) FROM pg_class "
                    "WHERE relkind = 'r' AND relname IN ('items', 'predictions', 'blobs', 'item_texts') ORDER BY 2 DESC"
                )
            ).all()
        print(f"{wanted:,} predictions in {len(jobs)} jobs, generated in {took:.0f} s, {total / 1e9:.1f} GB")
        for name, whole, indexes in sizes:
            print(f"  {name}: {whole / wanted:.0f} bytes a row, {indexes / wanted:.0f} of them indexes")
        measure(settings, database, jobs)
        database.close()


if __name__ == "__main__":
    main()
