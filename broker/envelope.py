"""The message of a chunk as it is stored in Redis: version 2 of Celery's protocol, wrapped by kombu.

Celery takes five times as long to send a message, mostly for parts that are the same in every message. A test checks
that this message differs from Celery's only in random values.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import uuid
from typing import Any

from core.logs import current_request_id
from core.messages import ChunkMessage
from core.tracing import TRACEPARENT, context_to_send

NO_FOLLOWING_TASKS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
CONSTANT_HEADERS: dict[str, Any] = {
    "lang": "py",
    "group": None,
    "group_index": None,
    "shadow": None,
    "eta": None,
    "retries": 0,
    "timelimit": [None, None],
    "replaced_task_nesting": 0,
    "stamped_headers": None,
    "stamps": {},
}
"""The headers that are the same in all messages of this service."""
_PERSISTENT = 2


def log_headers() -> dict[str, str]:
    """Return the headers that tell a worker the request that this thread works for: its id, and its trace if any."""
    headers = {"request_id": current_request_id(), TRACEPARENT: context_to_send()}
    return {name: value for name, value in headers.items() if value is not None}


def envelope(message: ChunkMessage) -> str:
    """Return the message of a chunk, as a worker reads it from the list of its queue."""
    task_id = str(uuid.uuid4())
    arguments = message.arguments()
    body = json.dumps(((), arguments, NO_FOLLOWING_TASKS))
    return json.dumps(
        {
            "body": base64.b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                **CONSTANT_HEADERS,
                **log_headers(),
                "task": message.task,
                "id": task_id,
                "root_id": task_id,
                "parent_id": None,
                "expires": None,
                "argsrepr": "()",
                "kwargsrepr": repr(arguments),
                "origin": f"{os.getpid()}@{socket.gethostname()}",
                "ignore_result": None,
            },
            "properties": {
                "correlation_id": task_id,
                "reply_to": "",
                "delivery_mode": _PERSISTENT,
                "delivery_info": {"exchange": "", "routing_key": message.queue.value},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    )
