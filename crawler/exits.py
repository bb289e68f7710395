"""How a crawl's process ends: its exit codes, which the worker that started it reads."""

from __future__ import annotations

import os
import sys
from enum import IntEnum
from typing import NoReturn


class CrawlExit(IntEnum):
    """Exit codes of `python -m crawler`. 1 and 2 are left to Python: an uncaught error, and wrong options."""

    ENDED = 0
    """The crawl is finished, or was stopped by SIGTERM."""
    LEASE_LOST = 3
    """The job is canceled, or another worker crawls for it."""
    OUTAGE = 4
    """The database or the blob store was down or full. This does not count as a failed attempt."""
    ORPHANED = 5
    """The worker that started the process is gone."""
    FAILED = 6
    """The crawl failed with an error, which the database has already."""


def end_process(code: CrawlExit) -> NoReturn:
    """End the process at once, without waiting for its threads."""
    sys.stderr.flush()
    os._exit(code)
