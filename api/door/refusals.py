"""Answers to requests whose caller is not known."""

from __future__ import annotations

from datetime import datetime

from api.answers.problems import Problem
from core.clock import rfc3339

CHALLENGE = 'Bearer realm="Lookbook"'


class AuthenticationProblem(Problem):
    """The caller is unknown."""


class KeyRequired(AuthenticationProblem):
    """401: the request has no key."""

    def __init__(self) -> None:
        detail = "This request needs an API key: `Authorization: Bearer lb_…`."
        super().__init__(401, "key_required", detail, headers={"WWW-Authenticate": CHALLENGE})


class BadKey(AuthenticationProblem):
    """401: the request has a key that is unknown or revoked."""

    def __init__(self) -> None:
        challenge = f'{CHALLENGE}, error="invalid_token"'
        detail = "This API key is unknown or was revoked."
        super().__init__(401, "invalid_key", detail, headers={"WWW-Authenticate": challenge})


class DeadLink(AuthenticationProblem):
    """The link with which the request came shows no job."""


class ShareEnded(DeadLink):
    """The link with which the request came has expired or was revoked, or its job was deleted."""

    def __init__(self, status: int) -> None:
        detail = "The link to this job has expired, or it was revoked. Ask for a new one, or sign in with a key."
        headers = {"WWW-Authenticate": CHALLENGE} if status == 401 else {}
        super().__init__(status, "share_ended", detail, headers=headers)


class UnknownShare(DeadLink):
    """404: no link with this token was ever created."""

    def __init__(self) -> None:
        super().__init__(404, "unknown_share", "There is no such link to a job. It may be incomplete or mistyped.")


class BadSignature(AuthenticationProblem):
    """403: this installation has not signed the URL of a picture as it was sent."""

    def __init__(self) -> None:
        detail = "The signature does not fit this picture URL. It is incomplete, was changed, or is of another service."
        super().__init__(403, "bad_signature", detail)


class PictureUrlExpired(AuthenticationProblem):
    """403: the signed URL of a picture has expired."""

    def __init__(self, expired_at: datetime) -> None:
        detail = f"This picture URL expired at {rfc3339(expired_at)}. Ask for a new one, or send an API key."
        super().__init__(403, "picture_url_expired", detail)
