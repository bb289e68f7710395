"""Pictures inside JSON: a data URL (RFC 2397) or plain Base64."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from api.intake.uploads import UploadStream, current_uploads
from core.errors import quoted_excerpt
from core.item_errors import ItemError, NotAnImage
from db.steps.submitting import StoredBlob

_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.I)
_URL_SAFE = str.maketrans("-_", "+/")
_SPACE = re.compile(r"\s+")


def store_inline(texts: Sequence[str | None]) -> list[StoredBlob | ItemError | None]:
    """Store pictures that are given as text. Return the blob or the error of each, and None for each that is None.

    Raises:
        StorageFull, BlobStoreUnavailable: no picture can be stored.
    """
    received = [None if text is None else _receive(text) for text in texts]
    current_uploads().store([stream for stream in received if isinstance(stream, UploadStream)])
    return [stream.blob if isinstance(stream, UploadStream) else stream for stream in received]


def _receive(text: str) -> UploadStream | ItemError:
    try:
        data = _decode(text)
    except ItemError as error:
        return error
    stream = current_uploads().open_stream()
    stream.write(data)
    stream.seek(0)
    return stream.find_error() or stream


def _decode(text: str) -> bytes:
    start = text.lstrip()[:300]
    match = _DATA_URL.match(start)
    if match is None and start.lower().startswith(("data:", "http:", "https:")):
        raise NotAnImage(f"image: expected a data URL with base64, or Base64, got {quoted_excerpt(start[:60])}")
    encoded = _SPACE.sub("", text.lstrip()[match.end() if match else 0 :]).translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError as error:  # `binascii.Error`, or a character beyond ASCII
        raise NotAnImage(f"image: expected a data URL with base64, or Base64: {error}") from error
