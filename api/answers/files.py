"""Pictures as answers: browsers keep them, but ask each time whether they may still show them."""

from __future__ import annotations

from http import HTTPStatus
from typing import IO

from flask import Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wsgi import FileWrapper

_BLOCK = 64 * 1024


def is_current(etag: str) -> bool:
    """Return whether the client has the picture of this ETag already. Call it after the caller's rights are checked."""
    return request.if_none_match.contains_weak(etag)


def not_modified(etag: str) -> Response:
    """Return the answer to a client that has the picture already."""
    return revalidated(Response(status=HTTPStatus.NOT_MODIFIED), etag)


def revalidated(response: Response, etag: str) -> Response:
    """Let the browser keep a picture, and have it ask before each use.

    A session that has ended, a revoked key or a removed job then also ends what the browser shows.
    """
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(etag)
    return response


def send_range(file: IO[bytes], size: int, media_type: str, etag: str) -> Response:
    """Return a file of `size` bytes, or the part that the Range header asks for. The answer closes the file.

    Raises:
        RequestedRangeNotSatisfiable: the file has no such part.
    """
    if request.method == "HEAD":
        # Werkzeug does not close the body of an answer that it does not send.
        file.close()
    response = Response(FileWrapper(file, _BLOCK), mimetype=media_type, direct_passthrough=True)
    response.content_length = size
    revalidated(response, etag)
    asked = request.range
    if asked is not None and (asked.units != "bytes" or len(asked.ranges) > 1):
        # A server may ignore a Range header (RFC 9110, section 14.2). No browser asks for several parts of a picture.
        response.accept_ranges = "bytes"
        return response
    try:
        response.make_conditional(request, accept_ranges=True, complete_length=size)
    except RequestedRangeNotSatisfiable:
        file.close()
        raise
    return response
