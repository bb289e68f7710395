"""The web pages (files of frontend/) and the sample pictures."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, send_from_directory

from api.door.access import can_see_job
from api.services import current_services
from core.pictures import inspect
from core.settings import PROJECT

FRONTEND = PROJECT / "frontend"
SAMPLES = PROJECT / "samples" / "pictures"

bp = Blueprint("pages", __name__)


@bp.get("/")
def upload_page() -> Response:
    return send_from_directory(FRONTEND, "index.html")


@bp.get("/jobs/<job_id>")
def job_page(job_id: str) -> Response:
    with current_services().database.reading() as session:
        is_visible = can_see_job(session, job_id)
    response = send_from_directory(FRONTEND, "job.html", conditional=is_visible)
    if not is_visible:
        # The page itself shows this to the user. The status tells it to programs.
        response.status_code = HTTPStatus.NOT_FOUND
    return response


@bp.get("/docs")
def docs_page() -> Response:
    return send_from_directory(FRONTEND, "docs.html")


@bp.get("/samples/index.json")
def samples_index() -> dict[str, Any]:
    rows = []
    for path in sorted(SAMPLES.iterdir()):
        with path.open("rb") as file:
            info = inspect(file)
        rows.append({"name": path.name, "url": f"/samples/{path.name}", "width": info.width, "height": info.height})
    return {"samples": rows}


@bp.get("/samples/<name>")
def sample(name: str) -> Response:
    return send_from_directory(SAMPLES, name)
