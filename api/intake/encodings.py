"""Request bodies with a Content-Encoding: gzip is unpacked while it is read, and everything else is refused."""

from __future__ import annotations

import io
from typing import IO, Any

from flask import Request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from api.answers.problems import Problem
from core.item_errors import ItemError, SourceEnded
from core.sources.members import check_ratio
from core.sources.unpacking import UnpackedStream, compression_of

_GZIP_MAGIC = b"\x1f\x8b\x08"
_PACKABLE = {"application/json", "multipart/form-data"}
"""Bodies that may be compressed. Pictures are compressed already."""


def unpack_body(request: Request) -> None:
    """Have the body of a request unpacked while it is read, if its Content-Encoding says that it is compressed.

    `max_content_length` of the request then limits what it unpacks to.

    Raises:
        Problem: 415, the encoding is not accepted.
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return
    if encoding not in {"gzip", "x-gzip"} or request.mimetype not in _PACKABLE:
        raise Problem(
            415,
            "unsupported_media_type",
            f"Expected no Content-Encoding, or gzip with {' or '.join(sorted(_PACKABLE))}; got {encoding[:40]!r} with "
            f"{request.mimetype or 'no Content-Type'}.",
            headers={"Accept-Encoding": "gzip"},
        )
    is_json = request.mimetype == "application/json"
    limit = request.max_content_length or 2**62
    # Werkzeug ends a body silently at exactly its maximum length. Therefore the unpacked one ends before.
    packed = io.BufferedReader(_Unpacked(request.environ["wsgi.input"], limit - 1, check=not is_json))
    # The length of the body is that of the compressed bytes, and the unpacked ones have no known length.
    request.environ |= {"wsgi.input": packed, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a gzip body."""

    def __init__(self, body: IO[bytes], limit: int, *, check: bool) -> None:
        self._limit = limit
        self._check = check
        self._stream = UnpackedStream(body, compression_of(_GZIP_MAGIC), limit)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self._stream.read(len(buffer))
            if self._check:
                check_ratio(self._stream.bytes_read, self._stream.bytes_unpacked)
        except (SourceEnded, ItemError) as error:
            if self._stream.bytes_unpacked > self._limit or isinstance(error, ItemError):
                raise RequestEntityTooLarge(f"The body is too large: {error.detail}.") from error
            raise BadRequest("The body is not valid gzip, although its Content-Encoding says so.") from error
        buffer[: len(piece)] = piece
        return len(piece)
