"""Shadow runs of model versions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint
from sqlalchemy.orm import Session

from api.answers.problems import Problem
from api.door.access import require_version
from api.schemas.common import Answer
from api.schemas.models import ShadowIn, ShadowOut, ShadowsOut
from api.services import current_services
from core.clock import utc_now
from db.steps import shadowing
from db.tables import ShadowRun
from db.views import shadow

bp = APIBlueprint("shadows", __name__, tag="Models")

_PATH = "/v1/models/<name>/<version>/shadow"
_LISTED = 10
"""Shadow runs that are listed."""


@bp.post(_PATH)
@bp.input(ShadowIn)
@bp.output(ShadowOut)
@bp.doc(
    summary="Let a version also classify a share of the new pictures, without showing its predictions",
    description="Its predictions are compared with those of the version that is `production` now. A shadow run that is "
    "not ended yet ends.",
    operation_id="start_shadow",
    responses={409: "The version is `production` itself"},
)
def start_shadow(name: str, version: str, json_data: ShadowIn) -> Answer:
    now = utc_now()
    with current_services().database.writing() as session:
        run = shadowing.start(session, require_version(session, name, version), json_data.share, now)
        return _shadow_out(session, run)


@bp.get(_PATH)
@bp.output(ShadowsOut)
@bp.doc(summary="List the last shadow runs of a version, newest first", operation_id="list_shadows")
def list_shadows(name: str, version: str) -> Answer:
    with current_services().database.reading() as session:
        runs = shadowing.list_newest(session, require_version(session, name, version), _LISTED)
        return ShadowsOut(data=[_shadow_out(session, run) for run in runs])


@bp.delete(_PATH)
@bp.output(ShadowOut)
@bp.doc(
    summary="End the shadow run of a version",
    description="The pictures of its last sample may still be classified.",
    operation_id="stop_shadow",
    responses={404: "The version has no shadow run"},
)
def stop_shadow(name: str, version: str) -> Answer:
    now = utc_now()
    with current_services().database.writing() as session:
        row = require_version(session, name, version)
        shadowing.end(session, now, row)
        newest = shadowing.list_newest(session, row, 1)
        if not newest:
            raise Problem(404, "no_shadow_run", f"{row.ref} has no shadow run. A POST to this URL starts one.")
        return _shadow_out(session, newest[0])


def _shadow_out(session: Session, run: ShadowRun) -> ShadowOut:
    found: dict[str, Any] = asdict(shadow.compare(session, run))
    for name in ("shown_confidence", "candidate_confidence"):
        found[name] = None if found[name] is None else round(found[name], 4)
    return ShadowOut(
        model=run.candidate.ref,
        against=run.against.ref,
        share=run.share,
        started_at=run.started_at,
        ended_at=run.ended_at,
        failed=run.failed,
        **found,
    )
