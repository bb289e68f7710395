"""Identifiers: opaque to clients, sortable by time, with a prefix that says what they name."""

from __future__ import annotations

from typing import Literal

from ulid import ULID

Prefix = Literal["job", "itm", "chk", "prd", "wrk", "dlv", "key", "rev"]


def new_id(prefix: Prefix) -> str:
    """A new identifier such as `job_01k…`: the prefix and a ULID in lower case (48 bits of time, 80 of chance)."""
    return f"{prefix}_{str(ULID()).lower()}"
