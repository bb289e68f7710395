"""Health checks: is the process up, and is the service ready?"""

from __future__ import annotations

from dataclasses import asdict

from apiflask import APIBlueprint

from api.answers.spec import NOT_READY_RESPONSE
from api.schemas.common import Answer
from api.schemas.models import HealthOut, ReadyOut, WorkerOut
from api.services import current_services
from core.messages import Queue

bp = APIBlueprint("health", __name__, tag="Health")


@bp.get("/healthz")
@bp.output(HealthOut)
@bp.doc(summary="Check that the API process is running", operation_id="healthz")
def healthz() -> Answer:
    return HealthOut(status="ok")


@bp.get("/readyz")
@bp.output(ReadyOut)
@bp.doc(
    summary="Check that the service is ready: database, blob store, broker, a worker and beat answer",
    description="A part that does not answer within two seconds counts as missing.",
    operation_id="readyz",
    responses=NOT_READY_RESPONSE,
)
def readyz() -> Answer:
    state = current_services().readiness.read()
    served = {queue for worker in state.workers for queue in worker.queues}
    body = ReadyOut(
        ready=not state.missing,
        missing=state.missing,
        unserved=[queue for queue in Queue if queue not in served],
        workers=[WorkerOut(**asdict(worker)) for worker in state.workers],
    )
    return body, 503 if state.missing else 200, {"Retry-After": "2"} if state.missing else {}
