"""Changes of a job: its name, and when it expires."""

from __future__ import annotations

from apiflask import APIBlueprint

from api.door.access import lock_job
from api.intake.submission import expiry_time
from api.schemas.common import Answer
from api.schemas.jobs import JobChangesIn
from api.services import current_services
from db.steps import editing
from db.views.job import JobOut, job_out

bp = APIBlueprint("job_changes", __name__, tag="Jobs")


@bp.patch("/v1/jobs/<job_id>")
@bp.input(JobChangesIn)
@bp.output(JobOut)
@bp.doc(
    summary="Rename a job, or change when it expires",
    description="Members that are left out stay as they are. `expires_at` null means the retention of the service, "
    "counted from now.",
    operation_id="change_job",
    responses={404: "There is no such job", 410: "The job has expired"},
)
def change_job(job_id: str, json_data: JobChangesIn) -> Answer:
    with current_services().database.writing() as session:
        job = lock_job(session, job_id)
        if json_data.name is not None:
            editing.rename(job, json_data.name)
        if "expires_at" in json_data.model_fields_set:
            editing.set_expiry(job, expiry_time(json_data.expires_at))
        return job_out(job)
