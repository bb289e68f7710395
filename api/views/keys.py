"""Keys, and what was submitted with them."""

from __future__ import annotations

from datetime import UTC, timedelta
from http import HTTPStatus

from apiflask import APIBlueprint
from flask import Response

from api.answers.paging import decode_cursor, encode_cursor, link_header
from api.answers.problems import not_found_problem
from api.door.access import caller
from api.door.limits import requests_per_minute
from api.schemas.access import AmountOut, DayOut, KeyIn, KeyOut, KeysOut, NewKeyOut, UsageOut
from api.schemas.common import Answer, PageQuery
from api.services import current_services
from core.clock import utc_now
from db.access import keys, usage
from db.tables import ApiKey

USAGE_DAYS = 30

bp = APIBlueprint("keys", __name__, tag="Keys")


@bp.post("/v1/keys")
@bp.input(KeyIn)
@bp.output(NewKeyOut, status_code=201, description="Made; `key` is shown this once")
@bp.doc(
    summary="Make a key",
    description="Once the first key is made, every request needs one.",
    operation_id="create_key",
)
def create_key(json_data: KeyIn) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        key, written = keys.create(
            session, json_data.name, json_data.scopes, utc_now(), json_data.rate_limit, json_data.quota
        )
        body = NewKeyOut(**key_out(key).model_dump(), key=written)
    services.callers.clear()
    return body, 201, {"Cache-Control": "no-store"}


@bp.get("/v1/keys")
@bp.input(PageQuery, location="query")
@bp.output(KeysOut)
@bp.doc(summary="Keys, newest first, the revoked ones included", operation_id="list_keys")
def list_keys(query_data: PageQuery) -> Answer:
    cursor = decode_cursor(query_data.cursor, {"before": (str,)})
    with current_services().database.reading() as session:
        rows = keys.list_newest(session, cursor["before"] if cursor else None, query_data.limit + 1)
    page = rows[: query_data.limit]
    following = encode_cursor({"before": page[-1].id}) if len(rows) > len(page) else None
    return KeysOut(data=[key_out(key) for key in page], next_cursor=following), 200, link_header(following)


@bp.delete("/v1/keys/<key_id>")
@bp.output({}, status_code=204, description="Revoked")
@bp.doc(
    summary="Revoke a key",
    description="It is refused within two seconds. Its jobs stay; keys with the scope `admin` see them from then on.",
    operation_id="revoke_key",
    responses={404: "Unknown"},
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
@bp.doc(summary="What this key submitted, and may still submit", operation_id="get_usage")
def get_usage() -> Answer:
    now, who = utc_now(), caller()
    with current_services().database.reading() as session:
        quota = usage.quota_of(session, who.key_id)
        month = usage.read_month(session, who.key_id, now)
        by_day = {row.day: row for row in usage.list_days(session, who.key_id, now, USAGE_DAYS)}
    today = now.astimezone(UTC).date()
    days = []
    for day in (today - timedelta(days=ago) for ago in reversed(range(USAGE_DAYS))):
        row = by_day.get(day)
        days.append(DayOut(day=day, jobs=row.jobs if row else 0, pictures=row.items if row else 0))
    return UsageOut(
        key_id=who.key_id,
        rate_limit=requests_per_minute(who),
        quota=quota,
        left=None if quota is None else max(quota - month.items, 0),
        resets_at=usage.next_month_start(now),
        today=AmountOut(jobs=days[-1].jobs, pictures=days[-1].pictures),
        month=AmountOut(jobs=month.jobs, pictures=month.items),
        days=days,
    )


def key_out(key: ApiKey) -> KeyOut:
    return KeyOut(
        id=key.id,
        name=key.name,
        scopes=key.scopes,
        rate_limit=key.rate_limit,
        quota=key.quota,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
    )
