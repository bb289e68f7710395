"""Compression of pages, scripts, styles and JSON, by Brotli or gzip as the client prefers.

Pictures and exports are sent as they are: pictures are compressed already, and the rows of an export must reach the
client while the next ones are read.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol, runtime_checkable

from flask import Flask, Response
from flask_compress import Compress

_MEDIA_TYPES = [
    "text/html",
    "text/css",
    "text/plain",
    "text/javascript",
    "application/javascript",
    "application/json",
    "image/svg+xml",
]
_MIN_BYTES = 1400
"""Shorter answers fit into one packet (an Ethernet frame carries 1,460 bytes of TCP), so compressing saves no time."""
_BROTLI_WINDOW = 18
"""256 KiB. A larger window makes no answer smaller here, and its memory takes longer to prepare than to fill."""


@runtime_checkable
class Closable(Protocol):
    def close(self) -> None: ...


def compress_answers(app: Flask) -> None:
    """Compress the answers of the application. Call it before other functions are registered to change answers."""
    app.config.update(
        COMPRESS_REGISTER=False,
        COMPRESS_MIMETYPES=_MEDIA_TYPES,
        COMPRESS_MIN_SIZE=_MIN_BYTES,
        COMPRESS_BR_WINDOW=_BROTLI_WINDOW,
        COMPRESS_ALGORITHM=["br", "gzip"],
        COMPRESS_ALGORITHM_STREAMING=["br", "gzip"],
    )
    compress = Compress(app)

    @app.after_request
    def compress_answer(response: Response) -> Response:
        if response.status_code == HTTPStatus.PARTIAL_CONTENT:
            # A part of a file has to stay a part of the file, not of its compressed form.
            return response
        body = response.response
        answer = compress.after_request(response)
        if answer.response is not body and isinstance(body, Closable):
            # The library reads the file of the plain answer and leaves it open.
            answer.call_on_close(body.close)
        return answer
