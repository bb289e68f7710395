"""The Celery application, configured once for everyone who sends or receives."""

from __future__ import annotations

from celery import Celery
from kombu import Queue as KombuQueue

from core.deadlines import Deadlines
from core.messages import Queue
from core.settings import Settings

CONNECT_SECONDS = 2.0
"""How long a sender waits for Redis before it says that Redis is not there."""
ANSWER_SECONDS = 2.0
"""A connection on which Redis owes an answer for longer is given up: a network may drop it without telling us."""
HEALTH_SECONDS = 3
"""How often connections that only listen are asked whether they still lead to Redis."""


def make_celery(settings: Settings) -> Celery:
    """A Celery application with the settings of docs/adr/0005-celery-on-redis.md.

    Tasks are registered by worker/; senders name them by the constants of core/messages.py.
    """
    app = Celery("lookbook", set_as_current=False)
    app.conf.update(
        broker_url=_kombu_url(settings.resolved_redis_url),
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": Deadlines.of(settings).visibility_timeout.total_seconds(),
            "queue_order_strategy": "priority",
            # One list a queue: priorities are whole queues here, asked in their order.
            "priority_steps": [0],
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": ANSWER_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": HEALTH_SECONDS,
        },
        # The database is the truth: results are never written to, nor read from, Celery.
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
    """Kombu spells a Unix socket `redis+socket:///path`, redis-py `unix:///path`."""
    if redis_url.startswith("unix://"):
        return "redis+socket://" + redis_url.removeprefix("unix://")
    return redis_url
