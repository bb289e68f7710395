"""The names of files in multipart bodies. Clients write them in many ways, and none of them is a reason to refuse."""

from __future__ import annotations

import re
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import collapse_rfc2231_value

from multipart import MultipartSegment

from core.sources.names import decode_name, display_name

HEADER_CHARSET = "latin-1"
"""Headers are read byte by byte, because their encoding is not known: RFC 7578 asks for UTF-8, an old Korean Windows
sends CP949."""

_ENCODED_WORDS = re.compile(r"(=\?[^?\s]+\?[BbQq]\?[^?]*\?=\s*)+")

_DAMAGED = (MessageError, LookupError, ValueError, TypeError)
"""The errors of the standard library for parameters that contradict each other, and for encodings that do not exist."""


def field_name(segment: MultipartSegment) -> str:
    """Return the name of the form field of a part."""
    return _decoded(segment.name or "")


def file_name(segment: MultipartSegment) -> str | None:
    """Return the name of the file of a part as it is displayed, or None for a part that is no file.

    `filename*` (RFC 5987) goes before `filename`, because a client that sends both sends the second for old servers.
    """
    extended = _extended_name(segment.header("Content-Disposition") or "")
    if extended is not None:
        return display_name(extended)
    if segment.filename is None:
        return None
    return display_name(_without_encoded_words(_decoded(segment.filename)))


def _decoded(text: str) -> str:
    """Return the text of bytes that were read as `HEADER_CHARSET`."""
    return decode_name(text.encode(HEADER_CHARSET))


def _extended_name(disposition: str) -> str | None:
    if "*" not in disposition:
        return None
    message = Message()
    message["Content-Disposition"] = disposition
    try:
        parameters = message.get_params([], "content-disposition")
    except _DAMAGED:
        return None
    for name, value in parameters:
        if name.lower() == "filename" and isinstance(value, tuple):
            try:
                return collapse_rfc2231_value(value)
            except _DAMAGED:
                return str(value[2])
    return None


def _without_encoded_words(name: str) -> str:
    """Return a name that is written as in the header of an e-mail (RFC 2047) as text, and others unchanged."""
    if not _ENCODED_WORDS.fullmatch(name):
        return name
    try:
        return str(make_header(decode_header(name)))
    except _DAMAGED:
        return name
