"""Identifiers: their text means nothing to clients, they sort by creation time, and a prefix names their type."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from ulid import ULID

Prefix = Literal[
    "job", "itm", "chk", "prd", "wrk", "dlv", "key", "rev", "rgn", "shr", "prv", "shd", "map", "sea", "lsn"
]


def new_id(prefix: Prefix) -> str:
    """Return a new identifier such as `job_01k…`: the prefix and a lower-case ULID (48 time bits, 80 random bits)."""
    return f"{prefix}_{str(ULID()).lower()}"


def first_id(prefix: Prefix, at: datetime) -> str:
    """Return a text that sorts before all identifiers of this time or later, and after all earlier ones."""
    milliseconds = int(at.timestamp() * 1000)
    return f"{prefix}_{str(ULID.from_bytes(milliseconds.to_bytes(6) + bytes(10))).lower()}"
