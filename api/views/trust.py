"""Trust: from which confidence on the predictions of a job are right often enough, and the policy that accepts them."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus

from apiflask import APIBlueprint
from flask import Response
from sqlalchemy.orm import Session

from api.answers.problems import Problem, invalid_field_problem
from api.answers.revisions import etag_headers, is_known, not_changed
from api.door.access import caller, lock_job, require_job
from api.schemas.common import Answer
from api.schemas.trust import (
    AcceptanceIn,
    AcceptanceOut,
    EstimateOut,
    LabelTrustOut,
    StratumOut,
    TrustOut,
    TrustQuery,
)
from api.services import current_services
from core.clock import utc_now
from core.trust import MIN_REVIEWS, Estimate
from db.steps import accepting
from db.tables import Acceptance, Job, JobSource
from db.views import trust
from db.views.acceptances import Policy, count_accepted

bp = APIBlueprint("trust", __name__, tag="Reviews")

_ACCEPTANCE = "/v1/jobs/<job_id>/acceptance"


@bp.get("/v1/jobs/<job_id>/trust")
@bp.input(TrustQuery, location="query")
@bp.output(TrustOut)
@bp.doc(
    summary="Find the confidence from which on predictions can be accepted without a look",
    description="Estimates from the validation pictures of the model and, once there are 50, from the reviews of the "
    "job. Send the `ETag` back as `If-None-Match` to get 304 until the job has changed.",
    operation_id="get_trust",
    responses={304: "The job has not changed", 410: "The job has expired"},
)
def get_trust(job_id: str, query_data: TrustQuery) -> Answer:
    target = query_data.target
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        if is_known(job.revision):
            return not_changed(job.revision)
        found = trust.read(session, job)
        rows = job.model_version.taxonomy["labels"]
        by_label = {row["id"]: found.of_label(row["id"], target) for row in rows}
        body = TrustOut(
            model=job.model_version.ref,
            target=target,
            validation=found.validated,
            reviews=found.reviewed,
            min_reviews=MIN_REVIEWS,
            waiting=int(found.all_waiting.sum()),
            estimate=_estimate_out(found.overall(target)),
            labels=[
                LabelTrustOut(
                    id=row["id"],
                    name=row["name"]["en"],
                    waiting=int(found.waiting_of(row["id"]).sum()),
                    estimate=_estimate_out(by_label[row["id"]]),
                )
                for row in rows
            ],
            accepted_by_label=sum(estimate.accepted for estimate in by_label.values() if estimate is not None),
            strata=[StratumOut(**asdict(stratum)) for stratum in found.strata()],
            next_reviews=trust.choose_reviews(session, job, found, target),
            acceptance=None if job.acceptance is None else _acceptance_out(session, job, job.acceptance),
        )
        return body, 200, etag_headers(job.revision)


@bp.post(_ACCEPTANCE)
@bp.input(AcceptanceIn)
@bp.output(AcceptanceOut)
@bp.doc(
    summary="Accept predictions by a policy",
    description="Accepts what is classified by now, has no review, and reaches the threshold. Items are marked as "
    "accepted by the policy, which is no review: a review of such an item wins. The policy replaces an earlier one.",
    operation_id="accept_predictions",
    responses={404: "There is no such job", 409: "The job is a single picture", 410: "The job has expired"},
)
def accept_predictions(job_id: str, json_data: AcceptanceIn) -> Answer:
    with current_services().database.writing() as session:
        job = lock_job(session, job_id)
        if job.source == JobSource.CLASSIFICATION:
            detail = "Expected a job of many pictures. This one is the classification of a single picture."
            raise Problem(409, "single_picture", detail)
        _check_labels(job, json_data)
        thresholds = json_data.threshold if json_data.thresholds is None else json_data.thresholds
        assert thresholds is not None
        row = accepting.accept(session, job, thresholds, json_data.target, caller().key_id, utc_now())
        return _acceptance_out(session, job, row)


@bp.delete(_ACCEPTANCE)
@bp.output({}, status_code=204, description="Nothing is accepted by a policy any more")
@bp.doc(
    summary="Remove the policy of a job",
    operation_id="remove_acceptance",
    responses={404: "There is no such job, or it has no policy", 410: "The job has expired"},
)
def remove_acceptance(job_id: str) -> Answer:
    with current_services().database.writing() as session:
        if not accepting.remove(session, lock_job(session, job_id)):
            raise Problem(404, "unknown_acceptance", f"Job {job_id!r} has no policy that accepts predictions.")
    return Response(status=HTTPStatus.NO_CONTENT)


def _check_labels(job: Job, policy: AcceptanceIn) -> None:
    known = [row["id"] for row in job.model_version.taxonomy["labels"]]
    for label in policy.thresholds or ():
        if label not in known:
            detail = f"expected labels among {', '.join(known)}; got {label!r}"
            raise invalid_field_problem("thresholds", detail, "unknown_label")


def _estimate_out(estimate: Estimate | None) -> EstimateOut | None:
    return None if estimate is None else EstimateOut(**asdict(estimate))


def _acceptance_out(session: Session, job: Job, row: Acceptance) -> AcceptanceOut:
    return AcceptanceOut(
        model=job.model_version.ref,
        threshold=row.threshold,
        thresholds=row.thresholds,
        target=row.target,
        items=row.items,
        accepted=count_accepted(session, job.id, Policy.of(row)),
        by=row.key_id,
        at=row.created_at,
    )
