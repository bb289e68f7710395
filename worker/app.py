"""The worker's Celery application: tasks, and what they share for the life of the process."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from celery import Celery, signals

from broker.app import make_celery
from broker.client import Broker
from broker.servers import check_servers
from classifier.artifact import largest_input
from classifier.runtime import BULK_NICENESS
from core.allocation import freeze_heap
from core.fetching import Fetcher, FetchLimits
from core.logs import configure_logging
from core.messages import (
    CLASSIFY_CHUNK,
    CRAWL,
    DELIVER_WEBHOOKS,
    EXPAND,
    EXPLAIN_ITEM,
    FETCH_CHUNK,
    FETCH_QUEUES,
    FIND_DUPLICATES,
    PURGE,
    SWEEP,
    ChunkMessage,
    Queue,
)
from core.settings import Settings
from db.blobs.opening import open_blob_store
from db.database import Database
from db.steps.chunks import ChunkPolicy
from db.steps.leasing import SOURCE_LEASES
from worker.decoding.pool import DecoderLimits, DecoderPool
from worker.health.consumers import ConsumerWatch
from worker.health.heartbeats import HeartbeatSender
from worker.interactive import THREADS as INTERACTIVE_THREADS
from worker.interactive import InteractiveConsumer
from worker.leases import HeldLeases
from worker.maintenance.courier import Courier
from worker.maintenance.linker import Linker
from worker.maintenance.purger import purge
from worker.maintenance.sweeper import sweep
from worker.predicting.explaining import Explainer
from worker.predicting.models import ModelCache
from worker.predicting.preloading import ModelPreloader
from worker.sources.crawls import Crawls
from worker.sources.entries import SourceLimits
from worker.sources.expander import SourceExpander
from worker.stages.classifying import ClassifyStage
from worker.stages.downloads import Downloads, PictureFetcher
from worker.stages.fetching import FetchStage

log = structlog.get_logger(__name__)

PICTURES_IN_HAND = 192
"""Decoded pictures that may wait for the device: more than its queue holds, so that it never runs dry."""

FINISH_SECONDS = 10.0
"""How long a worker that was asked to stop goes on with what it has in hand before others may have it."""

CLASSIFY_QUEUES = (Queue.INTERACTIVE, Queue.BULK, Queue.LOW)

DOWNLOADS_AT_ONCE = 32
"""Pictures that one worker downloads at once, and as many threads; beside them those that somebody waits for."""
CONNECTIONS_PER_HOST = 6
"""Of those, from one host: what a browser does."""


@dataclass(frozen=True, slots=True)
class Connections:
    """What every worker process speaks to."""

    settings: Settings
    database: Database
    broker: Broker
    policy: ChunkPolicy

    @classmethod
    def open(cls, settings: Settings) -> Connections:
        return cls(
            settings,
            Database(settings.resolved_database_url, durable=False),
            Broker.connect(settings),
            ChunkPolicy.of(settings),
        )

    def close(self) -> None:
        self.broker.close()
        self.database.close()


def register_classify(app: Celery, pipeline: ClassifyStage) -> None:
    """Make `app` classify chunks."""

    @app.task(name=CLASSIFY_CHUNK)
    def classify_chunk(chunk_id: str, job_id: str, queue: str, alone: bool) -> None:
        pipeline.work_on(ChunkMessage(chunk_id, job_id, Queue(queue), alone))


def register_fetch(app: Celery, fetching: FetchStage) -> None:
    """Make `app` fetch chunks."""

    @app.task(name=FETCH_CHUNK)
    def fetch_chunk(chunk_id: str, job_id: str, queue: str, alone: bool) -> None:
        fetching.work_on(ChunkMessage(chunk_id, job_id, Queue(queue), alone))


def register_explain(app: Celery, explainer: Explainer) -> None:
    """Make `app` explain items."""

    @app.task(name=EXPLAIN_ITEM)
    def explain_item(item_id: str) -> None:
        explainer.explain(item_id)


def register_expand(app: Celery, expander: SourceExpander) -> None:
    """Make `app` read archives and manifests."""

    @app.task(name=EXPAND)
    def expand() -> None:
        expander.wake()


def register_crawl(app: Celery, crawls: Crawls) -> None:
    """Make `app` crawl."""

    @app.task(name=CRAWL)
    def crawl() -> None:
        crawls.wake()


def register_maintenance(app: Celery, services: Connections, linker: Linker, courier: Courier) -> None:
    """Make `app` sweep, purge, find duplicates and deliver webhooks."""
    blobs = open_blob_store(services.settings)

    @app.task(name=SWEEP)
    def sweep_task() -> None:
        sweep(services.database, services.broker, services.policy)

    @app.task(name=PURGE)
    def purge_task() -> None:
        purge(services.database, blobs)

    @app.task(name=FIND_DUPLICATES)
    def find_duplicates_task() -> None:
        linker.wake()

    @app.task(name=DELIVER_WEBHOOKS)
    def deliver_task() -> None:
        courier.wake()


def run_worker(settings: Settings, queues: Sequence[Queue], concurrency: int) -> None:
    """Work on `queues`, asked in the order given, until told to stop (SIGTERM finishes what is in hand)."""
    configure_logging(settings.log_level)
    check_servers(settings)
    for chatty in ("celery.app.trace", "celery.worker.strategy"):
        # Two lines a task: the pipeline says what matters.
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if set(queues) == {Queue.MAINTENANCE}:
        # Nobody waits for it; who waits for a picture, or for the API, goes first.
        os.nice(BULK_NICENESS)
    with ExitStack() as stack:
        services = Connections.open(settings)
        stack.callback(services.close)
        models = ModelCache(settings)
        stack.callback(models.close)
        main, interactive = _lanes(queues)
        consumer_watch = ConsumerWatch(services.broker, [main, interactive])
        consumer_watch.connect()
        heartbeats = HeartbeatSender(services.broker, models, queues, consumer_watch)
        stack.callback(heartbeats.stop)
        leases = HeldLeases(services.database, heartbeats.worker, services.policy)
        leases.start()
        stack.callback(leases.stop)
        registrations: list[Callable[[Celery], None]] = []
        stopping: list[Callable[[], None]] = []
        if any(queue in CLASSIFY_QUEUES for queue in queues):
            registrations.append(_classifying(services, models, leases, stack))
        if any(queue in FETCH_QUEUES for queue in queues):
            fetching, stop = _fetching(services, leases, stack)
            registrations.append(partial(register_fetch, fetching=fetching))
            stopping.append(stop)
        if Queue.INGEST in queues:
            expander = _expander(services, heartbeats.worker, stack)
            registrations.append(partial(register_expand, expander=expander))
            stopping.append(expander.stop)
        if Queue.CRAWL in queues:
            crawls = Crawls(services.database, services.broker, settings, heartbeats.worker, services.policy)
            stack.callback(crawls.close)
            registrations.append(partial(register_crawl, crawls=crawls))
            stopping.append(crawls.stop)
        for register in registrations:
            register(services.broker.celery)
        if interactive:
            _start_interactive_lane(settings, registrations, interactive, heartbeats.worker, stack)
        if Queue.MAINTENANCE in queues:
            linker = Linker(services.database)
            stack.callback(linker.close)
            register_maintenance(services.broker.celery, services, linker, _courier(services, stack))
        _connect_signals(heartbeats, leases, stopping)
        services.broker.celery.worker_main(_arguments(main, concurrency, heartbeats.worker))


def _lanes(queues: Sequence[Queue]) -> tuple[list[Queue], list[Queue]]:
    """The queues of the main consumer, and of the interactive lane if there is to be one."""
    hurried = {Queue.INTERACTIVE, Queue.FETCH_INTERACTIVE}
    interactive = [queue for queue in queues if queue in hurried]
    others = [queue for queue in queues if queue not in hurried]
    return (others, interactive) if others else (interactive, [])


def _classifying(
    services: Connections, models: ModelCache, leases: HeldLeases, stack: ExitStack
) -> Callable[[Celery], None]:
    """Start what classifying needs; what is returned makes an application classify."""
    settings = services.settings
    limits = DecoderLimits(settings.decode_seconds, settings.decode_megabytes * 2**20)
    side = largest_input(settings.models)
    blobs = open_blob_store(settings)
    decoders = DecoderPool(blobs, settings.decoders, limits, PICTURES_IN_HAND, side)
    stack.callback(decoders.close)
    # The production model is loaded before the worker says that it is there.
    preloader = ModelPreloader(services.database, models)
    preloader.start()
    stack.callback(preloader.stop)
    threading.Thread(target=models.watch, name="watchdog", daemon=True).start()
    pipeline = ClassifyStage(services.database, services.broker, models, decoders, leases, services.policy)
    explainer = Explainer(services.database, services.broker, models, decoders, blobs)

    def register(app: Celery) -> None:
        register_classify(app, pipeline)
        register_explain(app, explainer)

    return register


def _fetching(services: Connections, leases: HeldLeases, stack: ExitStack) -> tuple[FetchStage, Callable[[], None]]:
    """What fetches chunks, and how to have it begin no more downloads."""
    settings = services.settings
    limits = FetchLimits(max_bytes=settings.max_picture_bytes)
    fetcher = stack.enter_context(Fetcher(allow=settings.fetch_allow, limits=limits))
    blobs = open_blob_store(settings)
    source = PictureFetcher(fetcher, blobs)
    downloads = {
        hurried: Downloads(source, threads=threads, per_host=CONNECTIONS_PER_HOST)
        for hurried, threads in ((True, INTERACTIVE_THREADS), (False, DOWNLOADS_AT_ONCE))
    }

    def stop() -> None:
        for some in downloads.values():
            some.stop()

    stack.callback(stop)
    return FetchStage(services.database, services.broker, blobs, downloads, leases, services.policy), stop


def _expander(services: Connections, worker: str, stack: ExitStack) -> SourceExpander:
    leases = HeldLeases(services.database, worker, services.policy, table=SOURCE_LEASES)
    leases.start()
    stack.callback(leases.stop)
    blobs, limits = open_blob_store(services.settings), SourceLimits.of(services.settings)
    fetcher = stack.enter_context(Fetcher(allow=services.settings.fetch_allow))
    expander = SourceExpander(services.database, services.broker, blobs, leases, services.policy, limits, fetcher)
    stack.callback(expander.close)
    return expander


def _courier(services: Connections, stack: ExitStack) -> Courier:
    fetcher = stack.enter_context(Fetcher(allow=services.settings.fetch_allow))
    courier = Courier(services.database, fetcher, services.settings.webhook_secret)
    stack.callback(courier.close)
    return courier


def _start_interactive_lane(
    settings: Settings,
    registrations: Sequence[Callable[[Celery], None]],
    queues: Sequence[Queue],
    worker: str,
    stack: ExitStack,
) -> None:
    app = make_celery(settings)
    for register in registrations:
        register(app)
    lane = InteractiveConsumer(app, f"interactive-{worker}", queues)
    lane.start()
    stack.callback(lane.join)


def _arguments(queues: Sequence[Queue], concurrency: int, name: str) -> list[str]:
    return [
        "worker",
        "--pool=threads",
        f"--concurrency={concurrency}",
        f"--queues={','.join(queue.value for queue in queues)}",
        f"--hostname={name}",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        "--loglevel=WARNING",
    ]


def _connect_signals(heartbeats: HeartbeatSender, leases: HeldLeases, stopping: Sequence[Callable[[], None]]) -> None:
    # Strong references: Celery keeps weak ones, and these are closures.
    @signals.setup_logging.connect(weak=False)
    def keep_our_logging(**_: Any) -> None:
        """Celery would configure logging anew; that somebody listens here stops it."""

    @signals.worker_ready.connect(weak=False)
    def ready(**_: Any) -> None:
        freeze_heap()
        heartbeats.start()

    @signals.worker_shutting_down.connect(weak=False)
    def shutting_down(**_: Any) -> None:
        heartbeats.stop()
        for stop in stopping:
            stop()
        # What takes longer than that is somebody else's; if this process finishes it all the same, no harm is done.
        timer = threading.Timer(FINISH_SECONDS, leases.give_back)
        timer.daemon = True
        timer.start()
