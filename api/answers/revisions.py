"""ETags of answers that change with a job, so that a client that polls gets 304 until then."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response, request


def etag_headers(revision: int | str) -> dict[str, str]:
    """Return the header with the ETag of a revision.

    It is weak, because the compressed and the plain answer have the same one.
    """
    return {"ETag": f'W/"{revision}"'}


def is_known(revision: int | str) -> bool:
    """Return whether the client has the answer of this revision already."""
    return request.if_none_match.contains_weak(str(revision))


def not_changed(revision: int | str) -> Response:
    """Return the answer to a client that has the answer of this revision already."""
    return Response(status=HTTPStatus.NOT_MODIFIED, headers=etag_headers(revision))
