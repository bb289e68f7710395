"""API keys, and the usage of each."""

from __future__ import annotations

from datetime import UTC, timedelta
from http import HTTPStatus

from apiflask import APIBlueprint
from flask import Response

from api.answers.paging import cut_page, decode_cursor_value, link_header
from api.answers.present import key_out
from api.answers.problems import not_found_problem
from api.door.access import caller
from api.door.limits import requests_per_minute
from api.schemas.access import AmountOut, DayOut, KeyIn, KeysOut, NewKeyOut, RotationIn, UsageOut
from api.schemas.common import Answer, PageQuery
from api.services import current_services
from core.clock import utc_now
from db.access import keys, usage

USAGE_DAYS = 30

bp = APIBlueprint("keys", __name__, tag="Keys")


@bp.post("/v1/keys")
@bp.input(KeyIn)
@bp.output(NewKeyOut, status_code=201, description="The key is created. Only this answer shows `key`")
@bp.doc(
    summary="Create an API key",
    description="After the first key has been created, every request needs a key.",
    operation_id="create_key",
)
def create_key(json_data: KeyIn) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        key, written_key = keys.create(
            session,
            json_data.name,
            json_data.scopes,
            utc_now(),
            json_data.rate_limit,
            json_data.quota,
            owner=json_data.owner,
        )
        body = NewKeyOut(**key_out(key).model_dump(), key=written_key)
    services.callers.clear()
    return body, 201, {"Cache-Control": "no-store"}


@bp.post("/v1/keys/<key_id>/rotate")
@bp.input(RotationIn)
@bp.output(NewKeyOut, status_code=201, description="The new key is created. Only this answer shows `key`")
@bp.doc(
    summary="Replace an API key by a new one",
    description="The new key has the owner, the name, the scopes and the limits of the old one, which works for "
    "`overlap_days` still.",
    operation_id="rotate_key",
    responses={404: "There is no such key", 409: "The key is revoked or has expired"},
)
def rotate_key(key_id: str, json_data: RotationIn) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        rotated = keys.rotate(session, key_id, timedelta(days=json_data.overlap_days), utc_now())
        if rotated is None:
            raise not_found_problem("key", key_id)
        key, written_key = rotated
        body = NewKeyOut(**key_out(key).model_dump(), key=written_key)
    services.callers.clear()
    return body, 201, {"Cache-Control": "no-store"}


@bp.get("/v1/keys")
@bp.input(PageQuery, location="query")
@bp.output(KeysOut)
@bp.doc(summary="List API keys, newest first, including revoked ones", operation_id="list_keys")
def list_keys(query_data: PageQuery) -> Answer:
    before = decode_cursor_value(query_data.cursor, "before", str)
    with current_services().database.reading() as session:
        rows = keys.list_newest(session, before, query_data.limit + 1)
    page, next_cursor = cut_page(rows, query_data.limit, lambda key: {"before": key.id})
    return KeysOut(data=[key_out(key) for key in page], next_cursor=next_cursor), 200, link_header(next_cursor)


@bp.delete("/v1/keys/<key_id>")
@bp.output({}, status_code=204, description="The key is revoked")
@bp.doc(
    summary="Revoke an API key",
    description="The key stops working within two seconds. The jobs of its owner remain. If no other key of the owner "
    "works, keys with the scope `admin` see them.",
    operation_id="revoke_key",
    responses={404: "There is no such key"},
)
def revoke_key(key_id: str) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        if not keys.revoke(session, key_id, utc_now()):
            raise not_found_problem("key", key_id)
    services.callers.clear()
    return Response(status=HTTPStatus.NO_CONTENT)


@bp.get("/v1/usage")
@bp.output(UsageOut)
@bp.doc(summary="Get the usage and the remaining quota of this key", operation_id="get_usage")
def get_usage() -> Answer:
    now, known = utc_now(), caller()
    with current_services().database.reading() as session:
        quota = usage.quota_of(session, known.owner)
        month = usage.read_month(session, known.owner, now)
        by_day = {row.day: row for row in usage.list_days(session, known.owner, now, USAGE_DAYS)}
    today = now.astimezone(UTC).date()
    days = []
    for day in (today - timedelta(days=ago) for ago in reversed(range(USAGE_DAYS))):
        row = by_day.get(day)
        days.append(DayOut(day=day, jobs=row.jobs if row else 0, pictures=row.items if row else 0))
    return UsageOut(
        key_id=known.key_id,
        owner=known.owner,
        rate_limit=requests_per_minute(known),
        quota=quota,
        left=None if quota is None else max(quota - month.items, 0),
        resets_at=usage.next_month_start(now),
        today=AmountOut(jobs=days[-1].jobs, pictures=days[-1].pictures),
        month=AmountOut(jobs=month.jobs, pictures=month.items),
        days=days,
    )
