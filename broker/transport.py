"""Kombu's transport for Redis, which sets malformed messages aside instead of ending the process that receives them.

Kombu and Celery expect well-formed messages. One that they cannot read raises an error in the loop of the consumer, and
ends the worker.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import structlog
from kombu.transport import redis

from broker.envelope import CONSTANT_HEADERS, NO_FOLLOWING_TASKS
from core.messages import TASKS, Queue

log = structlog.get_logger(__name__)

DEAD_LETTERS, DEAD_LETTER_COUNT = "lookbook:dead-letters", "lookbook:dead-letters:count"
"""The Redis list with the malformed messages that came last, the newest one first, and the number of all of them."""

MAX_DEAD_LETTERS, MAX_DEAD_LETTER_BYTES = 1000, 16 * 1024
"""Messages that the list keeps, and bytes that it keeps of each."""


# The types of Kombu lack the methods that are used here.
_Redis: Any = redis


class CheckedQoS(_Redis.QoS):  # type: ignore[misc]
    """Gives back messages whose worker has died, except malformed ones."""

    def restore_by_tag(self, tag: bytes | str, client: Any = None, leftmost: bool = False) -> None:
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (ValueError, TypeError, KeyError, AttributeError):
            with self.channel.conn_or_acquire(client) as connection:
                stored = connection.hget(self.unacked_key, tag) or b""
                self._remove_from_indices(tag, connection.pipeline()).execute()
            self.channel.set_aside(stored)


class CheckedChannel(_Redis.Channel):  # type: ignore[misc]
    """Reads messages, and sets aside those that are not JSON."""

    QoS = CheckedQoS

    def set_aside(self, message: bytes) -> None:
        """Put a malformed message into the list of dead letters, and count it."""
        log.error("message_set_aside", message=message[:200].decode(errors="replace"))
        with self.conn_or_acquire() as client, client.pipeline() as pipe:
            pipe.lpush(DEAD_LETTERS, message[:MAX_DEAD_LETTER_BYTES])
            pipe.ltrim(DEAD_LETTERS, 0, MAX_DEAD_LETTERS - 1)
            pipe.incr(DEAD_LETTER_COUNT)
            pipe.execute()

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except json.JSONDecodeError as error:
            self.set_aside(error.doc.encode())
        except UnicodeDecodeError as error:
            self.set_aside(error.object)
        except RecursionError:
            self.set_aside(b"JSON that is nested too deeply")
        return True


class CheckedTransport(_Redis.Transport):  # type: ignore[misc]
    """Delivers messages that are well-formed, and sets the others aside."""

    Channel = CheckedChannel

    def _deliver(self, message: Any, queue: str) -> None:
        if is_well_formed(message):
            super()._deliver(message, queue)
        else:
            self.channels[0].set_aside(json.dumps(message, default=repr).encode())


def is_well_formed(message: Any) -> bool:
    """Return whether a decoded message is one that this service sends: a known task, its arguments, and its queue."""
    try:
        properties, headers = message["properties"], message["headers"]
        arguments, keyword_arguments, following = json.loads(base64.b64decode(message["body"], validate=True))
        return (
            message["content-type"] == "application/json"
            and message["content-encoding"] == "utf-8"
            and properties["body_encoding"] == "base64"
            and isinstance(properties["delivery_tag"], str)
            and properties["delivery_info"]["exchange"] == ""
            and properties["delivery_info"]["routing_key"] in set(Queue)
            and _are_our_headers(headers)
            and isinstance(arguments, list)
            and isinstance(keyword_arguments, dict)
            and following == NO_FOLLOWING_TASKS
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _are_our_headers(headers: dict[str, Any]) -> bool:
    if headers["expires"] is not None:
        datetime.fromisoformat(headers["expires"])
    return (
        headers["task"] in TASKS
        and isinstance(headers["id"], str)
        and isinstance(headers["root_id"], str)
        and isinstance(headers["parent_id"], str | None)
        and all(headers[name] == value for name, value in CONSTANT_HEADERS.items())
    )
