"""What a request may do and see: each passes `admit` and `enforce`, and looks jobs and items up by this module."""

from __future__ import annotations

import re
from typing import cast
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from api.answers.problems import Problem, not_found_problem
from api.identity.sessions import TOKEN_HEADER
from api.services import current_services
from core.clock import rfc3339, utc_now
from db.access.keys import ANYONE, Caller
from db.steps import lifecycle
from db.tables import Item, Job, Scope
from db.views import items, jobs

PUBLIC = frozenset(
    {"static", "openapi.spec", "pages.docs_page", "pages.samples_index", "pages.sample", "signing.sign_out"}
)
"""Endpoints that say nothing about anyone's jobs: no key is needed for them, nor for those of `PUBLIC_BLUEPRINTS`."""
PUBLIC_BLUEPRINTS = frozenset({"health"})
PAGES = "pages"
"""The blueprint whose views are for people: who needs a key is led to where he can sign in."""
SIGN_IN = "signing.sign_in"
"""The view to which a key comes in the body, to be checked and counted like any other."""
LOGIN_PAGE = "signing.login_page"
"""Where it is asked for: everybody may see that page."""

ADMINISTRATION = frozenset(
    {"metrics.get_metrics", "models.promote_model", "keys.create_key", "keys.list_keys", "keys.revoke_key"}
)
"""Endpoints that concern everyone: they need the scope `admin`."""

ANY_KEY = frozenset({"keys.get_usage", SIGN_IN, LOGIN_PAGE})
"""Endpoints that tell a key about itself: they need no scope, and nor do the pages, which ask the rest of the API."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_HOST = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)
_MAX_SIGN_IN_BYTES = 4096
"""Bytes that somebody may send of whom nothing is known yet."""
_CHALLENGE = 'Bearer realm="Lookbook"'


def required_scope(endpoint: str, method: str) -> Scope | None:
    """What a key must be for: a view that nobody thought of here still needs one that reads or submits."""
    if endpoint in ANY_KEY or endpoint.partition(".")[0] == PAGES:
        return None
    if endpoint in ADMINISTRATION:
        return Scope.ADMIN
    return Scope.READ if method in _SAFE_METHODS else Scope.SUBMIT


def is_public(endpoint: str) -> bool:
    return endpoint in PUBLIC or endpoint.partition(".")[0] in PUBLIC_BLUEPRINTS


class AuthenticationProblem(Problem):
    """401: it is not known who asks."""


class KeyRequired(AuthenticationProblem):
    """401: no key came."""

    def __init__(self) -> None:
        detail = "expected a key, `Authorization: Bearer lb_…`, got none"
        super().__init__(401, "key_required", detail, headers={"WWW-Authenticate": _CHALLENGE})


class BadKey(AuthenticationProblem):
    """401: a key came that is no good."""

    def __init__(self) -> None:
        challenge = f'{_CHALLENGE}, error="invalid_token"'
        super().__init__(
            401, "invalid_key", "this key is not known, or revoked", headers={"WWW-Authenticate": challenge}
        )


def install_authentication(app: Flask) -> None:
    """Have every request of an application begin with `admit`."""
    app.before_request(authenticate)
    app.after_request(_note_use)


def authenticate() -> None:
    """Set `g.caller`, or `g.authentication_problem`, which `authorize` raises after the request has been counted.

    Raises:
        Problem: 403, another site's page made a browser ask for a change.
    """
    endpoint = request.endpoint
    if endpoint is None or is_public(endpoint):
        return
    if request.method not in _SAFE_METHODS and _sent_by_another_site():
        raise Problem(403, "cross_site", "another site's page asked for this: expected one of Lookbook's own, or a key")
    try:
        g.caller = _caller_of_request()
    except AuthenticationProblem as error:
        g.authentication_problem = error


def authorize() -> ResponseReturnValue | None:
    """Let a request on to its view, if whoever asks may.

    Raises:
        Problem: 401, no key or a bad one; 403, the key is not for this, or the session's token is missing.
    """
    endpoint = request.endpoint or ""
    if "authentication_problem" in g:
        if endpoint == LOGIN_PAGE:
            return None
        if endpoint.partition(".")[0] == PAGES:
            return redirect(url_for(LOGIN_PAGE, next=request.path), 303)
        raise g.authentication_problem
    if "caller" not in g:
        return None
    if "session" in g and request.method not in _SAFE_METHODS and not g.session.sent_by_our_pages(request.headers):
        raise Problem(403, "csrf_token_missing", f"expected the session's token in {TOKEN_HEADER}")
    scope = required_scope(endpoint, request.method)
    if scope is None or caller().may(scope):
        return None
    held = ", ".join(sorted(caller().scopes))
    challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
    detail = f"expected a key with the scope `{scope}`; this one has {held}"
    raise Problem(403, "insufficient_scope", detail, headers={"WWW-Authenticate": challenge})


def _caller_of_request() -> Caller:
    """Who asks, by the key that came, else by the session.

    Raises:
        KeyRequired, BadKey: that cannot be told, and has to be.
    """
    written = _key_of_request()
    if written is not None:
        found = current_services().callers.find_by_key(written)
        if found is None:
            raise BadKey
        return found
    session = current_services().sessions.read(request) if "HTTP_COOKIE" in request.environ else None
    found = current_services().callers.find_by_id(session.key_id) if session else None
    if found is not None:
        g.session = session
        return found
    if is_open():
        return ANYONE
    raise KeyRequired


def _key_of_request() -> str | None:
    if request.endpoint == SIGN_IN:
        request.max_content_length = _MAX_SIGN_IN_BYTES
        body = request.get_json(silent=True)
        return str(body.get("key", "")) if isinstance(body, dict) else ""
    return _bearer()


def _bearer() -> str | None:
    given = request.authorization
    return given.token or "" if given is not None and given.type == "bearer" else None


def _sent_by_another_site() -> bool:
    """Whether a browser says so. A key in the header is nothing that browsers send on their own account."""
    if _bearer() is not None:
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host


def is_open() -> bool:
    """Whether no key is needed: told so in so many words, or none was made yet and only this machine can ask."""
    services = current_services()
    if services.settings.no_auth:
        return True
    # A name that others know this machine by means that something passes their requests on: a proxy, or a page that
    # has had its own name lead here (DNS rebinding).
    return services.callers.open_on_this_machine() and _LOOPBACK_HOST.fullmatch(request.host) is not None


def caller() -> Caller:
    """Who the present request comes from."""
    return cast(Caller, g.caller)


def can_see_job(session: Session, job_id: str) -> bool:
    """Whether there is a job for the caller: one that it may see, or might have seen before it expired."""
    job = jobs.get(session, job_id)
    return job is not None and job.deleted_at is None and caller().sees(job.key_id)


def require_job(session: Session, job_id: str) -> Job:
    """A job that the caller may see.

    Raises:
        Problem: 404, there is none; 410, it is past retention.
    """
    return _visible(jobs.get(session, job_id), job_id)


def lock_job(session: Session, job_id: str) -> Job:
    """`require_job`, its row held until the end of the transaction."""
    return _visible(lifecycle.lock_job(session, job_id), job_id)


def require_item(session: Session, item_id: str) -> Item:
    """An item that the caller may see (see `require_job`)."""
    item = items.get(session, item_id)
    if item is None or item.job.deleted_at is not None or not caller().sees(item.job.key_id):
        raise not_found_problem("item", item_id)
    _visible(item.job, item.job_id)
    return item


def _visible(job: Job | None, job_id: str) -> Job:
    if job is None or job.deleted_at is not None or not caller().sees(job.key_id):
        raise not_found_problem("job", job_id)
    if job.expired(utc_now()):
        expired_at = rfc3339(job.expires_at) if job.expires_at else ""
        raise Problem(410, "expired", f"job {job_id!r} was kept until {expired_at}; its items and pictures are gone")
    return job


def _note_use(response: Response) -> Response:
    key_id = g.caller.key_id if "caller" in g else None
    write = current_services().callers.note_use(key_id) if key_id else None
    if write is not None:
        # Whoever asked has his answer by then: the write may have to wait for others.
        response.call_on_close(write)
    return response
