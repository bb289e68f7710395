"""The entry point of a worker process: `run_worker`.

`worker/parts.py` builds the parts that the worker's queues need, and `worker/tasks.py` registers their Celery tasks.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import celery.apps.worker
import structlog
from celery import Celery, signals
from celery.exceptions import SecurityWarning

from broker.app import make_celery
from broker.metrics import MetricsSender
from broker.servers import check_servers
from classifier.runtime import BULK_NICENESS
from core.allocation import freeze_heap
from core.logs import bind_ids, configure_logging
from core.messages import FETCH_QUEUES, Queue
from core.settings import Settings
from core.tracing import TRACEPARENT, receive_context, start_tracing
from db.model_versions import registered_digest
from worker.health.consumers import ConsumerWatch
from worker.health.heartbeats import HeartbeatSender
from worker.health.tasks import count_tasks
from worker.interactive import InteractiveConsumer
from worker.leases import HeldLeases
from worker.parts import (
    Connections,
    build_classifying,
    build_courier,
    build_crawls,
    build_expander,
    build_fetching,
    build_hint_maker,
    build_lesson_giver,
    build_linker,
    build_mapper,
    build_previews,
    build_searcher,
    start_lease_watch,
)
from worker.predicting.models import ModelCache
from worker.tasks import (
    register_classify,
    register_crawl,
    register_expand,
    register_explain,
    register_fetch,
    register_maintenance,
    register_search,
)

log = structlog.get_logger(__name__)

FINISH_SECONDS = 10.0
"""Seconds that a worker keeps working after it was told to stop. It then gives back the chunks that it still holds."""

CLASSIFY_QUEUES = (Queue.INTERACTIVE, Queue.BULK, Queue.LOW)
INTERACTIVE_QUEUES: tuple[Queue, ...] = (Queue.INTERACTIVE, Queue.FETCH_INTERACTIVE, Queue.SEARCH)

RegisterTasks = Callable[[Celery], None]


def run_worker(settings: Settings, queues: Sequence[Queue], concurrency: int) -> None:
    """Work on `queues`, the first one first, until a signal stops the process. SIGTERM lets running tasks finish."""
    configure_logging(settings.log_level, _kind(queues))
    # Docker runs processes as root, and Celery would warn of it in five lines at each start.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    check_servers(settings)
    if set(queues) == {Queue.MAINTENANCE}:
        # No client waits for maintenance, so the API and the workers that clients wait for get the processor first.
        os.nice(BULK_NICENESS)
    start_tracing(settings.traces, _kind(queues))
    with ExitStack() as stack:
        connections = Connections.open(settings)
        stack.callback(connections.close)
        models = ModelCache(settings, partial(registered_digest, connections.database))
        stack.callback(models.close)
        main_queues, interactive_queues = _split_queues(queues)
        consumer_watch = ConsumerWatch(connections.broker, [main_queues, interactive_queues])
        consumer_watch.connect()
        sender = MetricsSender(connections.broker, _kind(queues))
        stack.callback(sender.stop)
        heartbeats = HeartbeatSender(connections.broker, models, queues, consumer_watch)
        stack.callback(heartbeats.stop)
        leases = HeldLeases(connections.database, heartbeats.worker, connections.policy)
        leases.start()
        stack.callback(leases.stop)
        registrations, stop_callbacks = _build_parts(queues, connections, models, leases, stack)
        app = connections.broker.celery
        for register in registrations:
            register(app)
        if interactive_queues:
            _start_interactive_consumer(settings, registrations, interactive_queues, heartbeats.worker, stack)
        if Queue.MAINTENANCE in queues:
            linker, courier = build_linker(connections, stack), build_courier(connections, stack)
            hint_maker, mapper = build_hint_maker(connections, stack), build_mapper(connections, stack)
            stop_callbacks.append(mapper.stop)
            giver = build_lesson_giver(connections, stack)
            start_lease_watch(connections, stack)
            register_maintenance(app, connections, linker, hint_maker, courier, mapper, giver)
        _connect_signals(heartbeats, leases, stop_callbacks)
        count_tasks()
        sender.start()
        app.worker_main(_celery_arguments(main_queues, concurrency, heartbeats.worker))


def _kind(queues: Sequence[Queue]) -> str:
    """Return the kind of worker for the log. `lookbook up` names its workers alike."""
    if any(queue in CLASSIFY_QUEUES for queue in queues):
        return "worker"
    kinds = {Queue.MAINTENANCE: "maintenance", Queue.CRAWL: "crawler"}
    return kinds.get(queues[0], "ingest")


def _split_queues(queues: Sequence[Queue]) -> tuple[list[Queue], list[Queue]]:
    """Return the queues of the main consumer and those of the interactive consumer.

    The second list is empty if all queues are of one kind: a second consumer would then gain nothing.
    """
    interactive = [queue for queue in queues if queue in INTERACTIVE_QUEUES]
    others = [queue for queue in queues if queue not in INTERACTIVE_QUEUES]
    return (others, interactive) if others else (interactive, [])


def _build_parts(
    queues: Sequence[Queue], connections: Connections, models: ModelCache, leases: HeldLeases, stack: ExitStack
) -> tuple[list[RegisterTasks], list[Callable[[], None]]]:
    """Build the parts for these queues, except maintenance.

    Return the functions that register the tasks with a Celery app, and those that stop the parts from starting
    more work.
    """
    registrations: list[RegisterTasks] = []
    stop_callbacks: list[Callable[[], None]] = []
    if any(queue in CLASSIFY_QUEUES for queue in queues):
        classify_stage, explainer = build_classifying(connections, models, leases, stack)
        registrations.append(partial(register_classify, stage=classify_stage))
        registrations.append(partial(register_explain, explainer=explainer))
    if any(queue in FETCH_QUEUES for queue in queues):
        fetch_stage, stop = build_fetching(connections, leases, stack)
        registrations.append(partial(register_fetch, stage=fetch_stage))
        stop_callbacks.append(stop)
    if Queue.SEARCH in queues:
        registrations.append(partial(register_search, searcher=build_searcher(connections, stack)))
    if Queue.INGEST in queues:
        expander = build_expander(connections, leases.worker, stack)
        registrations.append(partial(register_expand, expander=expander))
        stop_callbacks.append(expander.stop)
    if Queue.CRAWL in queues:
        crawls = build_crawls(connections, leases.worker, stack)
        registrations.append(partial(register_crawl, crawls=crawls, previews=build_previews(connections, stack)))
        stop_callbacks.append(crawls.stop)
    return registrations, stop_callbacks


def _start_interactive_consumer(
    settings: Settings,
    registrations: Sequence[RegisterTasks],
    queues: Sequence[Queue],
    worker: str,
    stack: ExitStack,
) -> None:
    app = make_celery(settings)
    for register in registrations:
        register(app)
    consumer = InteractiveConsumer(app, f"interactive-{worker}", queues)
    consumer.start()
    stack.callback(consumer.join)


def _celery_arguments(queues: Sequence[Queue], concurrency: int, worker: str) -> list[str]:
    return [
        # No banner: it is no JSON.
        "--quiet",
        "worker",
        "--pool=threads",
        f"--concurrency={concurrency}",
        f"--queues={','.join(queue.value for queue in queues)}",
        f"--hostname={worker}",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        "--loglevel=WARNING",
    ]


def _connect_signals(
    heartbeats: HeartbeatSender, leases: HeldLeases, stop_callbacks: Sequence[Callable[[], None]]
) -> None:
    # Celery prints a line of plain text when it gets a signal. `shutting_down` below logs the same.
    celery.apps.worker.safe_say = lambda *_: None  # type: ignore[attr-defined]

    # weak=False: Celery keeps weak references by default, and would lose these functions when this one returns.
    @signals.setup_logging.connect(weak=False)
    def keep_our_logging(**_: Any) -> None:
        """Do nothing. Celery configures logging itself only if no function is connected to this signal."""

    @signals.task_prerun.connect(weak=False)
    def bind_ids_of_message(task: Any, kwargs: dict[str, Any], **_: Any) -> None:
        """Add the ids of the message to what its thread logs, and to the messages that it sends."""
        request_id = getattr(task.request, "request_id", None)
        bind_ids(request_id=request_id, job=kwargs.get("job_id"), chunk=kwargs.get("chunk_id"))
        receive_context(getattr(task.request, TRACEPARENT, None))

    @signals.worker_ready.connect(weak=False)
    def ready(**_: Any) -> None:
        freeze_heap()
        heartbeats.start()

    @signals.worker_shutting_down.connect(weak=False)
    def shutting_down(**_: Any) -> None:
        log.info("worker_stopping", seconds=FINISH_SECONDS)
        heartbeats.stop()
        for stop in stop_callbacks:
            stop()
        # Chunks that are not recorded by then go to other workers. If this process still records one, no harm is done.
        timer = threading.Timer(FINISH_SECONDS, leases.give_back)
        timer.daemon = True
        timer.start()
