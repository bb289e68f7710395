"""Word lists in readable form."""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text in order. A long list is easier to read without quotes around each word."""
    return tuple(text.split())
