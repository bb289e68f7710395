"""The parts of a worker process: its connections, and one `build_...` function for each kind of work.

A `build_...` function starts the threads and processes of its part. It also puts on the given `ExitStack` how to close
them, so that leaving the stack closes the parts in the reverse order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import structlog

from broker.client import Broker
from classifier.artifact import input_bytes, largest_input
from core.fetching import Fetcher, FetchLimits
from core.machine import Machine
from core.pictures import PictureLimits
from core.settings import Settings
from db import model_versions
from db.blobs.opening import open_blob_store
from db.database import TRANSIENT_ERRORS, Database
from db.steps.chunks import ChunkPolicy
from db.steps.leasing import SOURCE_LEASES
from worker.decoding.decoder import DecoderLimits
from worker.decoding.pool import DecoderPool
from worker.interactive import THREADS as INTERACTIVE_THREADS
from worker.leases import HeldLeases
from worker.lessons.giver import LessonGiver
from worker.maintenance.courier import Courier
from worker.maintenance.hints import HintMaker
from worker.maintenance.lease_watch import LeaseWatch
from worker.maintenance.linker import Linker
from worker.maps.mapper import Mapper
from worker.predicting.explaining import Explainer
from worker.predicting.models import ModelCache
from worker.predicting.preloading import ModelPreloader
from worker.searching.searcher import Searcher
from worker.sources.crawls import CrawlRunner
from worker.sources.entries import SourceLimits
from worker.sources.expander import SourceExpander
from worker.sources.previews import PreviewRunner
from worker.stages.classifying import ClassifyStage
from worker.stages.downloads import DownloadPool, DownloadPools, PictureFetcher
from worker.stages.fetching import FetchStage

log = structlog.get_logger(__name__)

MAX_DECODED_PICTURES = 192
"""Maximum number of decoded pictures that wait for the device. This is more than the batcher's queue holds, so this
limit never leaves the device idle."""

DOWNLOAD_THREADS = 32
"""Threads that download the pictures no client waits for. Interactive pictures have threads of their own."""

CONNECTIONS_PER_HOST = 6
"""Connections that one worker opens to one host at the same time. Browsers open as many."""


@dataclass(frozen=True, slots=True)
class Connections:
    """The settings, the database and the broker that every part of a worker process uses."""

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


def build_classifying(
    connections: Connections, models: ModelCache, leases: HeldLeases, stack: ExitStack
) -> tuple[ClassifyStage, Explainer]:
    """Start the decoders and load the production model. Return the stage and the explainer."""
    settings = connections.settings
    limits = DecoderLimits(settings.decode_seconds, settings.decode_megabytes * 2**20, PictureLimits.of(settings))
    blobs = open_blob_store(settings)
    log.info(
        "decoders_starting", count=settings.decoders, megabytes=settings.decode_megabytes, machine=str(Machine.here())
    )
    decoders = DecoderPool(blobs, settings.decoders, limits, MAX_DECODED_PICTURES, _largest_input(connections))
    stack.callback(decoders.close)
    # start() returns once the production model is loaded. The worker sends its first heartbeat only after that.
    preloader = ModelPreloader(connections.database, models)
    preloader.start()
    stack.callback(preloader.stop)
    threading.Thread(target=models.watch, name="device-watchdog", daemon=True).start()
    stage = ClassifyStage(connections.database, connections.broker, models, decoders, leases, connections.policy)
    return stage, Explainer(connections.database, connections.broker, models, decoders, blobs)


def _largest_input(connections: Connections) -> int:
    """Return the bytes of the largest input of all models, of this machine's folder and of the database."""
    found = largest_input(connections.settings.models)
    try:
        with connections.database.reading() as session:
            registered = [row.input for row in model_versions.list_all(session)]
    except TRANSIENT_ERRORS as error:
        log.warning("inputs_not_read", reason=str(error.orig))
        return found
    return max([found, *(input_bytes(content) for content in registered)])


def build_fetching(
    connections: Connections, leases: HeldLeases, stack: ExitStack
) -> tuple[FetchStage, Callable[[], None]]:
    """Start the download threads. Return the stage, and a function after whose call no further download begins."""
    settings = connections.settings
    limits = FetchLimits(max_bytes=settings.max_picture_bytes)
    fetcher = stack.enter_context(Fetcher(allow=settings.fetch_allow, limits=limits))
    blobs = open_blob_store(settings)
    downloader = PictureFetcher(fetcher, blobs)
    pools = DownloadPools(
        interactive=DownloadPool(downloader, threads=INTERACTIVE_THREADS, per_host=CONNECTIONS_PER_HOST),
        bulk=DownloadPool(downloader, threads=DOWNLOAD_THREADS, per_host=CONNECTIONS_PER_HOST),
    )
    stack.callback(pools.stop)
    stage = FetchStage(connections.database, connections.broker, blobs, pools, leases, connections.policy)
    return stage, pools.stop


def build_expander(connections: Connections, worker: str, stack: ExitStack) -> SourceExpander:
    """Create the SourceExpander, with leases of its own on the sources."""
    settings = connections.settings
    leases = HeldLeases(connections.database, worker, connections.policy, table=SOURCE_LEASES)
    leases.start()
    stack.callback(leases.stop)
    blobs, limits = open_blob_store(settings), SourceLimits.of(settings)
    fetcher = stack.enter_context(Fetcher(allow=settings.fetch_allow))
    expander = SourceExpander(
        connections.database, connections.broker, blobs, leases, connections.policy, limits, fetcher
    )
    stack.callback(expander.close)
    return expander


def build_crawls(connections: Connections, worker: str, stack: ExitStack) -> CrawlRunner:
    """Create the CrawlRunner."""
    crawls = CrawlRunner(connections.database, connections.broker, connections.settings, worker, connections.policy)
    stack.callback(crawls.close)
    return crawls


def build_previews(connections: Connections, stack: ExitStack) -> PreviewRunner:
    """Create the PreviewRunner."""
    previews = PreviewRunner(connections.broker, connections.settings)
    stack.callback(previews.close)
    return previews


def build_searcher(connections: Connections, stack: ExitStack) -> Searcher:
    """Create the Searcher. It opens an index of vectors when the first search needs it."""
    searcher = Searcher(connections.database, connections.broker, connections.settings.vectors_folder)
    stack.callback(searcher.close)
    return searcher


def start_lease_watch(connections: Connections, stack: ExitStack) -> None:
    """Look for dead workers in the background."""
    watch = LeaseWatch(connections.database, connections.broker, connections.policy)
    watch.start()
    stack.callback(watch.stop)


def build_linker(connections: Connections, stack: ExitStack) -> Linker:
    """Create the Linker."""
    linker = Linker(connections.database)
    stack.callback(linker.close)
    return linker


def build_mapper(connections: Connections, stack: ExitStack) -> Mapper:
    """Create the Mapper."""
    mapper = Mapper(connections.database)
    stack.callback(mapper.close)
    return mapper


def build_lesson_giver(connections: Connections, stack: ExitStack) -> LessonGiver:
    """Create the LessonGiver."""
    giver = LessonGiver(connections.database, connections.settings)
    stack.callback(giver.close)
    return giver


def build_hint_maker(connections: Connections, stack: ExitStack) -> HintMaker:
    """Create the HintMaker."""
    maker = HintMaker(connections.database, connections.settings)
    stack.callback(maker.close)
    return maker


def build_courier(connections: Connections, stack: ExitStack) -> Courier:
    """Create the Courier."""
    settings = connections.settings
    fetcher = stack.enter_context(Fetcher(allow=settings.fetch_allow))
    courier = Courier(connections.database, fetcher, settings.webhook_secret)
    stack.callback(courier.close)
    return courier
