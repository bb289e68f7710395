"""The Celery app. Senders and workers use the same configuration, which is therefore made here."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu import Queue as KombuQueue
from kombu.transport import TRANSPORT_ALIASES
from redis.connection import parse_url

from core.deadlines import Deadlines
from core.messages import Queue
from core.settings import Settings

CONNECT_SECONDS = 2.0
"""Seconds that a sender waits for a connection to Redis before Redis counts as unavailable."""
ANSWER_SECONDS = 2.0
"""Seconds that Redis may take for an answer. After that the connection is closed, because the network may have dropped
it."""
HEALTH_SECONDS = 3
"""Seconds between health checks of a connection that only listens."""


# A setting of Celery could name the transport, too, but Kombu ignores that for Unix sockets and TLS.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "broker.transport:CheckedTransport"))


def make_celery(settings: Settings) -> Celery:
    """Return a Celery app with the settings that docs/adr/0005-celery-on-redis.md explains.

    It has no tasks: worker/ registers them, and senders use the task names in core/messages.py.
    """
    app = Celery("lookbook", set_as_current=False)
    app.conf.update(
        broker_url=_kombu_url(settings.resolved_redis_url),
        broker_use_ssl=_tls_options(settings.resolved_redis_url),
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": Deadlines.of(settings).visibility_timeout.total_seconds(),
            "queue_order_strategy": "priority",
            # Kombu can keep a Redis list for each priority. Here each priority is a queue, so one list is enough.
            "priority_steps": [0],
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": ANSWER_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": HEALTH_SECONDS,
        },
        # Outcomes are in the database. Celery stores no results.
        task_ignore_result=True,
        result_backend=None,
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_create_missing_queues=False,
        task_queues=[KombuQueue(queue.value) for queue in Queue],
        task_default_queue=Queue.MAINTENANCE.value,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_soft_shutdown_timeout=10.0,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        timezone="UTC",
    )
    return app


def _kombu_url(redis_url: str) -> str:
    """Return the URL in Kombu's form: redis-py writes a Unix socket as `unix:///path`, Kombu as `redis+socket:///path`."""
    if redis_url.startswith("unix://"):
        return "redis+socket://" + redis_url.removeprefix("unix://")
    # Kombu reads the options of TLS as texts, so that `ssl_check_hostname=false` would mean the opposite.
    return redis_url.partition("?")[0] if _uses_tls(redis_url) else redis_url


def _uses_tls(redis_url: str) -> bool:
    return redis_url.startswith("rediss://")


def _tls_options(redis_url: str) -> dict[str, Any] | None:
    """Return the options of TLS in the URL of Redis, as redis-py understands them. None: the URL asks for no TLS.

    Without options, Kombu would not check the certificate of the server.
    """
    if not _uses_tls(redis_url):
        return None
    parsed: dict[str, Any] = parse_url(redis_url)  # type: ignore[no-untyped-call]
    given = {name: value for name, value in parsed.items() if name.startswith("ssl_")}
    return {"ssl_cert_reqs": "required"} | given
