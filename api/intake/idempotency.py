"""`Idempotency-Key`: a repeated POST gets the answer of the first one, and nothing is created twice.

Only requests that created something are stored. A request that was refused or failed releases its key: repeated without
changes it fails again, and corrected it may use the same key.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast

import structlog
from flask import Response, g, make_response, request
from sqlalchemy.orm import Session

from api.answers.problems import Problem
from api.door.access import caller
from api.intake.uploads import StreamingRequest, UploadStream, current_uploads
from api.schemas.common import Answer
from api.services import Services, current_services
from core.clock import utc_now
from db.access import idempotency
from db.access.idempotency import BROKEN_OFF_AFTER, EarlierRequest, RequestKey
from db.access.usage import NO_OWNER
from db.database import TRANSIENT_ERRORS

log = structlog.get_logger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
"""This header marks an answer that repeats an earlier one."""

_MAX_KEY_CHARACTERS = 255
_STORED_HEADERS = ("Content-Type", "Location", "ETag", "Preference-Applied")

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _FirstRequest:
    """The current request, if it is the first one with its key."""

    key: RequestKey
    fingerprint: str


def idempotent(answer_again: Callable[[str], Answer]) -> Callable[[View], View]:
    """Make a view respect `Idempotency-Key`.

    `answer_again` returns the answer for a job id. It is used if the first request was broken off after it had stored
    the job.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def call_view(*args: Any, **kwargs: Any) -> Any:
            key = _key()
            if key is None:
                return view(*args, **kwargs)
            services = current_services()
            with services.database.writing() as session:
                earlier = idempotency.begin(session, key, utc_now())
            if earlier is not None:
                return _replay(earlier, key, answer_again)
            with _renewed(services, key):
                fingerprint = _fingerprint()
                g.idempotent = _FirstRequest(key, fingerprint)
                response = make_response(view(*args, **kwargs))
                _store_answer(services, key, fingerprint, response)
            return response

        return cast(View, call_view)

    return decorate


def record_created_job(session: Session, job_id: str) -> None:
    """Link the request's Idempotency-Key, if it has one, to a job. Call it in the transaction that stores the job."""
    first: _FirstRequest | None = g.get("idempotent")
    if first is not None:
        idempotency.store_job_id(session, first.key, first.fingerprint, job_id)


def _key() -> RequestKey | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not (0 < len(key) <= _MAX_KEY_CHARACTERS and key.isascii() and key.isprintable()):
        raise Problem(400, "bad_request", f"{HEADER} must have 1 to {_MAX_KEY_CHARACTERS} printable ASCII characters.")
    return RequestKey(caller().owner or NO_OWNER, key)


def _replay(earlier: EarlierRequest, key: RequestKey, answer_again: Callable[[str], Answer]) -> Response:
    if earlier.fingerprint != _fingerprint():
        raise Problem(
            422,
            "idempotency_key_reused",
            f"{HEADER} {key.key!r} was used for a different request before. Use another key.",
        )
    if earlier.status is None:
        response = _response(answer_again(earlier.job_id or ""))
    else:
        response = Response(earlier.body, earlier.status, dict(earlier.headers))
    response.headers[REPLAYED] = "true"
    return response


def _response(answer: Answer) -> Response:
    if isinstance(answer, Response):
        return answer
    body, *rest = answer if isinstance(answer, tuple) else (answer,)
    return make_response((body.model_dump(mode="json"), *rest))


@contextmanager
def _renewed(services: Services, key: RequestKey) -> Iterator[None]:
    """Renew the key while the block runs. Release it if the block raises an error."""
    finished = threading.Event()
    threading.Thread(target=_renew, args=(services, key, finished), daemon=True).start()
    try:
        yield
    except BaseException:
        with services.database.writing() as session:
            idempotency.release(session, key)
        raise
    finally:
        finished.set()


def _renew(services: Services, key: RequestKey, finished: threading.Event) -> None:
    while not finished.wait(BROKEN_OFF_AFTER.total_seconds() / 3):
        try:
            with services.database.writing() as session:
                idempotency.renew(session, key, utc_now())
        except TRANSIENT_ERRORS as error:
            log.warning("idempotency_key_not_renewed", reason=str(error.orig))


def _store_answer(services: Services, key: RequestKey, fingerprint: str, response: Response) -> None:
    with services.database.writing() as session:
        if 200 <= response.status_code < 300:
            headers = {name: response.headers[name] for name in _STORED_HEADERS if name in response.headers}
            answer = (response.status_code, headers, response.get_data(as_text=True))
            idempotency.store_answer(session, key, fingerprint, answer, utc_now())
        else:
            idempotency.release(session, key)


def _fingerprint() -> str:
    """Return the SHA-256 of method, path, query and payload.

    The payload of a form is its fields and files, because its boundary differs from request to request.

    Raises:
        StorageFull, BlobStoreUnavailable: the payload could not be stored.
    """
    digest = hashlib.sha256()

    def add(*parts: str) -> None:
        for part in parts:
            data = part.encode()
            digest.update(f"{len(data)}:".encode() + data)

    add(request.method, request.path, request.query_string.decode("latin-1"), request.mimetype)
    if request.mimetype == "multipart/form-data":
        for name, value in request.form.items(multi=True):
            add("field", name, value)
        for name, file in request.files.items(multi=True):
            add("file", name, file.filename or "", cast(UploadStream, file.stream).digest)
    elif request.mimetype == "application/json":
        add("body", request.get_data(as_text=True))
    else:
        add("body", cast(StreamingRequest, request).read_body().digest)
    current_uploads().raise_failure()
    return digest.hexdigest()
