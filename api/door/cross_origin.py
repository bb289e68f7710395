"""Requests of pages from other origins (CORS). They are allowed only for the origins that a setting names.

Such a page sends a key with each request. Cookies count for nothing there, so that a page of another origin never acts
with the session of the person who looks at it.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Flask, Response, request

from api.services import current_services
from core.settings import Settings

_API_PATHS = ("/v1/", "/openapi.json", "/healthz", "/readyz")
"""The beginnings of the paths that other origins may call. Pages and sessions are not among them."""
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = (
    "Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-None-Match, Prefer, Range, X-Request-ID"
)
_ANSWER_HEADERS = (
    "Accept-Ranges, Content-Disposition, Content-Range, ETag, Link, Location, Preference-Applied, RateLimit-Limit, "
    "RateLimit-Remaining, RateLimit-Reset, Retry-After, WWW-Authenticate, X-Job-Status, X-Request-ID"
)
"""Headers of answers that scripts may read. Browsers hide all others, but for a few such as Content-Type."""
_PREFLIGHT_SECONDS = "600"


def allow_other_origins(app: Flask, settings: Settings) -> None:
    """Answer preflight requests, and mark all answers for the origins of the settings. Without any, change nothing.

    Call it before the authentication is installed, because a preflight request has no key.
    """
    if settings.cors_origins:
        app.before_request(_answer_preflight)
        app.after_request(_add_headers)


def is_from_other_origin() -> bool:
    """Return whether a page of another origin made the browser send the request, and the settings allow that origin."""
    origin = request.headers.get("Origin", "")
    if not _is_for_api() or origin not in current_services().settings.cors_origins:
        return False
    return urlsplit(origin).netloc != request.host


def _is_for_api() -> bool:
    return request.path.startswith(_API_PATHS)


def _answer_preflight() -> Response | None:
    asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    if not asks or request.endpoint is None or not is_from_other_origin():
        return None
    response = Response(status=HTTPStatus.NO_CONTENT)
    response.headers["Access-Control-Allow-Methods"] = _METHODS
    response.headers["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
    response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
    return response


def _add_headers(response: Response) -> Response:
    if _is_for_api():
        # A cache must not give one origin the answer that names another one.
        response.vary.add("Origin")
    if is_from_other_origin():
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response.headers["Access-Control-Expose-Headers"] = _ANSWER_HEADERS
    return response
