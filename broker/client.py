"""The connection to Redis: send chunks and tasks, announce the end of jobs, and exchange heartbeats.

Receiving tasks is not here, because Celery does that.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from broker.app import ANSWER_SECONDS, CONNECT_SECONDS, make_celery
from broker.envelope import envelope, log_headers
from broker.searches import Searches
from broker.subscriptions import Listeners, Subscription, redis_errors
from broker.transport import DEAD_LETTER_COUNT
from core.errors import BrokerUnavailable, SettingsError
from core.messages import EXPLAIN_ITEM, PREVIEW, ChunkMessage, Queue
from core.settings import Settings
from core.tracing import context_to_send, is_tracing, receive_context
from core.versions import REDIS, parse_version

if TYPE_CHECKING:
    from celery import Celery

HEARTBEAT_SECONDS = 2.0
"""Seconds between two heartbeats of a worker."""
EXPLANATION_SECONDS = 10.0
"""Seconds that a request waits for an explanation. After that the client has to ask again."""
_HEARTBEAT_KEPT_SECONDS = 10
"""Seconds after which a worker without a new heartbeat no longer counts as alive."""
_HEARTBEATS = "lookbook:worker:"
_BEATS = "lookbook:beat:"
_CHANNEL = "lookbook:done:"
_PREVIEWS = "lookbook:preview:"
_TRACES = "lookbook:trace:"
_TRACE_KEPT_SECONDS = 24 * 3600
_METRICS = "lookbook:metrics:"
_METRICS_KEPT_SECONDS = 30 * 24 * 3600
_PREVIEW_KEPT_SECONDS = 300
_MAX_WAITING_PREVIEWS = 20
_RUN_KEY = "lookbook:run"
"""Key of the id of the Redis run in which the messages were sent. If the key is missing or holds another id, Redis has
lost the messages."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The status that a worker process reports."""

    worker: str
    queues: list[str]
    runtime: str
    device: str
    precision: str
    models: list[str]
    not_loaded: dict[str, str] = field(default_factory=dict)
    """Why the last attempt to load a model version failed, by `name@version`."""


def worker_suffix(process_id: int) -> str:
    """Return the end of the name of a worker on this host. The worker of a process can be found by it."""
    return f"@{socket.gethostname()}-{process_id}"


@dataclass(frozen=True, slots=True)
class RedisRun:
    """A run of a Redis server: the time between its start and its end."""

    id: str
    kept: bool
    """Whether Redis still holds everything that was sent in the run that was remembered last."""


class Broker:
    """The connection pool of one process to Redis."""

    def __init__(self, celery: Celery, connection: redis.Redis) -> None:
        self.celery = celery
        self._redis = connection
        self._listeners = Listeners(connection)
        self.searches = Searches(celery, connection, self._listeners)

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """Return a broker. It connects to Redis when it is first used.

        Raises:
            SettingsError: The URL of Redis is not valid.
        """
        celery = make_celery(settings)
        try:
            connection = redis.Redis.from_url(
                settings.resolved_redis_url,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=ANSWER_SECONDS,
                retry=Retry(NoBackoff(), 1),
            )
        except ValueError as error:
            # The URL itself is not shown, because it may hold a password.
            raise SettingsError(f"LOOKBOOK_REDIS_URL: {error}") from error
        return cls(celery, connection)

    def send(self, messages: Sequence[ChunkMessage]) -> list[ChunkMessage]:
        """Put chunks into their queues. Return those that could not be sent because Redis does not answer."""
        envelopes: dict[Queue, list[str]] = {}
        for message in messages:
            envelopes.setdefault(message.queue, []).append(envelope(message))
        try:
            with redis_errors():
                for queue, values in envelopes.items():
                    self._redis.lpush(queue.value, *values)
        except BrokerUnavailable:
            # Some may have arrived. Sending a message twice does no harm.
            return list(messages)
        return []

    def queue_explanation(self, item_id: str, prediction_id: str) -> None:
        """Have a worker explain the prediction of an item or of one of its regions.

        The worker announces the prediction's id when it is done.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            self.celery.send_task(
                EXPLAIN_ITEM,
                kwargs={"item_id": item_id, "prediction_id": prediction_id},
                queue=Queue.INTERACTIVE.value,
                # A client that still wants the explanation asks again.
                expires=EXPLANATION_SECONDS,
                retry=False,
                headers=log_headers(),
            )

    def queue_preview(self, preview_id: str, kept: dict[str, Any]) -> bool:
        """Keep a preview, and have a worker make it. Return False and do nothing if too many wait already.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            if self._redis.llen(Queue.CRAWL.value) >= _MAX_WAITING_PREVIEWS:
                return False
            self.keep_preview(preview_id, kept)
            self.celery.send_task(
                PREVIEW,
                kwargs={"preview_id": preview_id},
                queue=Queue.CRAWL.value,
                expires=_PREVIEW_KEPT_SECONDS,
                retry=False,
                headers=log_headers(),
            )
        return True

    def count_dead_letters(self) -> int:
        """Return how many malformed messages workers have set aside.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            return int(cast("bytes | None", self._redis.get(DEAD_LETTER_COUNT)) or 0)

    def keep_preview(self, preview_id: str, kept: dict[str, Any]) -> None:
        """Keep a preview for some minutes: its request, its state and what it shows.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            self._redis.set(_PREVIEWS + preview_id, json.dumps(kept), ex=_PREVIEW_KEPT_SECONDS)

    def read_preview(self, preview_id: str) -> dict[str, Any] | None:
        """Return a preview as it was kept, or None if it is unknown or too old.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            value = cast("bytes | None", self._redis.get(_PREVIEWS + preview_id))
        return None if value is None else json.loads(value)

    def queue_tasks(self, *tasks: str, max_waiting: int = 0, queue: Queue = Queue.MAINTENANCE) -> bool:
        """Queue tasks. Return False and queue nothing if more than `max_waiting` messages wait in the queue.

        This limit bounds the number of messages. Expiry could not, because the clock of the worker may differ.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            # Reading the length first fails fast if Redis is unavailable. Celery would try for seconds.
            if self._redis.llen(queue.value) > max_waiting:
                return False
            for task in tasks:
                self.celery.send_task(task, queue=queue.value, retry=False, headers=log_headers())
        return True

    def read_redis_run(self) -> RedisRun:
        """Return the run of Redis, and whether it is still the one that was remembered, with all its data.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            run = str(self._redis.info("server")["run_id"])
            seen = cast("bytes | None", self._redis.get(_RUN_KEY))
        return RedisRun(run, kept=seen == run.encode())

    def remember_run(self, run: RedisRun) -> None:
        """Remember the run of Redis, once everything that an earlier run has lost is marked to be sent again.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            self._redis.set(_RUN_KEY, run.id)

    def queue_lengths(self) -> dict[Queue, int]:
        """Return the number of messages that wait for a worker, by queue.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for queue in Queue:
                pipe.llen(queue.value)
            return dict(zip(Queue, pipe.execute(), strict=True))

    def empty_queues(self) -> set[Queue]:
        """Return the queues in which no message waits for a worker.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        return {queue for queue, length in self.queue_lengths().items() if length == 0}

    def ping(self) -> None:
        """Check that Redis answers.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            self._redis.ping()

    def check_version(self) -> None:
        """Refuse a Redis that is too old.

        A Redis that does not answer is not refused: it may be starting, and every process asks once when it starts.

        Raises:
            UnsupportedVersion: Redis is older than the oldest version that is supported.
        """
        try:
            with redis_errors():
                version = str(self._redis.info("server")["redis_version"])
        except BrokerUnavailable:
            return
        REDIS.check(parse_version(version), "LOOKBOOK_REDIS_URL")

    def waiting_for(self, subject_id: str) -> AbstractContextManager[Subscription]:
        """Subscribe to the announcement for the id of a job or prediction, until the end of the block.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        return self._listeners.waiting_for(_CHANNEL + subject_id)

    def announce(self, subject_id: str) -> None:
        """Wake all that wait for the end of a job or the explanation of an item, by its id.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            self._redis.publish(_CHANNEL + subject_id, "done")

    def send_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Tell Redis that a worker is alive.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            self._redis.set(_HEARTBEATS + heartbeat.worker, json.dumps(asdict(heartbeat)), ex=_HEARTBEAT_KEPT_SECONDS)

    def remove_heartbeat(self, worker: str) -> None:
        """Delete the heartbeat of a worker that stops, so that it no longer counts as alive.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            self._redis.delete(_HEARTBEATS + worker)

    def list_live_workers(self) -> list[Heartbeat]:
        """Return the heartbeats of the workers that are alive.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            keys = list(self._redis.scan_iter(match=_HEARTBEATS + "*"))
            values = self._redis.mget(keys) if keys else []
        return [Heartbeat(**json.loads(value)) for value in values if value]

    def find_silent_workers(self, workers: Collection[str], seconds: float) -> set[str]:
        """Return those of the workers from which no heartbeat has come for `seconds`, by the clock of Redis.

        A worker whose heartbeat is missing is among them: it may be dead, or Redis may have lost the heartbeat.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        names = list(workers)
        with redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for name in names:
                pipe.pttl(_HEARTBEATS + name)
            remaining = pipe.execute()
        # Redis gives the time that is left, or -2 for a missing key.
        oldest = (_HEARTBEAT_KEPT_SECONDS - seconds) * 1000
        return {name for name, milliseconds in zip(names, remaining, strict=True) if milliseconds < oldest}

    def send_beat(self) -> None:
        """Tell Redis that a beat on this host is alive. Raises `BrokerUnavailable`."""
        with redis_errors():
            self._redis.set(_BEATS + socket.gethostname(), "", ex=_HEARTBEAT_KEPT_SECONDS)

    def list_live_beats(self) -> list[str]:
        """Return the names of the hosts on which a beat is alive. Raises `BrokerUnavailable`."""
        with redis_errors():
            keys = list(self._redis.scan_iter(match=_BEATS + "*"))
        return sorted(key.decode().removeprefix(_BEATS) for key in keys)

    def keep_trace(self, job_id: str) -> None:
        """Keep the present trace for a job, for work that begins without a message. Without Redis nothing is kept."""
        context = context_to_send()
        if context is not None:
            with suppress(BrokerUnavailable), redis_errors():
                self._redis.set(_TRACES + job_id, context, ex=_TRACE_KEPT_SECONDS)

    def join_trace(self, job_id: str) -> None:
        """Let this thread work on the trace of a job from now on, if one is kept."""
        if not is_tracing():
            return
        with suppress(BrokerUnavailable), redis_errors():
            kept = cast("bytes | None", self._redis.get(_TRACES + job_id))
            receive_context(None if kept is None else kept.decode())

    def add_to_metrics(self, layout: str, added: Mapping[str, float]) -> None:
        """Add to the sums of the metrics of a layout, by field. Raises `BrokerUnavailable`; then nothing was added."""
        if not added:
            return
        with redis_errors():
            # A transaction, because half of the buckets would make a histogram wrong.
            pipe = self._redis.pipeline(transaction=True)
            for field_, add in added.items():
                pipe.hincrbyfloat(_METRICS + layout, field_, add)
            pipe.expire(_METRICS + layout, _METRICS_KEPT_SECONDS)
            pipe.execute()

    def read_metrics(self, layout: str) -> dict[str, float]:
        """Return the sums of the metrics of a layout, by field. Raises `BrokerUnavailable`."""
        with redis_errors():
            stored = cast("dict[bytes, bytes]", self._redis.hgetall(_METRICS + layout))
        return {field_.decode(): float(value) for field_, value in stored.items()}

    def close(self) -> None:
        self._redis.close()
        self.celery.close()
