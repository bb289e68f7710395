"""Signing in to the web pages with a key, and signing out."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, g, redirect, request
from flask.typing import ResponseReturnValue

from api.door.access import caller
from api.services import current_services
from api.views.pages import render_page

bp = Blueprint("signing", __name__)


@bp.get("/login")
def login_page() -> ResponseReturnValue:
    if "caller" in g:
        # The caller is signed in already, or the service is open and needs no sign-in.
        return redirect("/", HTTPStatus.SEE_OTHER)
    return render_page("login")


@bp.post("/session")
def sign_in() -> Response:
    """Start a session for the key in the body, `{"key": "lb_…"}`.

    The body is JSON, because forms of other sites cannot send JSON and so cannot sign a visitor in with a foreign key.
    `authenticate` in api/door/access.py has already checked the key.
    """
    response = Response(status=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})
    key_id = caller().key_id
    assert key_id is not None
    current_services().sessions.begin(response, key_id, secure=request.is_secure)
    return response


@bp.delete("/session")
def sign_out() -> Response:
    response = Response(status=HTTPStatus.NO_CONTENT)
    current_services().sessions.end(request, response)
    return response
