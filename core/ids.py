"""Identifiers: their text means nothing to clients, they sort by creation time, and a prefix names their type."""

from __future__ import annotations

from typing import Literal

from ulid import ULID

Prefix = Literal["job", "itm", "chk", "prd", "wrk", "dlv", "key", "rev", "rgn", "shr", "prv"]


def new_id(prefix: Prefix) -> str:
    """Return a new identifier such as `job_01k…`: the prefix and a lower-case ULID (48 time bits, 80 random bits)."""
    return f"{prefix}_{str(ULID()).lower()}"
