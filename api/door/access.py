"""Access control. Every request passes `authenticate` and `authorize`; views look up jobs and items in this module."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import cast
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from api.answers.problems import Problem, not_found_problem
from api.door.cross_origin import is_from_other_origin
from api.door.refusals import CHALLENGE, AuthenticationProblem, BadKey, KeyRequired, ShareEnded
from api.door.signed_pictures import signed_caller
from api.door.visitors import OPEN_SHARE, find_visitor, open_visitor, share_token
from api.identity.sessions import TOKEN_HEADER
from api.services import current_services
from core.clock import rfc3339, utc_now
from core.types import ModelRef
from db import model_versions
from db.access.keys import ANYONE, Caller
from db.steps import lifecycle
from db.tables import Item, Job, ModelVersion, Scope
from db.views import items, jobs

PUBLIC = frozenset(
    {
        "static",
        "openapi.spec",
        "pages.docs_page",
        "pages.samples_index",
        "pages.sample",
        "pages.sample_thumbnail",
        "signing.sign_out",
    }
)
"""Endpoints that need no key, because they show nothing about jobs. The same is true of `PUBLIC_BLUEPRINTS`."""
PUBLIC_BLUEPRINTS = frozenset({"health"})
PAGES = "pages"
"""The blueprint of the web pages. A browser without a session is redirected to the login page."""
SIGN_IN = "signing.sign_in"
"""The view that receives a key in the body. The key is checked and counted like one in a header."""
LOGIN_PAGE = "signing.login_page"
"""The login page. Everyone may see it."""
SESSION = "sessions.get_session"
"""The view that says who the caller is, also if nobody is signed in."""

ADMINISTRATION = frozenset(
    {
        "models.promote_model",
        "shadows.start_shadow",
        "shadows.list_shadows",
        "shadows.stop_shadow",
        "keys.create_key",
        "keys.list_keys",
        "keys.revoke_key",
        "keys.rotate_key",
    }
)
"""Endpoints that need the scope `admin`, because they show or change data of all owners."""

METRICS = "metrics.get_metrics"
"""The view of the metrics. It has a scope of its own, so that the key of Prometheus can do nothing else."""

ANY_KEY = frozenset({"keys.get_usage", SIGN_IN, LOGIN_PAGE, SESSION})
"""Endpoints that need a key but no scope. The web pages need none either, because they read their data from the API."""

READING = frozenset({"exports.export_items"})
"""Endpoints that only read, although the request is a POST because what it names does not fit into a URL."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_HOST = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)
_MAX_SIGN_IN_BYTES = 4096
"""Largest body of a sign-in. It is small because the sender has no valid key yet."""


def required_scope(endpoint: str, method: str) -> Scope | None:
    """Return the scope that a request needs, or None. Views that no list above names need `read` or `submit`."""
    if endpoint in ANY_KEY or endpoint.partition(".")[0] == PAGES:
        return None
    if endpoint == METRICS:
        return Scope.METRICS
    if endpoint in ADMINISTRATION:
        return Scope.ADMIN
    return Scope.READ if method in _SAFE_METHODS or endpoint in READING else Scope.SUBMIT


def is_public(endpoint: str) -> bool:
    return endpoint in PUBLIC or endpoint.partition(".")[0] in PUBLIC_BLUEPRINTS


def install_authentication(app: Flask) -> None:
    """Make every request of the application start with `authenticate`."""
    app.before_request(authenticate)
    app.after_request(_record_key_use)


def authenticate() -> None:
    """Set `g.caller`, or `g.authentication_problem`, which `authorize` raises after the request has been counted.

    Raises:
        Problem: 403, a page of another site made a browser send a request that changes something.
    """
    endpoint = request.endpoint
    if endpoint is None:
        return
    if request.method not in _SAFE_METHODS and _sent_by_another_site():
        detail = "A page of another site made this request. Only Lookbook's own pages may do so without an API key."
        raise Problem(403, "cross_site", detail)
    if is_public(endpoint):
        return
    try:
        g.caller = _caller_of_request()
    except AuthenticationProblem as error:
        g.authentication_problem = error


def authorize() -> ResponseReturnValue | None:
    """Refuse a request that its caller may not make. Return None for all others.

    Raises:
        Problem: 401, the key is missing or invalid; 403, the key lacks the scope, or the session's token is missing.
    """
    endpoint = request.endpoint or ""
    if "authentication_problem" in g:
        if endpoint in {LOGIN_PAGE, SESSION}:
            return None
        if endpoint.partition(".")[0] == PAGES:
            page = request.full_path if request.query_string else request.path
            return redirect(url_for(LOGIN_PAGE, next=page), 303)
        raise g.authentication_problem
    if "caller" not in g:
        return None
    if "web_session" in g and request.method not in _SAFE_METHODS and not g.web_session.has_token(request.headers):
        raise Problem(403, "csrf_token_missing", f"The header {TOKEN_HEADER} must hold the token of the session.")
    scope = required_scope(endpoint, request.method)
    if scope is None or caller().may(scope):
        return None
    scopes = ", ".join(sorted(caller().scopes))
    challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"'
    detail = f"This request needs a key with the scope `{scope}`. This key has: {scopes}."
    raise Problem(403, "insufficient_scope", detail, headers={"WWW-Authenticate": challenge})


def _caller_of_request() -> Caller:
    """Return the caller that the key names, or else the session, or else the link that shares a job.

    A signed URL of a picture is judged by its signature alone.

    Raises:
        AuthenticationProblem: the request names no valid caller, and the service is not open.
    """
    signed = signed_caller()
    if signed is not None:
        return signed
    written_key = _key_of_request()
    if request.endpoint == OPEN_SHARE:
        return open_visitor((request.view_args or {})["token"])
    if written_key is not None:
        key_caller = current_services().callers.find_by_key(written_key)
        if key_caller is None:
            raise BadKey
        return key_caller
    # Cookies are those of the person who looks at a page, and not of a page from another origin.
    counts_cookies = not is_from_other_origin()
    session_caller = _caller_of_session() if counts_cookies else None
    if session_caller is not None:
        return session_caller
    if is_open():
        return ANYONE
    visitor = find_visitor() if counts_cookies else None
    if visitor is not None:
        return visitor
    raise ShareEnded(401) if counts_cookies and share_token() is not None else KeyRequired()


def _caller_of_session() -> Caller | None:
    """Return the caller whose key signed in. A link that shares a job shows that job to it as well."""
    web_session = current_services().sessions.read(request) if "HTTP_COOKIE" in request.environ else None
    session_caller = current_services().callers.find_by_id(web_session.key_id) if web_session else None
    if session_caller is None:
        return None
    g.web_session = web_session
    visitor = find_visitor()
    return session_caller if visitor is None else replace(session_caller, shared_job=visitor.shared_job)


def _key_of_request() -> str | None:
    if request.endpoint == SIGN_IN:
        request.max_content_length = _MAX_SIGN_IN_BYTES
        body = request.get_json(silent=True)
        return str(body.get("key", "")) if isinstance(body, dict) else ""
    return _bearer_token()


def _bearer_token() -> str | None:
    authorization = request.authorization
    return authorization.token or "" if authorization is not None and authorization.type == "bearer" else None


def _sent_by_another_site() -> bool:
    """Return whether a browser sent the request for a page of another site.

    A request with a key in its header did not come that way, because browsers never add that header themselves. Origins
    that the settings allow may send changes, because their requests count without cookies.
    """
    if _bearer_token() is not None or is_from_other_origin():
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc != request.host
    except ValueError:
        # For example an IPv6 address without its closing bracket. No page of ours has such an origin.
        return True


def is_open() -> bool:
    """Return whether requests need no key: by a setting, or because no key exists and only this machine can connect."""
    services = current_services()
    if services.settings.no_auth:
        return True
    # Any other host name means that something forwards requests of others: a proxy, or a page whose own host name
    # resolves to this machine (DNS rebinding).
    return services.callers.open_on_this_machine() and _LOOPBACK_HOST.fullmatch(request.host) is not None


def caller() -> Caller:
    """Return the caller of the current request."""
    return cast(Caller, g.caller)


def can_see_job(session: Session, job_id: str) -> bool:
    """Return whether the job exists and the caller may see it. Expired jobs count as visible."""
    job = jobs.get(session, job_id)
    return job is not None and job.deleted_at is None and caller().sees(job.key_id, job.id)


def require_job(session: Session, job_id: str) -> Job:
    """Return a job that the caller may see.

    Raises:
        Problem: 404, the caller may see no such job; 410, the job has expired.
    """
    return _require_visible(jobs.get(session, job_id), job_id)


def lock_job(session: Session, job_id: str) -> Job:
    """Return the job like `require_job`, and lock its row until the end of the transaction."""
    return _require_visible(lifecycle.lock_job(session, job_id), job_id)


def require_item(session: Session, item_id: str) -> Item:
    """Return an item that the caller may see. Raises the same problems as `require_job`."""
    item = items.get(session, item_id)
    known = caller()
    if item is None or item.job.deleted_at is not None:
        raise not_found_problem("item", item_id)
    if known.signed_item != item.id and not known.sees(item.job.key_id, item.job_id):
        raise not_found_problem("item", item_id)
    _check_not_expired(item.job)
    return item


def _require_visible(job: Job | None, job_id: str) -> Job:
    if job is None or job.deleted_at is not None or not caller().sees(job.key_id, job.id):
        raise not_found_problem("job", job_id)
    _check_not_expired(job)
    return job


def _check_not_expired(job: Job) -> None:
    if job.expired(utc_now()):
        expired_at = rfc3339(job.expires_at) if job.expires_at else ""
        detail = f"Job {job.id!r} expired at {expired_at}. Its items and pictures have been deleted."
        raise Problem(410, "expired", detail)


def require_version(session: Session, name: str, version: str) -> ModelVersion:
    """Return a model version.

    Raises:
        Problem: 404, there is no such version.
    """
    row = model_versions.find(session, ModelRef(name, version))
    if row is None:
        raise not_found_problem("model", f"{name}/{version}")
    return row


def check_visitor_model(session: Session, version: ModelVersion) -> None:
    """Check that a visitor asks for the model of the job that is shared with it. Keys may see all models.

    Raises:
        Problem: 404, it is another model.
    """
    if caller().is_visitor and require_job(session, str(caller().shared_job)).model_version_id != version.id:
        raise not_found_problem("model", version.ref)


def _record_key_use(response: Response) -> Response:
    key_id = g.caller.key_id if "caller" in g else None
    write = current_services().callers.due_use_update(key_id) if key_id else None
    if write is not None:
        # The write may wait for other writers. It therefore runs after the client has received the answer.
        response.call_on_close(write)
    return response
