"""The map of a job: its pictures laid out by likeness."""

from __future__ import annotations

from apiflask import APIBlueprint
from sqlalchemy.orm import Session

from api.answers.problems import Problem
from api.answers.revisions import etag_headers, is_known, not_changed
from api.door.access import lock_job, require_job
from api.schemas.common import Answer
from api.schemas.maps import MapOut, MapPointsOut, NoMapOut
from api.services import current_services
from broker.dispatch import run_task_soon
from core.clock import utc_now
from core.maps import MAX_POINTS, Points
from core.messages import MAKE_MAPS
from db.steps import mapping
from db.tables import Job, JobMap
from db.views import maps
from db.views.labels import labels_of
from db.views.maps import MapStatus, PointItem

bp = APIBlueprint("maps", __name__, tag="Jobs")

_POLL = {"Retry-After": "1"}


@bp.post("/v1/jobs/<job_id>/map")
@bp.output(MapOut, status_code=202, description="A worker computes the map in the background")
@bp.doc(
    summary="Make the map of a job",
    description=f"Lays out the pictures of the job by likeness, at most {MAX_POINTS:,} of them. If the map is current, "
    "the answer is 200 and nothing is computed. A map is made again by itself when items were added to a finished job. "
    "The same vectors always get the same map.",
    operation_id="make_map",
    responses={200: "The map is current", 404: "There is no such job", 409: "The job cannot have a map"},
)
def make_map(job_id: str) -> Answer:
    services = current_services()
    with services.database.reading() as session:
        job, row = require_job(session, job_id), maps.get(session, job_id)
        refusal = maps.why_none(session, job) if row is None or not row.revision else None
    if refusal is not None:
        raise Problem(409, refusal.code, refusal.detail)
    with services.database.writing() as session:
        job = lock_job(session, job_id)
        is_requested = mapping.request(session, job, utc_now())
        session.flush()
        body = _map_out(session, job)
    if not is_requested:
        return body, 200
    run_task_soon(services.broker, MAKE_MAPS)
    return body, 202, _POLL


@bp.get("/v1/jobs/<job_id>/map")
@bp.output(MapOut)
@bp.doc(summary="Get the state of the map of a job", operation_id="get_map")
def get_map(job_id: str) -> Answer:
    with current_services().database.reading() as session:
        body = _map_out(session, require_job(session, job_id))
    is_coming = body.status in {MapStatus.WAITING, MapStatus.COMPUTING}
    return body, 200, _POLL if is_coming else {}


@bp.get("/v1/jobs/<job_id>/map/points")
@bp.output(MapPointsOut)
@bp.doc(
    summary="Get the points of the map of a job",
    description="One answer with all points, as columns. Send the `ETag` back as `If-None-Match` to get 304 until the "
    "map or the job has changed.",
    operation_id="get_map_points",
    responses={304: "Neither the map nor the job has changed", 404: "There is no such job, or its map has no points"},
)
def get_map_points(job_id: str) -> Answer:
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        row, points = maps.get(session, job_id), maps.read_points(session, job_id)
        if row is None or points is None:
            detail = f"The map of {job_id!r} has no points yet. A POST to /v1/jobs/{job_id}/map makes it."
            raise Problem(404, "no_map", detail)
        revision = f"{row.revision}.{job.revision}"
        if is_known(revision):
            return not_changed(revision)
        items = maps.read_items(session, job_id, points)
        return _points_out(job, row, points, items), 200, etag_headers(revision)


def _map_out(session: Session, job: Job) -> MapOut:
    row = maps.get(session, job.id)
    status = maps.status_of(row)
    refusal = maps.why_none(session, job) if row is None or not row.revision else None
    if row is None:
        row = JobMap(progress=0.0, revision=0, pictures=0, succeeded=0)
    return MapOut(
        status=status,
        progress=round(row.progress, 3) if status == MapStatus.COMPUTING else None,
        revision=row.revision,
        computed_at=row.computed_at,
        points=min(row.pictures, MAX_POINTS),
        pictures=row.pictures,
        outdated=row.revision > 0 and row.succeeded != job.succeeded,
        error=row.error,
        unavailable=None if refusal is None else NoMapOut(code=refusal.code, detail=refusal.detail),
    )


def _points_out(job: Job, row: JobMap, points: Points, items: list[PointItem]) -> MapPointsOut:
    labels = [label["id"] for label in labels_of(job)]
    numbers: dict[str | None, int] = {label: number for number, label in enumerate(labels)}
    # The index of the point of each item, because the points of removed items are left out.
    at = points.positions.searchsorted([item.position for item in items])
    return MapPointsOut(
        revision=row.revision,
        pictures=row.pictures,
        labels=labels,
        id=[item.id for item in items],
        position=[item.position for item in items],
        x=points.places[at, 0].tolist(),
        y=points.places[at, 1].tolist(),
        label=[numbers.get(item.label, -1) for item in items],
        predicted=[numbers.get(item.predicted, -1) for item in items],
        confidence=[round(item.confidence, 3) for item in items],
        review=[int(item.review) for item in items],
    )
