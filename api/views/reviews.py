"""Reviews: people confirm or correct predictions."""

from __future__ import annotations

from http import HTTPStatus

from apiflask import APIBlueprint
from flask import Response
from sqlalchemy.orm import Session

from api.answers.paging import cut_page, decode_cursor_value, link_header
from api.answers.present import ItemPresenter, crop_out
from api.answers.problems import Problem, invalid_field_problem, not_found_problem
from api.door.access import caller, lock_job, require_item, require_job
from api.schemas.common import Answer, PageQuery, crop_of
from api.schemas.items import (
    ChangedReviewsOut,
    ItemReviewOut,
    ReviewChangeOut,
    ReviewChanges,
    ReviewIn,
    ReviewsOut,
)
from api.services import current_services
from core.clock import utc_now
from db.steps import reviewing
from db.steps.reviewing import Verdict
from db.tables import Item, Job
from db.views.labels import labels_of

bp = APIBlueprint("reviews", __name__, tag="Reviews")


@bp.put("/v1/items/<item_id>/review")
@bp.input(ReviewIn)
@bp.output(ItemReviewOut)
@bp.doc(
    summary="Review the prediction of an item",
    description="Send the correct label, which may be the predicted one, or `rejected` if no label fits. "
    "The item is listed under this label from then on. The new review replaces an earlier one.",
    operation_id="put_review",
    responses={404: "There is no such item", 409: "The item has no prediction", 410: "The job has expired"},
)
def put_review(item_id: str, json_data: ReviewIn) -> Answer:
    if (json_data.label is None) != json_data.rejected:
        raise invalid_field_problem("label", "expected either a label or `rejected`: true")
    with current_services().database.writing() as session:
        job, item = _locked_item(session, item_id)
        _check_label(job, json_data.label, "label")
        verdict = Verdict(json_data.label, crop_of(json_data.crop))
        review = reviewing.put(session, job, item, verdict, caller().key_id, utc_now())
        return ItemPresenter(job).item_review_out(review)


@bp.delete("/v1/items/<item_id>/review")
@bp.output({}, status_code=204, description="The review is removed")
@bp.doc(
    summary="Remove the review of an item",
    operation_id="delete_review",
    responses={404: "There is no such item, or it has no review", 410: "The job has expired"},
)
def delete_review(item_id: str) -> Answer:
    with current_services().database.writing() as session:
        job, item = _locked_item(session, item_id)
        if not reviewing.remove(session, job, item, utc_now()):
            raise Problem(404, "unknown_review", f"Item {item_id!r} has no review.")
    return Response(status=HTTPStatus.NO_CONTENT)


@bp.post("/v1/jobs/<job_id>/reviews")
@bp.input(ReviewChanges)
@bp.output(ChangedReviewsOut)
@bp.doc(
    summary="Review many items of a job at once",
    description="Stores, replaces or removes the reviews of up to 1,000 items, all of them or none. The answer has "
    "what undoes it.",
    operation_id="change_reviews",
    responses={404: "There is no such job", 409: "An item has no prediction", 410: "The job has expired"},
)
def change_reviews(job_id: str, json_data: ReviewChanges) -> Answer:
    for number, change in enumerate(json_data.reviews):
        if [change.label is not None, change.rejected, change.remove].count(True) != 1:
            detail = "expected exactly one of `label`, `rejected`: true and `remove`: true"
            raise invalid_field_problem(f"reviews/{number}", detail)
    with current_services().database.writing() as session:
        job = lock_job(session, job_id)
        found = reviewing.read_items(session, job, [change.item for change in json_data.reviews])
        changes: dict[str, Verdict | None] = {}
        for number, change in enumerate(json_data.reviews):
            if change.item not in found or change.item in changes:
                detail = f"expected every item of the job at most once, got {change.item!r}"
                raise invalid_field_problem(f"reviews/{number}/item", detail, "unknown_item")
            _check_label(job, change.label, f"reviews/{number}/label")
            changes[change.item] = None if change.remove else Verdict(change.label, crop_of(change.crop))
        pairs = [(found[item_id], verdict) for item_id, verdict in changes.items()]
        before = reviewing.change(session, job, pairs, caller().key_id, utc_now())
    earlier = dict(zip(changes, before, strict=True))
    changed = sum(earlier[item_id] != verdict for item_id, verdict in changes.items())
    return ChangedReviewsOut(changed=changed, before=[_change_out(*pair) for pair in earlier.items()])


def _change_out(item_id: str, verdict: Verdict | None) -> ReviewChangeOut:
    if verdict is None:
        return ReviewChangeOut(item=item_id, label=None, rejected=False, remove=True, crop=None)
    rejected = verdict.label is None
    return ReviewChangeOut(
        item=item_id, label=verdict.label, rejected=rejected, remove=False, crop=crop_out(verdict.crop)
    )


def _locked_item(session: Session, item_id: str) -> tuple[Job, Item]:
    """Lock the job of an item, and return both as they are under the lock."""
    job = lock_job(session, require_item(session, item_id).job_id)
    item = reviewing.read_items(session, job, [item_id]).get(item_id)
    if item is None:
        raise not_found_problem("item", item_id)
    return job, item


def _check_label(job: Job, label: str | None, field: str) -> None:
    """Refuse a label that neither the job's model nor the owner's taxonomy has."""
    label_ids = [row["id"] for row in labels_of(job)]
    if label is not None and label not in label_ids:
        raise invalid_field_problem(field, f"expected one of {', '.join(label_ids)}; got {label!r}", "unknown_label")


@bp.get("/v1/jobs/<job_id>/reviews")
@bp.input(PageQuery, location="query")
@bp.output(ReviewsOut)
@bp.doc(summary="List the reviews of a job in the order of its items", operation_id="list_reviews")
def list_reviews(job_id: str, query_data: PageQuery) -> Answer:
    after = decode_cursor_value(query_data.cursor, "position", int)
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        rows = reviewing.list_of_job(session, job_id, after, query_data.limit + 1)
        page, next_cursor = cut_page(rows, query_data.limit, lambda review: {"position": review.position})
        presenter = ItemPresenter(job)
        body = ReviewsOut(data=[presenter.item_review_out(review) for review in page], next_cursor=next_cursor)
        return body, 200, link_header(next_cursor)
