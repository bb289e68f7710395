"""Deliveries: what webhooks were told, or are still to be told, of a job's ends."""

from __future__ import annotations

from apiflask import APIBlueprint

from api.answers.paging import decode_cursor, encode_cursor, link_header
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
@bp.doc(summary="Webhook deliveries of a job, newest first", operation_id="list_deliveries")
def list_deliveries(job_id: str, query_data: PageQuery) -> Answer:
    cursor = decode_cursor(query_data.cursor, {"before": (str,)})
    with current_services().database.reading() as session:
        require_job(session, job_id)
        before = cursor["before"] if cursor else None
        rows = webhooks.list_of_job(session, job_id, before, query_data.limit + 1)
    page = rows[: query_data.limit]
    following = encode_cursor({"before": page[-1].id}) if len(rows) > len(page) else None
    body = DeliveriesOut(data=[delivery_out(row) for row in page], next_cursor=following)
    return body, 200, link_header(following)


@bp.post("/v1/jobs/<job_id>/deliveries/<delivery_id>/replay")
@bp.output(DeliveryOut, status_code=202, description="It is delivered again")
@bp.doc(
    summary="Deliver once more",
    description="Under the same `webhook-id` and with the same body. A webhook that a 410 switched off is on again.",
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
