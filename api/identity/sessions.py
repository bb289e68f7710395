"""Sessions of the web pages. A browser that signs in with a key gets cookies in place of the key.

The session cookie is signed and names the key. Each request checks whether that key is still valid, and whether the
browser has signed out. A second cookie,
which the scripts of the pages can read, holds a token. The scripts send it back in a header with each request that
changes something: another site can make a browser send cookies, but it can neither read them nor set that header.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from flask import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from core.clock import utc_now
from db.access import ended_sessions
from db.access.secrets import get_or_create_secret
from db.database import Database

SESSION_COOKIE = "lookbook_session"
TOKEN_COOKIE = "lookbook_csrf"
TOKEN_HEADER = "X-CSRF-Token"

SESSION_SECONDS = 7 * 24 * 3600
"""How long a session lasts unless the browser signs out before."""
_SECRET_NAME = "sessions"
_SAME_SITE = "Lax"
"""Lax and not Strict, so that a link to a job in an e-mail or chat opens the job and not the login page.

Requests that change something also need the token."""


@dataclass(frozen=True, slots=True)
class WebSession:
    """The key that signed in, and the token that requests must send if they change something."""

    key_id: str
    token: str

    def has_token(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request's headers hold the token, which only Lookbook's own pages know."""
        return hmac.compare_digest(headers.get(TOKEN_HEADER, "").encode(), self.token.encode())


class Sessions:
    """Creates and reads the cookies of one installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def _signer(self) -> URLSafeTimedSerializer:
        # Read at first use, because the database may not answer yet when the process starts.
        secret = get_or_create_secret(self._database, _SECRET_NAME, lambda: secrets.token_urlsafe(32))
        return URLSafeTimedSerializer(secret, salt="session", signer_kwargs={"digest_method": hashlib.sha256})

    def read(self, request: Request) -> WebSession | None:
        """Return the session of a request. None: it has no session, or one that has ended or was not created here."""
        cookie = request.cookies.get(SESSION_COOKIE)
        if cookie is None:
            return None
        try:
            key_id, token = self._signer.loads(cookie, max_age=SESSION_SECONDS)
        except (BadSignature, ValueError):
            return None
        return None if self._has_ended(token) else WebSession(key_id, token)

    def _has_ended(self, token: str) -> bool:
        # Every request asks the database, so that a session ends at once in all processes.
        with self._database.reading() as session:
            return ended_sessions.has_ended(session, _digest(token))

    def begin(self, response: Response, key_id: str, *, secure: bool) -> None:
        """Set the cookies of a new session in `response`. `secure`: the browser uses HTTPS."""
        token = secrets.token_urlsafe(32)
        cookies = {SESSION_COOKIE: self._signer.dumps([key_id, token]), TOKEN_COOKIE: token}
        for name, value in cookies.items():
            response.set_cookie(
                name,
                str(value),
                max_age=SESSION_SECONDS,
                secure=secure,
                httponly=name == SESSION_COOKIE,
                samesite=_SAME_SITE,
            )

    def end(self, request: Request, response: Response) -> None:
        """End the session of a request, if it has one, and delete its cookies with `response`.

        From then on no process accepts a copy of the cookie.
        """
        ending = self.read(request)
        if ending is not None:
            with self._database.writing() as session:
                ended_sessions.end(session, _digest(ending.token), utc_now() + timedelta(seconds=SESSION_SECONDS))
        response.delete_cookie(SESSION_COOKIE, samesite=_SAME_SITE, httponly=True)
        response.delete_cookie(TOKEN_COOKIE, samesite=_SAME_SITE)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
