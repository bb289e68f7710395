"""Links that let people without a key read one job."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any

from apiflask import APIBlueprint
from flask import Response, redirect, request
from flask.typing import ResponseReturnValue

from api.answers.paging import cut_page, decode_cursor_value, link_header
from api.answers.problems import not_found_problem
from api.door.access import caller, require_job
from api.door.visitors import SHARE_COOKIE
from api.schemas.common import Answer, PageQuery
from api.schemas.shares import NewShareOut, ShareIn, ShareOut, SharesOut
from api.services import current_services
from core.clock import utc_now
from db.access import shares
from db.tables import Share

DEFAULT_LIFE = timedelta(days=7)

bp = APIBlueprint("shares", __name__, tag="Jobs")


@bp.post("/v1/jobs/<job_id>/shares")
@bp.input(ShareIn)
@bp.output(NewShareOut, status_code=201, description="The link is created. Only this answer shows `url`")
@bp.doc(
    summary="Create a link that shows a job to people without a key",
    description="A browser that opens the link may read the job, its items, their pictures and its export until the "
    "link ends. It sees no other job and changes nothing.",
    operation_id="create_share",
    responses={404: "There is no such job", 410: "The job has expired"},
)
def create_share(job_id: str, json_data: ShareIn) -> Answer:
    now = utc_now()
    with current_services().database.writing() as session:
        job = require_job(session, job_id)
        share, token = shares.create(session, job, caller().key_id, now, json_data.expires_at or now + DEFAULT_LIFE)
        body = NewShareOut(**_members(share), url=f"/shared/{token}")
    return body, 201, {"Cache-Control": "no-store"}


@bp.get("/v1/jobs/<job_id>/shares")
@bp.input(PageQuery, location="query")
@bp.output(SharesOut)
@bp.doc(summary="List the links to a job, newest first, including ended ones", operation_id="list_shares")
def list_shares(job_id: str, query_data: PageQuery) -> Answer:
    before = decode_cursor_value(query_data.cursor, "before", str)
    with current_services().database.reading() as session:
        require_job(session, job_id)
        rows = shares.list_newest(session, job_id, before, query_data.limit + 1)
    page, next_cursor = cut_page(rows, query_data.limit, lambda share: {"before": share.id})
    body = SharesOut(data=[ShareOut(**_members(share)) for share in page], next_cursor=next_cursor)
    return body, 200, link_header(next_cursor)


@bp.delete("/v1/jobs/<job_id>/shares/<share_id>")
@bp.output({}, status_code=204, description="The link is revoked")
@bp.doc(
    summary="Revoke a link to a job",
    description="The link stops working within two seconds.",
    operation_id="revoke_share",
    responses={404: "There is no such job or link", 410: "The job has expired"},
)
def revoke_share(job_id: str, share_id: str) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        require_job(session, job_id)
        if not shares.revoke(session, job_id, share_id, utc_now()):
            raise not_found_problem("share", share_id)
    services.callers.clear()
    return Response(status=HTTPStatus.NO_CONTENT)


@bp.get("/shared/<token>")
@bp.doc(hide=True)
def open_share(token: str) -> ResponseReturnValue:
    """Let a browser in with a link, and lead it to the job. `authenticate` has already checked the link."""
    with current_services().database.reading() as session:
        share = shares.find(session, token)
        assert share is not None, "the caller of this view is the visitor of an existing link"
    response = redirect(f"/jobs/{share.job_id}", HTTPStatus.SEE_OTHER)
    response.headers["Cache-Control"] = "no-store"
    response.set_cookie(
        SHARE_COOKIE,
        token,
        max_age=share.expires_at - utc_now(),
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


def _members(share: Share) -> dict[str, Any]:
    return {
        "id": share.id,
        "by": share.key_id,
        "created_at": share.created_at,
        "expires_at": share.expires_at,
        "revoked_at": share.revoked_at,
    }
