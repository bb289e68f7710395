"""Text search that is blind to case and to how characters are composed, in every script."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_TEXT = 1000
"""Maximum number of characters in which an item is searched."""

_SCHEME = re.compile(r"^\s*https?://", re.I)


def folded(text: str) -> str:
    """Return a text in the form in which texts are compared (Unicode 16, 3.13, D146: compatibility caseless)."""
    composed = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold())
    return unicodedata.normalize("NFKC", composed.casefold())


def searchable(texts: Iterable[str | None]) -> str:
    """Return the text in which an item is searched: its texts, each once, on lines of their own."""
    lines = dict.fromkeys(folded(_SCHEME.sub("", text)) for text in texts if text)
    return "\n".join(lines)[:MAX_TEXT]


def needle(query: str) -> str:
    """Return a query in the form of `searchable`."""
    return folded(_SCHEME.sub("", query)).strip()
