"""Answers to requests that gunicorn cannot read. They never reach the application."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

from gunicorn.http import errors


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status with the code and the detail of its problem."""

    status: HTTPStatus
    code: str
    detail: str


REQUEST_TIMEOUT = Refusal(
    HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The request did not arrive in time. Send it faster, or again."
)
_MALFORMED = Refusal(
    HTTPStatus.BAD_REQUEST, "bad_request", "The request is not valid HTTP/1.1: its request line or a header is wrong."
)
_BROKEN = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "An internal error occurred.")
_REFUSALS: dict[type[Exception], Refusal] = {
    errors.LimitRequestLine: Refusal(
        HTTPStatus.REQUEST_URI_TOO_LONG, "uri_too_long", "The request line may have at most 8,190 bytes."
    ),
    errors.LimitRequestHeaders: Refusal(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "headers_too_large",
        "A request may have at most 100 headers of at most 8,190 bytes each.",
    ),
    errors.ExpectationFailed: Refusal(
        HTTPStatus.EXPECTATION_FAILED, "expectation_failed", "The only expectation that is met is 100-continue."
    ),
    errors.UnsupportedTransferCoding: Refusal(
        HTTPStatus.NOT_IMPLEMENTED, "unsupported_transfer_coding", "The only transfer coding that is read is chunked."
    ),
    errors.InvalidHTTPVersion: Refusal(
        HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "unsupported_version", "The request must be HTTP/1.0 or HTTP/1.1."
    ),
}


def refusal_of(error: Exception) -> Refusal:
    """Return the answer to a request that gunicorn failed to handle."""
    for kind, refusal in _REFUSALS.items():
        if isinstance(error, kind):
            return refusal
    return _MALFORMED if isinstance(error, errors.ParseException) else _BROKEN


def raw_refusal(refusal: Refusal) -> bytes:
    """Return the whole HTTP answer with problem details (RFC 9457). The connection closes after it."""
    problem = {
        "type": "about:blank",
        "title": refusal.status.phrase,
        "status": refusal.status,
        "detail": refusal.detail,
        "code": refusal.code,
    }
    body = json.dumps(problem).encode()
    head = (
        f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
