"""Names and texts from strangers. They are text to display, and never paths."""

from __future__ import annotations

import re

MAX_NAME = 500
"""Maximum number of characters of a name. Longer names are cut, because people read them."""
_END_OF_NAME = 100
"""Characters at the end of a longer name that are kept. They tell more than the folders, and end with the suffix."""

_SEPARATORS = re.compile(r"[/\\]")
_DRIVE = re.compile(r"[A-Za-z]:")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
"""NUL, which PostgreSQL cannot store in a text, and surrogates, which UTF-8 cannot encode."""
_PICTURE_NAME = re.compile(
    r".*\.(jpe?g|jpe|jfif|png|webp|gif|avif|bmp|dib|tiff?|heic|heif|jp2|j2k|jpx|jxl|svg|psd|eps|ico|dng|cr2|cr3|nef|arw)",
    re.I | re.S,
)
_DOCUMENT_NAME = re.compile(r".*\.(xlsx|xlsm|docx|pptx|ods|odt|csv|tsv|jsonl?|txt|xml|html?|md)", re.I | re.S)
"""Some of these documents are ZIP files. They are no archives to their owners."""
_PICTURE_START = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|BM....\x00{4}|II\*\x00|MM\x00\*|RIFF....WEBP|8BPS|\xff\x0a|\xff\x4f\xff\x51"
    rb"|\x00\x00\x00\x0c(?:JXL |jP  )|....ftyp(?:avi[fs]|hei[cxms]|hev[cx]|mi[af]f|mif1|msf1)",
    re.S,
)
"""The first bytes of pictures."""
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx"}
_NAME_ENCODINGS = ("utf-8", "cp949", "cp437")
"""Encodings to try if an archive does not name one. macOS uses UTF-8, a Korean Windows uses CP949, and DOS uses CP437,
which can decode any bytes."""


def same_path(name: str) -> str:
    """Return a text that is the same for all spellings of one path: `a/b`, `./a//b` and `a\\b`."""
    return "/".join(part for part in _SEPARATORS.split(name) if part not in ("", "."))


def storable(text: str) -> str:
    """Return the text with U+FFFD in place of each character that cannot be stored."""
    return _UNSTORABLE.sub("\ufffd", text)


def display_name(text: str) -> str:
    """Return a name in the form in which it is stored and displayed."""
    cleaned = storable(text)
    if len(cleaned) <= MAX_NAME:
        return cleaned
    return f"{cleaned[: MAX_NAME - 1 - _END_OF_NAME]}…{cleaned[-_END_OF_NAME:]}"


def decode_name(raw: bytes) -> str:
    """Decode a name whose encoding is unknown."""
    for encoding in _NAME_ENCODINGS:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AssertionError("cp437 has a character for every byte")


def unsafe_name_reason(name: str) -> str | None:
    """Return why it would be unsafe to unpack a member to a path of this name, or None if it would be safe."""
    parts = _SEPARATORS.split(name)
    if not name:
        return "expected a name, got an empty one"
    if "\x00" in name:
        return "expected a name without NUL characters, at which some programs end it"
    if parts[0] == "":
        return "expected a relative name, got an absolute one"
    if _DRIVE.match(name):
        return "expected a relative name, got one with a drive letter"
    if ".." in parts:
        return "expected a name inside the archive, got one that leads out of it (..)"
    return None


def is_system_file(name: str) -> bool:
    """Return whether an operating system added the file: `__MACOSX/`, `Thumbs.db`, and names that begin with a dot."""
    return any(
        part.lower() in _SYSTEM_FILES or (part.startswith(".") and part not in {".", ".."})
        for part in _SEPARATORS.split(name)
    )


def is_other_file(name: str, head: bytes) -> bool:
    """Return whether a file among pictures is none: neither its name nor its first bytes are those of a picture.

    An archive inside the archive is not such a file, because it may hold pictures.
    """
    return not (_PICTURE_NAME.fullmatch(name) or _PICTURE_START.match(head))


def is_document(name: str) -> bool:
    """Return whether a file has the name of a table or a document."""
    return _DOCUMENT_NAME.fullmatch(name) is not None
