"""Reviews: a person's verdict on an item's prediction."""

from __future__ import annotations

from http import HTTPStatus

from apiflask import APIBlueprint
from flask import Response

from api.answers.paging import decode_cursor, encode_cursor, link_header
from api.answers.present import ItemPresenter
from api.answers.problems import Problem, invalid_field_problem
from api.door.access import caller, lock_job, require_item, require_job
from api.schemas.common import Answer, PageQuery
from api.schemas.items import ItemReviewOut, ReviewIn, ReviewsOut
from api.services import current_services
from core.clock import utc_now
from db.steps import reviewing

bp = APIBlueprint("reviews", __name__, tag="Reviews")


@bp.put("/v1/items/<item_id>/review")
@bp.input(ReviewIn)
@bp.output(ItemReviewOut)
@bp.doc(
    summary="Say what an item shows",
    description="Another label than the predicted one, or the same; or `rejected`: no label of the model fits. "
    "It takes the place of what was said before.",
    operation_id="put_review",
    responses={404: "Unknown", 409: "The item has no prediction", 410: "Past retention"},
)
def put_review(item_id: str, json_data: ReviewIn) -> Answer:
    if (json_data.label is None) != json_data.rejected:
        raise invalid_field_problem("label", "expected either a label or rejected: true")
    with current_services().database.writing() as session:
        item = require_item(session, item_id)
        job = lock_job(session, item.job_id)
        known = [label["id"] for label in job.model_version.taxonomy["labels"]]
        if json_data.label is not None and json_data.label not in known:
            detail = f"expected one of {', '.join(known)}; got {json_data.label!r}"
            raise invalid_field_problem("label", detail, "unknown_label")
        review = reviewing.put(session, job, item, json_data.label, caller().key_id, utc_now())
        return ItemPresenter(job).item_review_out(review)


@bp.delete("/v1/items/<item_id>/review")
@bp.output({}, status_code=204, description="Taken back")
@bp.doc(
    summary="Take a review back",
    operation_id="delete_review",
    responses={404: "The item is unknown or not reviewed", 410: "Past retention"},
)
def delete_review(item_id: str) -> Answer:
    with current_services().database.writing() as session:
        job = lock_job(session, require_item(session, item_id).job_id)
        if not reviewing.remove(session, job, item_id):
            raise Problem(404, "unknown_review", f"item {item_id!r} has no review")
    return Response(status=HTTPStatus.NO_CONTENT)


@bp.get("/v1/jobs/<job_id>/reviews")
@bp.input(PageQuery, location="query")
@bp.output(ReviewsOut)
@bp.doc(summary="Reviews of a job's items, by position", operation_id="list_reviews")
def list_reviews(job_id: str, query_data: PageQuery) -> Answer:
    cursor = decode_cursor(query_data.cursor, {"position": (int,)})
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        rows = reviewing.list_of_job(session, job_id, cursor["position"] if cursor else None, query_data.limit + 1)
        page = rows[: query_data.limit]
        following = encode_cursor({"position": page[-1].position}) if len(rows) > len(page) else None
        presenter = ItemPresenter(job)
        body = ReviewsOut(data=[presenter.item_review_out(review) for review in page], next_cursor=following)
        return body, 200, link_header(following)
