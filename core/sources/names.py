"""Names from outside: text to show, never paths. What is said of them here is said of text, too."""

from __future__ import annotations

import re

MAX_NAME = 500
"""A name is cut to so many characters: it is to be read by people."""

_SEPARATORS = re.compile(r"[/\\]")
_DRIVE = re.compile(r"[A-Za-z]:")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
"""What PostgreSQL keeps in no text, and what no text in UTF-8 holds."""
_LITTER = {"thumbs.db", "desktop.ini", "__macosx"}
_FOREIGN = ("utf-8", "cp949", "cp437")
"""What names may be written in whose archive does not say: macOS, a Korean Windows, or (it takes anything) DOS."""


def clean(text: str) -> str:
    """The text with U+FFFD for what cannot be stored."""
    return _UNSTORABLE.sub("\ufffd", text)


def display_name(text: str) -> str:
    """A name as it is stored and shown."""
    cleaned = clean(text)
    return cleaned if len(cleaned) <= MAX_NAME else cleaned[: MAX_NAME - 1] + "…"


def decoded(raw: bytes) -> str:
    """A name of unknown encoding."""
    for encoding in _FOREIGN:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AssertionError("cp437 gives every byte a character")


def danger(name: str) -> str | None:
    """Why a program that unpacked a member to its name would write where it should not; None if it would not."""
    parts = _SEPARATORS.split(name)
    if not name:
        return "expected a name, got an empty one"
    if parts[0] == "":
        return "expected a name within the archive, got an absolute one"
    if _DRIVE.match(name):
        return "expected a name within the archive, got one with a drive letter"
    if ".." in parts:
        return "expected a name within the archive, got one that leads out of it (..)"
    return None


def is_litter(name: str) -> bool:
    """Whether an operating system put it there: `__MACOSX/`, `Thumbs.db`, and all that begins with a dot."""
    return any(
        part.lower() in _LITTER or (part.startswith(".") and part not in {".", ".."})
        for part in _SEPARATORS.split(name)
    )
