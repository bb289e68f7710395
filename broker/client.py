"""What the project does with Redis beside receiving tasks: send chunks, tell who waits, show who is alive."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self, cast

import redis
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

from broker.app import ANSWER_SECONDS, CONNECT_SECONDS, make_celery
from broker.envelope import envelope
from core.errors import BrokerUnavailable
from core.messages import EXPLAIN_ITEM, ChunkMessage, Queue
from core.settings import Settings
from core.versions import REDIS, parse_version

if TYPE_CHECKING:
    from celery import Celery

HEARTBEAT_SECONDS = 3.0
"""How often a worker says that it is alive."""
EXPLANATION_SECONDS = 10.0
"""How long someone waits for an explanation before asking again."""
_HEARTBEAT_KEPT_SECONDS = 10
_HEARTBEATS = "lookbook:worker:"
_CHANNEL = "lookbook:done:"
_RUN_KEY = "lookbook:run"
"""Holds the run of Redis in which the messages were sent: it is gone, or another's, when they are."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One worker process, as it describes itself."""

    worker: str
    queues: list[str]
    runtime: str
    device: str
    precision: str
    models: list[str]


def worker_suffix(process_id: int) -> str:
    """How the name of a worker of this host ends, by which its process is found."""
    return f"@{socket.gethostname()}-{process_id}"


@dataclass(frozen=True, slots=True)
class RedisRun:
    """One run of a Redis server, and whether its data is what we left in it."""

    id: str
    kept: bool


@contextmanager
def _redis_errors() -> Iterator[None]:
    """Whatever keeps Redis from answering is a `BrokerUnavailable` to the rest of the project."""
    try:
        yield
    except (redis.RedisError, OperationalError) as error:
        raise BrokerUnavailable(f"Redis does not answer: {error}") from error


class Subscription:
    """A subscription to one announcement. Made before the state is read, so that none is missed."""

    def __init__(self, listener: Any, channel: str) -> None:
        self._listener = listener
        self._channel = channel

    def wait(self, seconds: float) -> bool:
        """Whether it was announced within `seconds`.

        Raises:
            BrokerUnavailable: Redis went away meanwhile.
        """
        with _redis_errors():
            return _receives(self._listener, "message", self._channel, seconds)


def _receives(listener: Any, kind: str, channel: str, seconds: float) -> bool:
    """Whether a message of a kind comes from a channel within `seconds`; what comes from others is passed over."""
    give_up, wanted = time.monotonic() + seconds, (kind, channel.encode())
    left = seconds
    while left >= 0:
        message = listener.get_message(timeout=left)
        if message is not None and (message["type"], message["channel"]) == wanted:
            return True
        left = give_up - time.monotonic()
    return False


class Broker:
    """One connection pool to Redis, for one process."""

    def __init__(self, celery: Celery, connection: redis.Redis) -> None:
        self.celery = celery
        self._redis = connection
        # Subscriptions that nobody uses now: making one means connecting anew.
        self._listeners: SimpleQueue[Any] = SimpleQueue()

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """Prepare to speak to Redis; nothing is sent yet."""
        celery = make_celery(settings)
        connection = redis.Redis.from_url(
            settings.resolved_redis_url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 1),
        )
        return cls(celery, connection)

    def send(self, messages: Sequence[ChunkMessage]) -> list[ChunkMessage]:
        """Put chunks into their queues; returns those that could not be sent because Redis is not there."""
        envelopes: dict[Queue, list[str]] = {}
        for message in messages:
            envelopes.setdefault(message.queue, []).append(envelope(message))
        try:
            with _redis_errors():
                for queue, values in envelopes.items():
                    self._redis.lpush(queue.value, *values)
        except BrokerUnavailable:
            # Some may have arrived: a message that is sent twice does no harm.
            return list(messages)
        return []

    def queue_explanation(self, item_id: str) -> None:
        """Have a worker explain an item's prediction; it announces the item's id when it has.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with _redis_errors():
            self.celery.send_task(
                EXPLAIN_ITEM,
                kwargs={"item_id": item_id},
                queue=Queue.INTERACTIVE.value,
                # Asked again by whoever still wants it.
                expires=EXPLANATION_SECONDS,
                retry=False,
            )

    def queue_tasks(self, *tasks: str, max_waiting: int = 0, queue: Queue = Queue.MAINTENANCE) -> bool:
        """Have tasks run soon; False, and nothing asked for, while more than `waiting` tasks wait in the queue.

        They do not expire, for the clock of whoever takes them may be another: this is what bounds their number.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with _redis_errors():
            # Asked first: Celery would try for seconds where Redis is away.
            if self._redis.llen(queue.value) > max_waiting:
                return False
            for task in tasks:
                self.celery.send_task(task, queue=queue.value, retry=False)
        return True

    def redis_run(self) -> RedisRun:
        """Whether this is still the Redis that was seen before, with all that it held then.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with _redis_errors():
            run = str(self._redis.info("server")["run_id"])
            seen = cast("bytes | None", self._redis.get(_RUN_KEY))
        return RedisRun(run, kept=seen == run.encode())

    def remember_run(self, run: RedisRun) -> None:
        """What was lost with the last Redis has been sent again, or will be.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with _redis_errors():
            self._redis.set(_RUN_KEY, run.id)

    def queue_lengths(self) -> dict[Queue, int]:
        """How many messages wait for a worker, by queue.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with _redis_errors():
            pipe = self._redis.pipeline(transaction=False)
            for queue in Queue:
                pipe.llen(queue.value)
            return dict(zip(Queue, pipe.execute(), strict=True))

    def empty_queues(self) -> set[Queue]:
        """The queues in which no message waits for a worker.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        return {queue for queue, length in self.queue_lengths().items() if length == 0}

    def ping(self) -> None:
        """One round trip.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with _redis_errors():
            self._redis.ping()

    def check_version(self) -> None:
        """Refuse a Redis that is too old.

        A Redis that does not answer is not refused: it may be starting, and every process asks once when it starts.

        Raises:
            UnsupportedVersion: Redis is older than the oldest version that is supported.
        """
        try:
            with _redis_errors():
                version = str(self._redis.info("server")["redis_version"])
        except BrokerUnavailable:
            return
        REDIS.check(parse_version(version), "LOOKBOOK_REDIS_URL")

    @contextmanager
    def waiting_for(self, what: str) -> Iterator[Subscription]:
        """Listen for what `announce` will say of `what`.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        listener, channel = self._listener(), _CHANNEL + what
        try:
            with _redis_errors():
                listener.subscribe(channel)
                # The confirmation is read here: from now on nothing that is announced can be missed.
                if not _receives(listener, "subscribe", channel, CONNECT_SECONDS):
                    raise BrokerUnavailable(f"Redis does not confirm a subscription within {CONNECT_SECONDS:g} s")
            yield Subscription(listener, channel)
        except BaseException:
            listener.close()
            raise
        self._give_back(listener, channel)

    def _give_back(self, listener: Any, channel: str) -> None:
        try:
            with _redis_errors():
                # Nobody waits for the confirmation: whoever listens next passes over it.
                listener.unsubscribe(channel)
        except BrokerUnavailable:
            # Whoever waited has been told already; the next one connects anew.
            listener.close()
        else:
            self._listeners.put(listener)

    def _listener(self) -> Any:
        try:
            return self._listeners.get_nowait()
        except Empty:
            return self._redis.pubsub()  # type: ignore[no-untyped-call]

    def announce(self, what: str) -> None:
        """Wake whoever waits for a job's end or an item's explanation, by its id.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with _redis_errors():
            self._redis.publish(_CHANNEL + what, "done")

    def send_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Say that a worker is alive.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with _redis_errors():
            self._redis.set(_HEARTBEATS + heartbeat.worker, json.dumps(asdict(heartbeat)), ex=_HEARTBEAT_KEPT_SECONDS)

    def remove_heartbeat(self, worker: str) -> None:
        """A worker that stops says so, rather than being missed.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with _redis_errors():
            self._redis.delete(_HEARTBEATS + worker)

    def workers(self) -> list[Heartbeat]:
        """Workers that were alive a moment ago.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with _redis_errors():
            keys = list(self._redis.scan_iter(match=_HEARTBEATS + "*"))
            values = self._redis.mget(keys) if keys else []
        return [Heartbeat(**json.loads(value)) for value in values if value]

    def close(self) -> None:
        self._redis.close()
        self.celery.close()
