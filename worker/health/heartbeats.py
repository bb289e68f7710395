"""Heartbeats: a worker process tells Redis every few seconds that it is alive and which models it has loaded."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import structlog

from broker.client import HEARTBEAT_SECONDS, Broker, Heartbeat, worker_suffix
from core.errors import BrokerUnavailable
from core.ids import new_id
from core.messages import Queue
from worker.health.consumers import EXIT_CONSUMER_STALLED, ConsumerWatch
from worker.predicting.models import ModelCache

log = structlog.get_logger(__name__)


class HeartbeatSender:
    """Sends this worker's heartbeats from a thread, and ends the process when one of its consumers has stalled."""

    def __init__(
        self, broker: Broker, models: ModelCache, queues: Sequence[Queue], consumer_watch: ConsumerWatch
    ) -> None:
        self.worker = new_id("wrk") + worker_suffix(os.getpid())
        self._broker = broker
        self._models = models
        self._consumer_watch = consumer_watch
        self._queues = [queue.value for queue in queues]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop the heartbeats and delete the last one, so that the worker disappears from the list at once."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        try:
            self._broker.remove_heartbeat(self.worker)
        except BrokerUnavailable:
            log.info("heartbeat_not_removed", worker=self.worker)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._broker.send_heartbeat(self._heartbeat())
            except BrokerUnavailable as error:
                log.warning("heartbeat_not_sent", reason=str(error))
            if self._consumer_watch.check_stalled():
                # Only a new process receives messages again. sys.exit would end just this thread, and the chunks that
                # this process holds are sent to other workers anyway.
                os._exit(EXIT_CONSUMER_STALLED)
            self._stopped.wait(HEARTBEAT_SECONDS)

    def _heartbeat(self) -> Heartbeat:
        loaded = self._models.loaded()
        return Heartbeat(
            worker=self.worker,
            queues=self._queues,
            runtime=loaded[0].runtime.name if loaded else "none",
            device=loaded[0].runtime.device if loaded else "none",
            precision=loaded[0].runtime.precision if loaded else "none",
            models=[str(model.artifact.ref) for model in loaded],
            not_loaded={str(ref): reason for ref, reason in self._models.failures().items()},
        )
