"""The Celery tasks of a worker. Each function registers the tasks of one part with a Celery app.

A worker has up to two Celery apps (see `worker/interactive.py`), and both need the same task functions.
"""

from __future__ import annotations

from celery import Celery

from core.messages import (
    CLASSIFY_CHUNK,
    CRAWL,
    DELIVER_WEBHOOKS,
    EXPAND,
    EXPLAIN_ITEM,
    FETCH_CHUNK,
    FIND_DUPLICATES,
    PREVIEW,
    PURGE,
    SWEEP,
    ChunkMessage,
    Queue,
)
from db.blobs.opening import open_blob_store
from worker.maintenance.courier import Courier
from worker.maintenance.linker import Linker
from worker.maintenance.purger import purge
from worker.maintenance.sweeper import sweep
from worker.parts import Connections
from worker.predicting.explaining import Explainer
from worker.sources.crawls import CrawlRunner
from worker.sources.expander import SourceExpander
from worker.sources.previews import PreviewRunner
from worker.stages.classifying import ClassifyStage
from worker.stages.fetching import FetchStage


def register_classify(app: Celery, stage: ClassifyStage) -> None:
    """Register the task that classifies a chunk."""

    @app.task(name=CLASSIFY_CHUNK)
    def classify_chunk(chunk_id: str, job_id: str, queue: str, alone: bool) -> None:
        stage.work_on(ChunkMessage(chunk_id, job_id, Queue(queue), alone))


def register_fetch(app: Celery, stage: FetchStage) -> None:
    """Register the task that fetches the pictures of a chunk."""

    @app.task(name=FETCH_CHUNK)
    def fetch_chunk(chunk_id: str, job_id: str, queue: str, alone: bool) -> None:
        stage.work_on(ChunkMessage(chunk_id, job_id, Queue(queue), alone))


def register_explain(app: Celery, explainer: Explainer) -> None:
    """Register the task that makes the heat map of an item or of one of its regions."""

    @app.task(name=EXPLAIN_ITEM)
    def explain_item(item_id: str, prediction_id: str) -> None:
        explainer.explain(item_id, prediction_id)


def register_expand(app: Celery, expander: SourceExpander) -> None:
    """Register the task that starts reading the archives and manifests that wait."""

    @app.task(name=EXPAND)
    def expand() -> None:
        expander.wake()


def register_crawl(app: Celery, crawls: CrawlRunner, previews: PreviewRunner) -> None:
    """Register the tasks that start the crawls that wait, and a preview."""

    @app.task(name=CRAWL)
    def crawl() -> None:
        crawls.wake()

    @app.task(name=PREVIEW)
    def preview(preview_id: str) -> None:
        previews.start(preview_id)


def register_maintenance(app: Celery, connections: Connections, linker: Linker, courier: Courier) -> None:
    """Register the tasks that sweep, purge, find duplicates and deliver webhooks."""
    blobs = open_blob_store(connections.settings)

    @app.task(name=SWEEP)
    def sweep_task() -> None:
        sweep(connections.database, connections.broker, connections.policy)

    @app.task(name=PURGE)
    def purge_task() -> None:
        purge(connections.database, blobs)

    @app.task(name=FIND_DUPLICATES)
    def find_duplicates_task() -> None:
        linker.wake()

    @app.task(name=DELIVER_WEBHOOKS)
    def deliver_task() -> None:
        courier.wake()
