"""Decides whether what a parser does with an input is a finding."""

from __future__ import annotations

import json
import re
import resource
import sys
import time
import traceback
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.fuzz.target import Target

MAX_INPUT = 64 * 1024
"""Size of the largest input in bytes. The two limits are for inputs of at most this size."""
MAX_SECONDS = 5.0
"""Processor time that one input may take."""
MAX_BYTES = 512 * 2**20
"""Memory that one input may take."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Broken(Exception):
    """A parser returned what it must never return."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What an input did that it must not do."""

    place: str
    """Where it happened. Two findings at one place are the same fault."""
    text: str


def judge(target: Target, data: bytes) -> Finding | None:
    """Give an input to the parser of a target, and return the finding, or None if all is well."""
    memory, started = _peak(), time.process_time()
    try:
        target.check(data)
    except Exception as error:  # noqa: BLE001 (any error that the target does not expect is a finding)
        frames = traceback.extract_tb(error.__traceback__)
        # An assertion of a target ends in its own file, and the reason tells the faults apart.
        place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno} {type(error).__name__}"
        if isinstance(error, Broken):
            place += f" {str(error).partition(':')[0]}"
        return Finding(place, "".join(traceback.format_exception(error)))
    seconds, grown = time.process_time() - started, _peak() - memory
    if seconds > MAX_SECONDS:
        return Finding("time", f"expected at most {MAX_SECONDS} s of processor time, got {seconds:.1f} s")
    if grown > MAX_BYTES:
        return Finding("memory", f"expected at most {MAX_BYTES:,} bytes of memory, got {grown:,}")
    return None


def expect(condition: bool, what: str) -> None:
    """Raise Broken unless the condition is true. What stands before a colon in `what` names the fault."""
    if not condition:
        raise Broken(what)


def expect_storable(value: object) -> None:
    """Raise Broken if a value that becomes part of an item cannot be stored in PostgreSQL."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise Broken(f"no JSON: {error} in {value!r}") from error
    # json escapes NUL and backslashes, and leaves surrogates as they are.
    found = _UNSTORABLE.search(text.replace("\\\\", "").replace("\\u0000", "\x00"))
    expect(found is None, f"not storable: {value!r}")


def expect_http(url: str) -> None:
    """Raise Broken unless a URL is an absolute one of http or https."""
    parts = urlsplit(url)
    expect(parts.scheme in {"http", "https"} and bool(parts.hostname), f"not http: {url!r}")
    expect_storable(url)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT
