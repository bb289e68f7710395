"""`Idempotency-Key`: a POST that is sent again is answered as the first time, and makes nothing twice.

Only what made something is remembered. A request that was refused, or that failed, leaves its key free: sent again
unchanged it fails again, and put right it may keep its key.
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
"""Set on an answer that was given before."""

_LONGEST_KEY = 255
_KEPT_HEADERS = ("Content-Type", "Location", "ETag", "Preference-Applied")

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Running:
    """The present request, as far as it is the first one with its key."""

    key: RequestKey
    fingerprint: str


def idempotent(again: Callable[[str], Answer]) -> Callable[[View], View]:
    """Make a view heed `Idempotency-Key`.

    `again` answers for the job with the given id, whose first request was broken off after it had stored it.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def heeding(*args: Any, **kwargs: Any) -> Any:
            key = _key()
            if key is None:
                return view(*args, **kwargs)
            services = current_services()
            with services.database.writing() as session:
                earlier = idempotency.begin(session, key, utc_now())
            if earlier is not None:
                return _replay(earlier, key, again)
            with _running(services, key):
                fingerprint = _fingerprint()
                g.idempotent = _Running(key, fingerprint)
                response = make_response(view(*args, **kwargs))
                _keep(services, key, fingerprint, response)
            return response

        return cast(View, heeding)

    return decorate


def record_created_job(session: Session, job_id: str) -> None:
    """Called in the transaction that stores a job: its request's key, if it has one, leads to it from then on."""
    running: _Running | None = g.get("idempotent")
    if running is not None:
        idempotency.store_job_id(session, running.key, running.fingerprint, job_id)


def _key() -> RequestKey | None:
    given = request.headers.get(HEADER)
    if given is None:
        return None
    if not (0 < len(given) <= _LONGEST_KEY and given.isascii() and given.isprintable()):
        raise Problem(400, "bad_request", f"{HEADER}: expected 1 to {_LONGEST_KEY} printable ASCII characters")
    return RequestKey(caller().key_id or NO_OWNER, given)


def _replay(earlier: EarlierRequest, key: RequestKey, again: Callable[[str], Answer]) -> Response:
    if earlier.fingerprint != _fingerprint():
        raise Problem(
            422,
            "idempotency_key_reused",
            f"{HEADER} {key.key!r} came with another request before: expected the same one, or a key of its own",
        )
    if earlier.status is None:
        response = _response(again(earlier.job_id or ""))
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
def _running(services: Services, key: RequestKey) -> Iterator[None]:
    """Renew the key until the end of the block; if that is an error, let go of it."""
    over = threading.Event()
    renewing = threading.Thread(target=_renew, args=(services, key, over), daemon=True)
    renewing.start()
    try:
        yield
    except BaseException:
        with services.database.writing() as session:
            idempotency.release(session, key)
        raise
    finally:
        over.set()


def _renew(services: Services, key: RequestKey, over: threading.Event) -> None:
    while not over.wait(BROKEN_OFF_AFTER.total_seconds() / 3):
        try:
            with services.database.writing() as session:
                idempotency.renew(session, key, utc_now())
        except TRANSIENT_ERRORS as error:
            log.warning("request_not_renewed", reason=str(error.orig))


def _keep(services: Services, key: RequestKey, fingerprint: str, response: Response) -> None:
    with services.database.writing() as session:
        if 200 <= response.status_code < 300:
            headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
            answer = (response.status_code, headers, response.get_data(as_text=True))
            idempotency.store_answer(session, key, fingerprint, answer, utc_now())
        else:
            idempotency.release(session, key)


def _fingerprint() -> str:
    """SHA-256 of method, path, query and payload; of a form its fields and files, since its boundary is never the same.

    Raises:
        StorageFull, BlobStoreUnavailable: the payload could not be taken in.
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
    current_uploads().check()
    return digest.hexdigest()
