"""Hints: which items of a job a person should look at first, and why."""

from __future__ import annotations

from apiflask import APIBlueprint
from sqlalchemy.orm import Session

from api.answers.problems import Problem
from api.answers.revisions import etag_headers, is_known, not_changed
from api.door.access import lock_job, require_job
from api.schemas.common import Answer
from api.schemas.hints import HintOut, HintsOut
from api.services import current_services
from broker.dispatch import run_task_soon
from core.clock import utc_now
from core.errors import JobNotFinished
from core.messages import MAKE_HINTS
from db.steps import hinting
from db.tables import HintKind, HintRun, Job

bp = APIBlueprint("hints", __name__, tag="Reviews")

_PATH = "/v1/jobs/<job_id>/hints"


@bp.get(_PATH)
@bp.output(HintsOut)
@bp.doc(
    summary="Count the items that a person should look at first",
    description="The list of items has an order (`sort`) and a filter (`hint`) for each hint. Send the `ETag` back as "
    "`If-None-Match` to get 304 until the job has changed.",
    operation_id="get_hints",
    responses={304: "The job has not changed", 410: "The job has expired"},
)
def get_hints(job_id: str) -> Answer:
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        if is_known(job.revision):
            return not_changed(job.revision)
        return _hints_out(session, job), 200, etag_headers(job.revision)


@bp.post(_PATH)
@bp.output(HintsOut, status_code=202, description="A worker computes the hints")
@bp.doc(
    summary="Compute the hints of a finished job again",
    description="A worker computes them when a job ends. Ask again after reviews. Until it is done, earlier ones stay.",
    operation_id="compute_hints",
    responses={
        404: "There is no such job",
        409: "The job still runs, or it has nothing to compare",
        410: "The job has expired",
    },
)
def compute_hints(job_id: str) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        job = lock_job(session, job_id)
        if not job.finished:
            raise JobNotFinished(
                f"expected a finished job, but this one is {job.status}; its hints follow when it ends"
            )
        if not hinting.request(session, job, utc_now()):
            detail = "Expected a job of many pictures, some of them with a prediction. This one has no hints."
            raise Problem(409, "no_hints", detail)
        job.revision += 1
        session.flush()
        body = _hints_out(session, job)
    run_task_soon(services.broker, MAKE_HINTS)
    return body, 202, {}


def _hints_out(session: Session, job: Job) -> HintsOut:
    run = session.get(HintRun, job.id)
    if run is None:
        return HintsOut(requested_at=None, computed_at=None, changed_reviews=0, hints=[])
    rows = [
        HintOut(
            kind=kind,
            items=found.get("items", 0),
            listed=min(found.get("items", 0), hinting.MAX_RANKED),
            flagged=found.get("flagged", 0),
            missing=found.get("missing"),
        )
        for kind, found in ((kind, run.found[kind.value]) for kind in HintKind if kind.value in run.found)
    ]
    changed = 0 if run.computed_at is None else hinting.count_changed_reviews(session, run)
    return HintsOut(requested_at=run.requested_at, computed_at=run.computed_at, changed_reviews=changed, hints=rows)
