"""Searches that a worker makes for a request: the question travels as a task, and the answer waits in Redis."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import redis

from broker.envelope import log_headers
from broker.subscriptions import Listeners, redis_errors
from core.ids import new_id
from core.messages import SEARCH, Queue

if TYPE_CHECKING:
    from celery import Celery

SEARCH_SECONDS = 10.0
"""Seconds that a request waits for the answer to a search. After that the client has to ask again."""
_ANSWERS = "lookbook:search:"
_CHANNEL = "lookbook:searched:"
_ANSWER_KEPT_SECONDS = 30


class Searches:
    """Asks and answers searches over one connection pool."""

    def __init__(self, celery: Celery, connection: redis.Redis, listeners: Listeners) -> None:
        self._celery = celery
        self._redis = connection
        self._listeners = listeners

    def ask(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """Have a worker search. Return its answer, or None if no worker answers within `SEARCH_SECONDS`.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        search_id = new_id("sea")
        with self._listeners.waiting_for(_CHANNEL + search_id) as wait:
            with redis_errors():
                self._celery.send_task(
                    SEARCH,
                    kwargs={"search_id": search_id, "question": question},
                    queue=Queue.SEARCH.value,
                    expires=SEARCH_SECONDS,
                    retry=False,
                    headers=log_headers(),
                )
            wait.wait(SEARCH_SECONDS)
        with redis_errors():
            answer = cast("bytes | None", self._redis.getdel(_ANSWERS + search_id))
        return None if answer is None else json.loads(answer)

    def answer(self, search_id: str, answer: dict[str, Any]) -> None:
        """Keep the answer to a search for some seconds, and wake the request that waits for it.

        Raises:
            BrokerUnavailable: Redis does not answer.
        """
        with redis_errors():
            pipe = self._redis.pipeline(transaction=True)
            pipe.set(_ANSWERS + search_id, json.dumps(answer), ex=_ANSWER_KEPT_SECONDS)
            pipe.publish(_CHANNEL + search_id, "done")
            pipe.execute()
