"""Health checks: is the process up, and is the service ready?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from apiflask import APIBlueprint
from sqlalchemy.exc import SQLAlchemyError

from api.answers.spec import NOT_READY_RESPONSE
from api.schemas.common import Answer
from api.schemas.models import HealthOut, ReadyOut, WorkerOut
from api.services import current_services
from broker.client import Heartbeat
from core.errors import BlobStoreUnavailable, BrokerUnavailable, StorageFull
from core.messages import Queue
from db.migrate import current_revision, head_revision

bp = APIBlueprint("health", __name__, tag="Health")


@bp.get("/healthz")
@bp.output(HealthOut)
@bp.doc(summary="Check that the API process is running", operation_id="healthz")
def healthz() -> Answer:
    return HealthOut(status="ok")


@bp.get("/readyz")
@bp.output(ReadyOut)
@bp.doc(
    summary="Check that the service is ready: database, blob store, broker and a worker answer",
    operation_id="readyz",
    responses=NOT_READY_RESPONSE,
)
def readyz() -> Answer:
    missing = []
    database = current_services().database
    if not _responds(database.ping, SQLAlchemyError):
        missing.append("database")
    elif current_revision(database) != head_revision():
        missing.append("schema")
    if not _responds(current_services().blobs.ping, BlobStoreUnavailable, StorageFull):
        missing.append("blobs")
    workers: list[Heartbeat] = []
    try:
        workers = current_services().broker.list_live_workers()
    except BrokerUnavailable:
        missing.append("broker")
    if not any(Queue.INTERACTIVE.value in worker.queues for worker in workers):
        missing.append("worker")
    served = {queue for worker in workers for queue in worker.queues}
    body = ReadyOut(
        ready=not missing,
        missing=missing,
        unserved=[queue for queue in Queue if queue not in served],
        workers=[WorkerOut(**asdict(worker)) for worker in workers],
    )
    return body, 503 if missing else 200, {"Retry-After": "2"} if missing else {}


def _responds(ping: Callable[[], None], *failures: type[Exception]) -> bool:
    try:
        ping()
    except failures:
        return False
    return True
