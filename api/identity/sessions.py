"""Sessions of the web pages: whoever signs in with a key holds a cookie instead of it.

The cookie says, signed, which key it stands for; whether that key is still good is asked with every request. A second
one, which the pages' scripts can read, holds the token that they send back with everything that changes something:
another site can make a browser send cookies, but it can neither read them nor set that header.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from flask import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from db.access.secrets import get_or_create_secret
from db.database import Database

SESSION_COOKIE = "lookbook_session"
TOKEN_COOKIE = "lookbook_csrf"
TOKEN_HEADER = "X-CSRF-Token"

SESSION_SECONDS = 7 * 24 * 3600
"""How long a session lasts if nobody signs out."""
_SECRET_NAME = "sessions"
_SAME_SITE = "Lax"
"""Not Strict: a link to a job, in a letter or a chat, is to lead to it and not to the door.

What changes something needs the token besides."""


@dataclass(frozen=True, slots=True)
class WebSession:
    """Who signed in, and the token that has to come with whatever changes something."""

    key_id: str
    token: str

    def sent_by_our_pages(self, headers: Mapping[str, str]) -> bool:
        return hmac.compare_digest(headers.get(TOKEN_HEADER, "").encode(), self.token.encode())


class Sessions:
    """Makes and reads the cookies of one installation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def _signer(self) -> URLSafeTimedSerializer:
        # Not before the first is needed: at the start the database may be away.
        secret = get_or_create_secret(self._database, _SECRET_NAME, lambda: secrets.token_urlsafe(32))
        return URLSafeTimedSerializer(secret, salt="session", signer_kwargs={"digest_method": hashlib.sha256})

    def read(self, request: Request) -> WebSession | None:
        """The session of a request; None if it has none, or one that is over or was not made here."""
        cookie = request.cookies.get(SESSION_COOKIE)
        if cookie is None:
            return None
        try:
            key_id, token = self._signer.loads(cookie, max_age=SESSION_SECONDS)
        except (BadSignature, ValueError):
            return None
        return WebSession(key_id, token)

    def begin(self, response: Response, key_id: str, *, secure: bool) -> None:
        """Give the browser that gets `response` a session; `secure`: it speaks HTTPS."""
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

    @staticmethod
    def end(response: Response) -> None:
        """Take the session from the browser that gets `response`."""
        response.delete_cookie(SESSION_COOKIE, samesite=_SAME_SITE, httponly=True)
        response.delete_cookie(TOKEN_COOKIE, samesite=_SAME_SITE)
