"""The caller and its scopes, so that a page can show them and offer only what is allowed."""

from __future__ import annotations

from dataclasses import replace

from apiflask import APIBlueprint
from flask import g

from api.door.access import is_open
from api.door.limits import requests_per_minute
from api.door.refusals import ShareEnded
from api.schemas.access import SessionKeyOut, SessionOut
from api.schemas.common import Answer
from api.services import current_services
from core.clock import utc_now
from db.access import keys, usage
from db.access.keys import Caller
from db.tables import Scope
from db.views import jobs

bp = APIBlueprint("sessions", __name__, tag="Keys")


@bp.get("/session")
@bp.output(SessionOut)
@bp.doc(
    summary="Get who is signed in",
    description="Also answers requests without a key. It is meant for pages; programs read `/v1/usage`.",
    operation_id="get_session",
)
def get_session() -> Answer:
    known: Caller | None = g.get("caller")
    key = None if known is None or known.key_id is None else _key_out(known, known.key_id)
    body = SessionOut(
        signed_in=key is not None,
        open=is_open(),
        key=key,
        shared_job=None if known is None else _shared_job(known),
        share_ended=isinstance(g.get("authentication_problem"), ShareEnded),
        may=[] if known is None or known.is_visitor else [scope for scope in Scope if known.may(scope)],
    )
    return body, 200, {"Cache-Control": "no-store"}


def _shared_job(known: Caller) -> str | None:
    """Return the job that only a link shows to the caller. A job that its key shows as well is not among them."""
    if known.shared_job is None or known.is_visitor:
        return known.shared_job
    with current_services().database.reading() as session:
        job = jobs.get(session, known.shared_job)
    shows = job is not None and replace(known, shared_job=None).sees(job.key_id, job.id)
    return None if shows else known.shared_job


def _key_out(known: Caller, key_id: str) -> SessionKeyOut:
    with current_services().database.reading() as session:
        row = keys.get(session, key_id)
        assert row is not None, "keys are never removed"
        return SessionKeyOut(
            id=key_id,
            name=row.name,
            owner=row.owner,
            scopes=[Scope(scope) for scope in row.scopes],
            rate_limit=requests_per_minute(known),
            quota=usage.quota_of(session, known.owner),
            used=usage.read_month(session, known.owner, utc_now()).items,
        )
