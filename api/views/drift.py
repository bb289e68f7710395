"""Drift of the predictions of a model, by week and by job."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from apiflask import APIBlueprint

from api.door.access import caller, require_job, require_version
from api.schemas.common import Answer
from api.schemas.models import DriftQuery, DriftWeekOut, ExpectedOut, JobDriftOut, ModelDriftOut
from api.services import current_services
from core.clock import utc_now
from db.tables import ModelVersion
from db.views import drift
from db.views.drift import DriftRow, Reference

bp = APIBlueprint("drift", __name__, tag="Models")


@bp.get("/v1/models/<name>/<version>/drift")
@bp.input(DriftQuery, location="query")
@bp.output(ModelDriftOut)
@bp.doc(
    summary="Compare the predictions of a model version with its validation, week by week",
    description="From the jobs that you may see. Removed items no longer count.",
    operation_id="get_model_drift",
)
def get_model_drift(name: str, version: str, query_data: DriftQuery) -> Answer:
    with current_services().database.reading() as session:
        row = require_version(session, name, version)
        weeks = drift.weeks_of(session, row, caller(), query_data.weeks, utc_now())
        data = [DriftWeekOut(starts_at=week.starts_at, **_members(week.drift)) for week in weeks]
        return ModelDriftOut(expected=_expected(row), weeks=data)


@bp.get("/v1/jobs/<job_id>/drift")
@bp.output(JobDriftOut)
@bp.doc(summary="Compare the predictions of a job with the validation of its model", operation_id="get_job_drift")
def get_job_drift(job_id: str) -> Answer:
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        version = job.model_version
        return JobDriftOut(model=version.ref, expected=_expected(version), **_members(drift.of_job(session, job)))


def _expected(version: ModelVersion) -> ExpectedOut | None:
    reference = Reference.of(version)
    if reference is None:
        return None
    bins = None if reference.bins is None else list(reference.bins)
    return ExpectedOut(labels=dict(reference.labels), confidences=bins)


def _members(row: DriftRow) -> dict[str, Any]:
    rounded = {name: round(value, 4) for name, value in asdict(row).items() if isinstance(value, float)}
    return asdict(row) | rounded
