"""Errors as problem details (RFC 9457). Each has a stable code, and a detail that says what was expected."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from flask import Flask, Response, g, request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import (
    ClientDisconnected,
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestedRangeNotSatisfiable,
    RequestEntityTooLarge,
)

from core.clock import utc_now
from core.errors import (
    BadOwner,
    BlobMissing,
    ExportBroken,
    JobFinished,
    JobNotFinished,
    JobNotOpen,
    KeyEnded,
    LabelInUse,
    LessonRefused,
    LookbookError,
    ModelUnknown,
    NothingToRetry,
    NotReviewable,
    QuotaExceeded,
    RequestInProgress,
    ShadowRefused,
    StorageFull,
    Unavailable,
    WrongPosition,
    quoted_excerpt,
)
from core.item_errors import ItemError, PictureLost
from db.access.usage import next_month_start
from db.database import is_full

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    422: "invalid_request",
    500: "internal_error",
}

_OBJECT = "Input should be an object"
_PLAIN_WORDS = {
    "unexpected_keyword_argument": "Extra inputs are not permitted",
    "dataclass_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
}
"""Errors of pydantic whose message speaks of Python: what to say in its words about JSON."""

_DEFAULT_WORDS = {
    400: "The request is malformed. Expected what docs/http-api.md describes.",
    413: "The request is too large.",
    415: "The Content-Type of the request is not supported.",
}
"""Details of errors that the libraries raise without a reason."""
_PROBLEM_HEADERS = {"Allow", "Retry-After", "Content-Range"}
"""Headers of an error of Werkzeug that its problem keeps."""

_ITEM_ERROR_STATUS = {
    "not_an_image": 415,
    "unsupported_format": 415,
    "too_large": 413,
    "picture_lost": 410,
    "model_error": 500,
}

ModelT = TypeVar("ModelT", bound=BaseModel)


class Problem(Exception):
    """An error that is answered as problem details."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}

    def response(self) -> Response:
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.errors:
            body["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in self.errors]
        text = json.dumps(body, ensure_ascii=False)
        return Response(text, self.status, self.headers, content_type=MEDIA_TYPE)


def not_found_problem(kind: str, name: str) -> Problem:
    """Return a 404: the thing does not exist, or it belongs to another owner."""
    return Problem(404, f"unknown_{kind}", f"There is no {kind} {name!r}.")


def invalid_field_problem(name: str, detail: str, code: str = "invalid_request") -> Problem:
    """Return a 422 for one invalid field."""
    return Problem(422, code, f"{name}: {detail}", errors=[(f"/{name}", detail)])


def item_error_problem(code: str, detail: str) -> Problem:
    """Return the answer to a single classification whose picture failed."""
    return Problem(_ITEM_ERROR_STATUS.get(code, 422), code, detail)


def validate(model: type[ModelT], data: Mapping[str, Any]) -> ModelT:
    """Return `data` as a pydantic model.

    Raises:
        Problem: 422, with a pointer to each invalid field.
    """
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        raise validation_problem(error, model) from error


def validate_json(model: type[ModelT], data: bytes) -> ModelT:
    """Return a JSON body as a pydantic model.

    Raises:
        Problem: 400, the body is not JSON; 422, with a pointer to each invalid field.
    """
    try:
        # JSON has types. Without `strict`, true would be the number 1, and so would the text "1".
        return model.model_validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Problem(400, "bad_request", f"The body must be JSON in UTF-8: {first['msg']}") from error
        raise validation_problem(error, model) from error


def validation_problem(error: ValidationError, model: type[BaseModel] | None = None) -> Problem:
    """Return a 422 with a JSON Pointer (RFC 6901) to each invalid field.

    For a form field of `model` that should hold JSON, the message repeats the description of the field.
    """
    root = request.get_json(silent=True) if request.is_json else None
    fields = _merged([(_pointer(e, root), _field_detail(model, e)) for e in error.errors()])
    detail = "; ".join(f"{pointer[1:]}: {message}" if pointer else message for pointer, message in fields)
    return Problem(422, "invalid_request", detail, errors=fields)


def _pointer(error: ErrorDetails, root: Any) -> str:
    """Return the JSON Pointer to an invalid place in a body `root`. None: in a query or a form, which have no depth.

    Pydantic's location also names the alternative of a union that it tried. The body has no such member.
    """
    parts: list[int | str] = []
    value = root
    for part in error["loc"]:
        if isinstance(value, list) and isinstance(part, int):
            value = value[part]
        elif isinstance(value, dict) and (part in value or error["type"] == "missing"):
            value = value.get(part)
        elif root is not None:
            continue
        parts.append(part)
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def _merged(fields: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return one detail for each pointer. The alternatives of a union have one pointer, and a detail each."""
    by_pointer: dict[str, list[str]] = {}
    for pointer, detail in fields:
        by_pointer.setdefault(pointer, []).append(detail)
    return [(pointer, "; or ".join(details)) for pointer, details in by_pointer.items()]


def _field_detail(model: type[BaseModel] | None, error: ErrorDetails) -> str:
    expected = _PLAIN_WORDS.get(error["type"], error["msg"].removeprefix("Value error, "))
    if error["type"] == "missing":
        return expected
    if model is not None and error["type"] == "json_invalid":
        # Pydantic only says at which column its parser stopped. The field's description says what the field needs.
        description = model.model_fields[str(error["loc"][0])].description or "JSON"
        sentence = description.partition(". ")[0].rstrip(".")
        expected = f"expected {sentence[0].lower()}{sentence[1:]}"
    return f"{expected}, got {quoted_excerpt(error['input'])}"


def _routing_detail(error: HTTPException) -> str | None:
    """Return a more precise text than Werkzeug's for an unknown path or a method that is not allowed."""
    if isinstance(error, NotFound):
        return f"There is nothing at {quoted_excerpt(request.path)}."
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        *others, last = sorted(error.valid_methods)
        return f"This URL allows {', '.join(others)} or {last}, but not {request.method}."
    return None


def _own_words(error: HTTPException) -> str | None:
    """Return what was expected for an error that has only the default text of Werkzeug, which explains nothing."""
    if error.description != type(error).description:
        return None
    if isinstance(error, RequestEntityTooLarge) and request.max_content_length is not None:
        return f"Expected a body of at most {request.max_content_length:,} bytes, got a larger one."
    if isinstance(error, ClientDisconnected):
        return "The body broke off: it is shorter than its Content-Length."
    if isinstance(error, RequestedRangeNotSatisfiable):
        return f"Expected a range within the {error.length or 0:,} bytes of the file."
    return _DEFAULT_WORDS.get(error.code or 500)


def http_problem(error: HTTPException) -> Response:
    """Return the problem for an error of routing or of reading the request."""
    status = error.code or 500
    detail = _routing_detail(error) or _own_words(error) or error.description or HTTPStatus(status).phrase
    headers = {name: value for name, value in error.get_headers() if name in _PROBLEM_HEADERS}
    return Problem(status, _CODES.get(status, "http_error"), detail, headers=headers).response()


def register_errors(app: Flask) -> None:
    """Answer every error of the application with problem details."""

    @app.errorhandler(Problem)
    def handle_problem(error: Problem) -> Response:
        return error.response()

    app.register_error_handler(HTTPException, http_problem)

    @app.errorhandler(ItemError)
    def handle_item_error(error: ItemError) -> Response:
        return item_error_problem(error.code, error.detail).response()

    @app.errorhandler(ModelUnknown)
    def handle_unknown_model(error: ModelUnknown) -> Response:
        return invalid_field_problem("model", error.detail, error.code).response()

    @app.errorhandler(BadOwner)
    def handle_bad_owner(error: BadOwner) -> Response:
        return invalid_field_problem("owner", error.detail, error.code).response()

    @app.errorhandler(KeyEnded)
    @app.errorhandler(JobFinished)
    @app.errorhandler(JobNotFinished)
    @app.errorhandler(JobNotOpen)
    @app.errorhandler(WrongPosition)
    @app.errorhandler(NothingToRetry)
    @app.errorhandler(NotReviewable)
    @app.errorhandler(LabelInUse)
    @app.errorhandler(LessonRefused)
    @app.errorhandler(ShadowRefused)
    @app.errorhandler(ExportBroken)
    def handle_state_conflict(error: LookbookError) -> Response:
        return Problem(409, error.code, error.detail).response()

    @app.errorhandler(QuotaExceeded)
    def handle_used_quota(error: QuotaExceeded) -> Response:
        now = utc_now()
        seconds = math.ceil((next_month_start(now) - now).total_seconds())
        return Problem(429, error.code, error.detail, headers={"Retry-After": str(seconds)}).response()

    @app.errorhandler(RequestInProgress)
    def handle_request_in_progress(error: RequestInProgress) -> Response:
        return Problem(409, error.code, error.detail, headers={"Retry-After": "1"}).response()

    @app.errorhandler(StorageFull)
    def handle_full_storage(error: StorageFull) -> Response:
        log.error("storage_full", error=str(error))
        return Problem(507, error.code, error.detail).response()

    @app.errorhandler(BlobMissing)
    def handle_lost_picture(error: BlobMissing) -> Response:
        log.error("picture_lost", error=str(error))
        return Problem(410, PictureLost.code, PictureLost().detail).response()

    @app.errorhandler(Unavailable)
    @app.errorhandler(DBAPIError)
    def handle_unavailable_service(error: LookbookError | DBAPIError) -> Response:
        if isinstance(error, DBAPIError) and is_full(error):
            return handle_full_storage(StorageFull())
        log.error("service_unavailable", error=str(error))
        code = error.code if isinstance(error, LookbookError) else "database_unavailable"
        # The database's own message is only logged, because it names tables and hosts.
        detail = "Part of the service is not available. Try again later."
        return Problem(503, code, detail, headers={"Retry-After": "5"}).response()

    @app.errorhandler(Exception)
    def handle_bug(error: Exception) -> Response:
        log.exception("unhandled_error", error=repr(error))
        detail = f"An internal error occurred. The log has it under the request ID {g.get('request_id', '-')}."
        return Problem(500, "internal_error", detail).response()
