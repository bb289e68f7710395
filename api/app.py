"""The Flask application."""

from __future__ import annotations

import re
from contextlib import ExitStack
from http import HTTPStatus
from importlib.metadata import version

from apiflask import APIFlask
from apiflask.exceptions import HTTPError
from flask import Response, g, request
from pydantic import ValidationError
from ulid import ULID
from werkzeug.exceptions import NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

from api.answers.compression import compress_answers
from api.answers.headers import set_security_headers
from api.answers.problems import http_problem, register_errors, validation_problem
from api.answers.spec import finish_spec
from api.connections.log import note_request, template
from api.door.access import authorize, install_authentication
from api.door.cross_origin import allow_other_origins
from api.door.limits import limit_requests
from api.door.refusals import DeadLink
from api.intake.encodings import unpack_body
from api.intake.uploads import StreamingRequest
from api.services import EXTENSION, Services
from api.views import (
    additions,
    classifications,
    comparisons,
    crawls,
    deliveries,
    drift,
    exports,
    health,
    hints,
    items,
    job_changes,
    jobs,
    keys,
    lessons,
    limits,
    maps,
    marks,
    metrics,
    models,
    pages,
    picture_urls,
    products,
    review_imports,
    reviews,
    searches,
    sessions,
    shadows,
    shares,
    signing,
    taxonomies,
    trust,
)
from core import tracing
from core.logs import bind_ids
from core.settings import Settings

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_UNTRACED = frozenset({"health", "metrics", None})
"""Blueprints that monitoring asks every few seconds. None: the files of the pages."""
_MAX_FORM_FIELDS = 100
"""Form parts of one request that are not pictures."""

MAX_JSON_BYTES = 64 * 2**20
"""Largest JSON body: about 200,000 URLs. The whole body is held in memory; manifests may be larger."""


class LookbookApp(APIFlask):
    request_class = StreamingRequest


def create_app(settings: Settings) -> LookbookApp:
    """Return the application of one process. The database, Redis and the blob store need not answer yet."""
    app = LookbookApp(
        "api",
        title="Lookbook",
        version=version("lookbook"),
        docs_path=None,
        static_folder=str(pages.FRONTEND),
        static_url_path="/static",
        template_folder=str(pages.FRONTEND / "pages"),
        json_errors=False,
    )
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_request_bytes,
        MAX_FORM_PARTS=settings.max_request_files + _MAX_FORM_FIELDS,
    )
    # A client whose id is empty gets 404, and not a redirect to another resource.
    app.url_map.merge_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.extensions[EXTENSION] = Services.connect(settings)
    for module in (
        classifications,
        crawls,
        jobs,
        job_changes,
        additions,
        deliveries,
        comparisons,
        items,
        searches,
        picture_urls,
        exports,
        maps,
        marks,
        products,
        reviews,
        review_imports,
        trust,
        hints,
        models,
        drift,
        shadows,
        taxonomies,
        lessons,
        keys,
        limits,
        health,
        metrics,
        pages,
        sessions,
        shares,
        signing,
    ):
        app.register_blueprint(module.bp)
    register_errors(app)
    app.register_error_handler(HTTPError, _handle_input_error)
    app.register_error_handler(NotFound, _handle_unknown_path)
    app.register_error_handler(DeadLink, _handle_dead_link)
    app.spec_processor(finish_spec)  # type: ignore[arg-type]
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    compress_answers(app)
    app.before_request(_start_request)
    allow_other_origins(app, settings)
    install_authentication(app)
    limit_requests(app, settings)
    app.before_request(authorize)
    app.after_request(_finish_response)
    app.teardown_request(_end_span)
    set_security_headers(app)
    return app


def _handle_input_error(error: HTTPError) -> Response:
    """Return the problem for a query or body that pydantic refused."""
    cause = error.__cause__
    assert isinstance(cause, ValidationError), "APIFlask raises HTTPError only for input that pydantic refused"
    return validation_problem(cause).response()


def _handle_unknown_path(error: NotFound) -> Response:
    return pages.render_page("missing", HTTPStatus.NOT_FOUND) if pages.wants_page() else http_problem(error)


def _handle_dead_link(error: DeadLink) -> Response:
    if error.status == HTTPStatus.UNAUTHORIZED or not pages.wants_page():
        return error.response()
    return pages.render_page("missing", HTTPStatus(error.status), error.code)


def _start_request() -> None:
    if "\0" in request.path:
        # No id contains NUL, and PostgreSQL refuses text that does.
        raise NotFound
    if request.mimetype == "application/json":
        request.max_content_length = min(MAX_JSON_BYTES, request.max_content_length or MAX_JSON_BYTES)
    client_id = request.headers.get("X-Request-ID", "")
    g.request_id = client_id if _SANE_REQUEST_ID.fullmatch(client_id) else str(ULID()).lower()
    bind_ids(request_id=g.request_id)
    _begin_span()
    unpack_body(request)


def _begin_span() -> None:
    if not tracing.is_tracing() or request.blueprint in _UNTRACED or request.url_rule is None:
        return
    route = template(request.url_rule.rule)
    attributes = {"http.request.method": request.method, "http.route": route, "lookbook.request": g.request_id}
    g.span_stack = ExitStack()
    opened = tracing.span(
        f"{request.method} {route}", attributes, parent=request.headers.get(tracing.TRACEPARENT), of_request=True
    )
    g.span = g.span_stack.enter_context(opened)


def _end_span(_: BaseException | None) -> None:
    if "span_stack" in g:
        g.span_stack.close()


def _finish_response(response: Response) -> Response:
    if "span" in g:
        g.span.set_attribute("http.response.status_code", response.status_code)
    response.headers["X-Request-ID"] = g.get("request_id", "-")
    note_request()
    if not _body_was_read(response):
        # gunicorn would announce keep-alive and yet close the connection, because part of the body is still unread.
        response.headers["Connection"] = "close"
    return response


def _body_was_read(response: Response) -> bool:
    """Return whether the current request has no body, or a body that was read to its end."""
    environ = request.environ
    if environ.get("CONTENT_LENGTH", "0") in {"", "0"} and "HTTP_TRANSFER_ENCODING" not in environ:
        return True
    # Code that opens the stream reads it to its end, unless it is too large (413), malformed (400) or too slow (408).
    return "stream" in vars(request) and response.status_code not in {400, 408, 413}
