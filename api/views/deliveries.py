"""Deliveries: messages to webhooks about the ends of a job, sent or still to be sent."""

from __future__ import annotations

from apiflask import APIBlueprint

from api.answers.paging import cut_page, decode_cursor_value, link_header
from api.answers.present import delivery_out
from api.answers.problems import not_found_problem
from api.door.access import require_job
from api.schemas.common import Answer, PageQuery
from api.schemas.jobs import DeliveriesOut, DeliveryOut
from api.services import current_services
from broker.dispatch import run_task_soon
from core.clock import utc_now
from core.messages import DELIVER_WEBHOOKS
from db.steps import webhooks

bp = APIBlueprint("deliveries", __name__, tag="Webhooks")


@bp.get("/v1/jobs/<job_id>/deliveries")
@bp.input(PageQuery, location="query")
@bp.output(DeliveriesOut)
@bp.doc(summary="List the webhook deliveries of a job, newest first", operation_id="list_deliveries")
def list_deliveries(job_id: str, query_data: PageQuery) -> Answer:
    before = decode_cursor_value(query_data.cursor, "before", str)
    with current_services().database.reading() as session:
        require_job(session, job_id)
        rows = webhooks.list_of_job(session, job_id, before, query_data.limit + 1)
    page, next_cursor = cut_page(rows, query_data.limit, lambda row: {"before": row.id})
    body = DeliveriesOut(data=[delivery_out(row) for row in page], next_cursor=next_cursor)
    return body, 200, link_header(next_cursor)


@bp.post("/v1/jobs/<job_id>/deliveries/<delivery_id>/replay")
@bp.output(DeliveryOut, status_code=202, description="The delivery will be sent again")
@bp.doc(
    summary="Send a webhook delivery again",
    description="With the same `webhook-id` and body. A webhook that was disabled by a 410 is enabled again.",
    operation_id="replay_delivery",
)
def replay_delivery(job_id: str, delivery_id: str) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        require_job(session, job_id)
        delivery = webhooks.replay(session, job_id, delivery_id, utc_now())
        if delivery is None:
            raise not_found_problem("delivery", delivery_id)
        session.flush()
        body = delivery_out(delivery)
    run_task_soon(services.broker, DELIVER_WEBHOOKS)
    return body, 202
