"""The Flask application."""

from __future__ import annotations

import re
from importlib.metadata import version

import structlog
from apiflask import APIFlask
from apiflask.exceptions import HTTPError
from flask import Response, g, request
from pydantic import ValidationError
from ulid import ULID
from werkzeug.exceptions import NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

from api.answers.headers import set_security_headers
from api.answers.problems import register_errors, validation_problem
from api.answers.spec import finish_spec
from api.door.access import authorize, install_authentication
from api.door.limits import limit_requests
from api.intake.uploads import StreamingRequest
from api.services import EXTENSION, Services
from api.views import (
    classifications,
    crawls,
    deliveries,
    exports,
    health,
    items,
    jobs,
    keys,
    metrics,
    models,
    pages,
    reviews,
    signing,
)
from core.settings import Settings

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_FORM_FIELDS = 100
"""Form parts of one request that are not pictures."""

MAX_JSON_BYTES = 64 * 2**20
"""Largest JSON body, for it is in memory at once: some 200,000 URLs. What is longer is a manifest."""


class LookbookApp(APIFlask):
    request_class = StreamingRequest


def create_app(settings: Settings) -> LookbookApp:
    """The application of one process. Nothing outside it needs to answer yet."""
    app = LookbookApp(
        "api",
        title="Lookbook",
        version=version("lookbook"),
        docs_path=None,
        static_folder=str(pages.FRONTEND),
        static_url_path="/static",
        json_errors=False,
    )
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_request_bytes,
        MAX_FORM_PARTS=settings.max_request_files + _FORM_FIELDS,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.extensions[EXTENSION] = Services.connect(settings)
    for module in (
        classifications,
        crawls,
        jobs,
        deliveries,
        items,
        exports,
        reviews,
        models,
        keys,
        health,
        metrics,
        pages,
        signing,
    ):
        app.register_blueprint(module.bp)
    register_errors(app)
    app.register_error_handler(HTTPError, _of_input)
    app.spec_processor(finish_spec)  # type: ignore[arg-type]
    if settings.proxies:
        near = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=near, x_proto=near, x_host=near)  # type: ignore[method-assign]
    app.before_request(_begin)
    install_authentication(app)
    limit_requests(app, settings)
    app.before_request(authorize)
    app.after_request(_finish)
    set_security_headers(app)
    return app


def _of_input(error: HTTPError) -> Response:
    """A query or body that pydantic refused, in the words of http-api.md."""
    cause = error.__cause__
    assert isinstance(cause, ValidationError), "APIFlask refuses nothing of itself"
    return validation_problem(cause).response()


def _begin() -> None:
    if "\0" in request.path:
        # No id has such a character, and PostgreSQL takes none.
        raise NotFound
    if request.mimetype == "application/json":
        request.max_content_length = min(MAX_JSON_BYTES, request.max_content_length or MAX_JSON_BYTES)
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _SANE_REQUEST_ID.fullmatch(given) else str(ULID()).lower()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _finish(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.get("request_id", "-")
    if not _read_whole(response):
        # The server would promise to keep the connection, and end it for what is still to come on it.
        response.headers["Connection"] = "close"
    return response


def _read_whole(response: Response) -> bool:
    """Whether the present request has no body, or one that was read to its end."""
    environ = request.environ
    if environ.get("CONTENT_LENGTH", "0") in {"", "0"} and "HTTP_TRANSFER_ENCODING" not in environ:
        return True
    # Whoever takes up the stream reads on to its end, unless what comes is too much or not well formed.
    return "stream" in vars(request) and response.status_code not in {400, 413}
