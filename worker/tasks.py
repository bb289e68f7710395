"""The Celery tasks of a worker. Each function registers the tasks of one part with a Celery app.

A worker has up to two Celery apps (see `worker/interactive.py`), and both need the same task functions. They are not
shared, because Celery would register a shared task with every other app as well, and warn about its second one.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from core.messages import (
    CLASSIFY_CHUNK,
    CRAWL,
    DELIVER_WEBHOOKS,
    EXPAND,
    EXPLAIN_ITEM,
    FETCH_CHUNK,
    FIND_DUPLICATES,
    GIVE_LESSONS,
    MAKE_HINTS,
    MAKE_MAPS,
    PREVIEW,
    PURGE,
    RUN_SHADOWS,
    SEARCH,
    SWEEP,
    ChunkMessage,
    Queue,
)
from db.blobs.opening import open_blob_store
from worker.lessons.giver import LessonGiver
from worker.maintenance.courier import Courier
from worker.maintenance.hints import HintMaker
from worker.maintenance.linker import Linker
from worker.maintenance.purger import purge
from worker.maintenance.shadows import run_shadows
from worker.maintenance.sweeper import sweep
from worker.maps.mapper import Mapper
from worker.parts import Connections
from worker.predicting.explaining import Explainer
from worker.searching.searcher import Searcher
from worker.sources.crawls import CrawlRunner
from worker.sources.expander import SourceExpander
from worker.sources.previews import PreviewRunner
from worker.stages.classifying import ClassifyStage
from worker.stages.fetching import FetchStage


def register_classify(app: Celery, stage: ClassifyStage) -> None:
    """Register the task that classifies a chunk."""

    @app.task(name=CLASSIFY_CHUNK, shared=False)
    def classify_chunk(chunk_id: str, job_id: str, queue: str, alone: bool) -> None:
        stage.work_on(ChunkMessage(chunk_id, job_id, Queue(queue), alone))


def register_fetch(app: Celery, stage: FetchStage) -> None:
    """Register the task that fetches the pictures of a chunk."""

    @app.task(name=FETCH_CHUNK, shared=False)
    def fetch_chunk(chunk_id: str, job_id: str, queue: str, alone: bool) -> None:
        stage.work_on(ChunkMessage(chunk_id, job_id, Queue(queue), alone))


def register_explain(app: Celery, explainer: Explainer) -> None:
    """Register the task that makes the heat map of an item or of one of its regions."""

    @app.task(name=EXPLAIN_ITEM, shared=False)
    def explain_item(item_id: str, prediction_id: str) -> None:
        explainer.explain(item_id, prediction_id)


def register_expand(app: Celery, expander: SourceExpander) -> None:
    """Register the task that starts reading the archives and manifests that wait."""

    @app.task(name=EXPAND, shared=False)
    def expand() -> None:
        expander.wake()


def register_crawl(app: Celery, crawls: CrawlRunner, previews: PreviewRunner) -> None:
    """Register the tasks that start the crawls that wait, and a preview."""

    @app.task(name=CRAWL, shared=False)
    def crawl() -> None:
        crawls.wake()

    @app.task(name=PREVIEW, shared=False)
    def preview(preview_id: str) -> None:
        previews.start(preview_id)


def register_search(app: Celery, searcher: Searcher) -> None:
    """Register the task that searches for look-alikes."""

    @app.task(name=SEARCH, shared=False)
    def search(search_id: str, question: dict[str, Any]) -> None:
        searcher.answer(search_id, question)


def register_maintenance(
    app: Celery,
    connections: Connections,
    linker: Linker,
    hint_maker: HintMaker,
    courier: Courier,
    mapper: Mapper,
    giver: LessonGiver,
) -> None:
    """Register the tasks that sweep, purge, find duplicates, make hints and maps, give lessons and send webhooks."""
    blobs = open_blob_store(connections.settings)

    @app.task(name=SWEEP, shared=False)
    def sweep_task() -> None:
        sweep(connections.database, connections.broker, connections.policy)

    @app.task(name=PURGE, shared=False)
    def purge_task() -> None:
        purge(connections.database, blobs)

    @app.task(name=FIND_DUPLICATES, shared=False)
    def find_duplicates_task() -> None:
        linker.wake()

    @app.task(name=MAKE_HINTS, shared=False)
    def make_hints_task() -> None:
        hint_maker.wake()

    @app.task(name=RUN_SHADOWS, shared=False)
    def run_shadows_task() -> None:
        run_shadows(connections.database, connections.broker, connections.policy)

    @app.task(name=MAKE_MAPS, shared=False)
    def make_maps_task() -> None:
        mapper.wake()

    @app.task(name=GIVE_LESSONS, shared=False)
    def give_lessons_task() -> None:
        giver.wake()

    @app.task(name=DELIVER_WEBHOOKS, shared=False)
    def deliver_task() -> None:
        courier.wake()
