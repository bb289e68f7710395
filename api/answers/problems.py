"""Errors as RFC 9457 problem+json: a stable code, and a detail that says what was expected and what came."""

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
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from core.clock import utc_now
from core.errors import (
    BlobMissing,
    ExportBroken,
    ItemError,
    JobNotOver,
    JobOver,
    LookbookError,
    ModelUnknown,
    NothingToRetry,
    NotReviewable,
    QuotaExceeded,
    RequestInProgress,
    StorageFull,
    Unavailable,
)
from db.access.usage import next_month_start
from db.database import is_full

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    500: "internal_error",
}

_ITEM_ERROR_STATUS = {"not_an_image": 415, "unsupported_format": 415, "too_large": 413, "model_error": 500}
_SHOWN = 80
"""How many characters of a wrong value an error repeats."""

ModelT = TypeVar("ModelT", bound=BaseModel)


class Problem(Exception):
    """An answer that is an error."""

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


def not_found_problem(kind: str, given: str) -> Problem:
    """404: there is no such thing, or it is another owner's."""
    return Problem(404, f"unknown_{kind}", f"there is no {kind} {given!r}")


def invalid_field_problem(name: str, detail: str, code: str = "invalid_request") -> Problem:
    """422: one field cannot be used."""
    return Problem(422, code, f"{name}: {detail}", errors=[(f"/{name}", detail)])


def item_error_problem(code: str, detail: str) -> Problem:
    """The answer to a single classification whose picture failed."""
    return Problem(_ITEM_ERROR_STATUS.get(code, 422), code, detail)


def validate(model: type[ModelT], data: Mapping[str, Any]) -> ModelT:
    """`data` as a pydantic model.

    Raises:
        Problem: 422 with a pointer to each field that cannot be used.
    """
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        raise validation_problem(error, model) from error


def validate_json(model: type[ModelT], data: bytes) -> ModelT:
    """A JSON body as a pydantic model.

    Raises:
        Problem: 400, it is not JSON; 422 with a pointer to each field that cannot be used.
    """
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Problem(400, "bad_request", f"expected JSON in UTF-8: {first['msg']}") from error
        raise validation_problem(error, model) from error


def validation_problem(error: ValidationError, model: type[BaseModel] | None = None) -> Problem:
    """422, with a pointer (RFC 6901) to each field that cannot be used; those of `model` that hold JSON describe it."""
    fields = [("".join(f"/{_escaped(part)}" for part in e["loc"]), _explain(model, e)) for e in error.errors()]
    detail = "; ".join(f"{pointer[1:]}: {message}" if pointer else message for pointer, message in fields)
    return Problem(422, "invalid_request", detail, errors=fields)


def _escaped(part: int | str) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _explain(model: type[BaseModel] | None, error: ErrorDetails) -> str:
    expected = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return expected
    if model is not None and error["type"] == "json_invalid":
        # Pydantic says at which column its parser gave up; what the field wants is in its description.
        expected = f"expected {model.model_fields[str(error['loc'][0])].description}"
    return f"{expected}, got {_shown(error['input'])}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _of_routing(error: HTTPException) -> str | None:
    """What Werkzeug says of a path or method in too general words."""
    if isinstance(error, NotFound):
        return f"there is nothing at {_shown(request.path)}"
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        *others, last = sorted(error.valid_methods)
        return f"expected {', '.join(others)} or {last}, got {request.method}"
    return None


def register_errors(app: Flask) -> None:
    """Make every error of the application a problem."""

    @app.errorhandler(Problem)
    def of_problem(error: Problem) -> Response:
        return error.response()

    @app.errorhandler(HTTPException)
    def of_http(error: HTTPException) -> Response:
        status = error.code or 500
        detail = _of_routing(error) or error.description or HTTPStatus(status).phrase
        kept = {name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After"}}
        return Problem(status, _CODES.get(status, "http_error"), detail, headers=kept).response()

    @app.errorhandler(ItemError)
    def of_item(error: ItemError) -> Response:
        return item_error_problem(error.code, error.detail).response()

    @app.errorhandler(ModelUnknown)
    def of_model(error: ModelUnknown) -> Response:
        return invalid_field_problem("model", error.detail, error.code).response()

    @app.errorhandler(JobOver)
    @app.errorhandler(JobNotOver)
    @app.errorhandler(NothingToRetry)
    @app.errorhandler(NotReviewable)
    @app.errorhandler(ExportBroken)
    def of_state(error: LookbookError) -> Response:
        return Problem(409, error.code, error.detail).response()

    @app.errorhandler(QuotaExceeded)
    def of_quota(error: QuotaExceeded) -> Response:
        now = utc_now()
        seconds = math.ceil((next_month_start(now) - now).total_seconds())
        return Problem(429, error.code, error.detail, headers={"Retry-After": str(seconds)}).response()

    @app.errorhandler(RequestInProgress)
    def of_progress(error: RequestInProgress) -> Response:
        return Problem(409, error.code, error.detail, headers={"Retry-After": "1"}).response()

    @app.errorhandler(StorageFull)
    def of_fullness(error: StorageFull) -> Response:
        log.error("full", error=str(error))
        return Problem(507, error.code, error.detail).response()

    @app.errorhandler(Unavailable)
    @app.errorhandler(BlobMissing)
    @app.errorhandler(DBAPIError)
    def of_absence(error: LookbookError | DBAPIError) -> Response:
        if isinstance(error, DBAPIError) and is_full(error):
            return of_fullness(StorageFull())
        log.error("unavailable", error=str(error))
        code = error.code if isinstance(error, LookbookError) else "database_unavailable"
        # What the database said stays in the log: it names tables and hosts.
        detail = "part of the service does not answer; try again"
        return Problem(503, code, detail, headers={"Retry-After": "5"}).response()

    @app.errorhandler(Exception)
    def of_bug(error: Exception) -> Response:
        log.exception("unhandled", error=repr(error))
        detail = f"the server failed on this request; it is logged under {g.get('request_id', '-')}"
        return Problem(500, "internal_error", detail).response()
