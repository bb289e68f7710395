"""The web pages (templates in frontend/pages/) and the sample pictures."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, g, make_response, render_template, request, send_from_directory
from werkzeug.exceptions import NotFound
from werkzeug.security import safe_join

from api.door.access import can_see_job
from api.services import current_services
from core.pictures import inspect, thumbnail
from core.settings import PROJECT
from core.types import ModelRef
from db import model_versions
from db.access.keys import Caller

FRONTEND = PROJECT / "frontend"
SAMPLES = PROJECT / "samples" / "pictures"
_THUMBNAIL_SIDE = 240
"""Pixels of the longer side. The front page shows a sample 123 px high, on dense screens with twice as many pixels."""

bp = Blueprint("pages", __name__)


def render_page(name: str, status: HTTPStatus = HTTPStatus.OK, problem: str = "") -> Response:
    """Return a page by its name: frontend/pages/NAME.html, with the script frontend/js/NAME/main.js.

    `problem` is the code of the error that the page explains. The answer to a browser that still has the page is 304.
    """
    known: Caller | None = g.get("caller")
    is_visitor = known is not None and known.is_visitor
    response = make_response(render_template(f"{name}.html", page=name, visitor=is_visitor, problem=problem), status)
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    if status == HTTPStatus.OK:
        response.make_conditional(request)
    return response


@bp.get("/")
def photo_page() -> Response:
    return render_page("photo")


@bp.get("/new")
def new_page() -> Response:
    return render_page("new")


@bp.get("/jobs")
def jobs_page() -> Response:
    return render_page("jobs")


@bp.get("/jobs/<job_id>")
def job_page(job_id: str) -> Response:
    return _page_of_job("job", job_id)


@bp.get("/jobs/<job_id>/deliveries")
def deliveries_page(job_id: str) -> Response:
    return _page_of_job("deliveries", job_id)


def _page_of_job(name: str, job_id: str) -> Response:
    with current_services().database.reading() as session:
        is_visible = can_see_job(session, job_id)
    # The page itself tells the user that there is no such job. The status tells it to programs.
    return render_page(name, HTTPStatus.OK if is_visible else HTTPStatus.NOT_FOUND)


@bp.get("/account")
def account_page() -> Response:
    return render_page("account")


@bp.get("/models")
def models_page() -> Response:
    return render_page("models")


@bp.get("/models/<name>/<version>")
def model_page(name: str, version: str) -> Response:
    with current_services().database.reading() as session:
        exists = model_versions.find(session, ModelRef(name, version)) is not None
    return render_page("model", HTTPStatus.OK if exists else HTTPStatus.NOT_FOUND)


@bp.get("/compare")
def compare_page() -> Response:
    return render_page("compare")


@bp.get("/teach")
def teach_page() -> Response:
    return render_page("teach")


@bp.get("/docs")
def docs_page() -> Response:
    return render_page("docs")


def wants_page() -> bool:
    """Return whether the current request is that of a browser for a page, and not that of a program."""
    if request.path.startswith(("/v1/", "/static/")) or request.method not in {"GET", "HEAD"}:
        return False
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


@bp.get("/samples/index.json")
def samples_index() -> dict[str, Any]:
    rows = []
    for path in sorted(SAMPLES.iterdir()):
        with path.open("rb") as file:
            info = inspect(file)
        rows.append(
            {
                "name": path.name,
                "url": f"/samples/{path.name}",
                "thumbnail": f"/samples/thumbnails/{path.name}",
                "width": info.width,
                "height": info.height,
            }
        )
    return {"samples": rows}


@bp.get("/samples/<name>")
def sample(name: str) -> Response:
    return send_from_directory(SAMPLES, name)


@bp.get("/samples/thumbnails/<name>")
def sample_thumbnail(name: str) -> Response:
    """Send a small JPEG of a sample. A process makes it once."""
    path = safe_join(str(SAMPLES), name)
    if path is None or not Path(path).is_file():
        raise NotFound
    response = Response(_make_thumbnail(Path(path)), content_type="image/jpeg")
    response.cache_control.no_cache = True
    response.add_etag()
    response.make_conditional(request)
    return response


@lru_cache(maxsize=100)
def _make_thumbnail(path: Path) -> bytes:
    return thumbnail(path.read_bytes(), side=_THUMBNAIL_SIDE)
