"""Waiting for announcements in Redis, with connections that are used again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

import redis
from kombu.exceptions import OperationalError

from broker.app import CONNECT_SECONDS
from core.errors import BrokerUnavailable


@contextmanager
def redis_errors() -> Iterator[None]:
    """Raise `BrokerUnavailable` in place of any error that keeps Redis from answering."""
    try:
        yield
    except (redis.RedisError, OperationalError) as error:
        raise BrokerUnavailable(f"Redis does not answer: {error}") from error


class Subscription:
    """A subscription to one announcement.

    Subscribe before you read the state from the database, so that no announcement is missed in between.
    """

    def __init__(self, listener: Any, channel: str) -> None:
        self._listener = listener
        self._channel = channel

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`, and return whether the announcement came.

        Raises:
            BrokerUnavailable: Redis became unavailable meanwhile.
        """
        with redis_errors():
            return _receives(self._listener, "message", self._channel, seconds)


def _receives(listener: Any, kind: str, channel: str, seconds: float) -> bool:
    """Return whether a message of a kind comes from a channel within `seconds`. Skip all other messages."""
    deadline, expected = time.monotonic() + seconds, (kind, channel.encode())
    remaining = seconds
    while remaining >= 0:
        message = listener.get_message(timeout=remaining)
        if message is not None and (message["type"], message["channel"]) == expected:
            return True
        remaining = deadline - time.monotonic()
    return False


class Listeners:
    """The connections of one process that listen to announcements."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        # Listeners that are free for reuse, because a new one needs a new connection.
        self._listeners: SimpleQueue[Any] = SimpleQueue()

    @contextmanager
    def waiting_for(self, channel: str) -> Iterator[Subscription]:
        """Subscribe to the announcements in a channel, until the end of the block.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        listener = self._take_listener()
        try:
            with redis_errors():
                listener.subscribe(channel)
                # Once Redis has confirmed the subscription, no announcement can be missed.
                if not _receives(listener, "subscribe", channel, CONNECT_SECONDS):
                    raise BrokerUnavailable(f"Redis does not confirm a subscription within {CONNECT_SECONDS:g} s")
            yield Subscription(listener, channel)
        except BaseException:
            listener.close()
            raise
        self._give_back_listener(listener, channel)

    def _give_back_listener(self, listener: Any, channel: str) -> None:
        try:
            with redis_errors():
                # The confirmation is not awaited. The next user of the listener skips it.
                listener.unsubscribe(channel)
        except BrokerUnavailable:
            # The announcement was received already. The next subscription gets a new connection.
            listener.close()
        else:
            self._listeners.put(listener)

    def _take_listener(self) -> Any:
        try:
            return self._listeners.get_nowait()
        except Empty:
            return self._redis.pubsub()  # type: ignore[no-untyped-call]
