"""Members of archives, whatever kind of archive it is: what is taken from them, and what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.errors import ArchiveUnsafe, ItemError, NotAnImage, SourceEnded, TooLarge
from core.sources.names import clean, danger, display_name, is_litter

MAX_RATIO = 100
"""A member that is so many times larger than its compressed bytes is no picture, but meant to fill disks."""
RATIO_FROM = 1024 * 1024
"""Smaller ones may be: an icon of one colour is no attack."""

_KINDS = {
    b"PK\x03\x04": "ZIP",
    b"PK\x05\x06": "ZIP",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "XZ",
}
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much of an archive is read."""

    members: int
    member_bytes: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive: its bytes, or why they are not to be had, or neither: it is passed over.

    Its bytes can be read until the next member is asked for. Reading them raises an `ItemError` that is the member's
    own, or `SourceEnded`: then there are no further members, either.
    """

    name: str
    pieces: Callable[[], Iterator[bytes]] | None = None
    error: ItemError | None = None


def kind_of(head: bytes) -> str | None:
    """What kind of archive begins like that (compressed files are some, too); None if it is none that is known."""
    if head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
        return "TAR"
    return next((kind for magic, kind in _KINDS.items() if head.startswith(magic)), None)


class Gatekeeper:
    """Judges the members of one archive, which come in their order."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self.limits = limits
        self._seen: set[bytes] = set()
        self._count = 0

    def judge(
        self, name: str, *, is_folder: bool, refusal: str | None, pieces: Callable[[], Iterator[bytes]]
    ) -> Member:
        """A member as it is handed on. `refusal`: what its kind of archive has against it.

        Raises:
            SourceEnded: there are more members than may be.
        """
        self._count += 1
        if self._count > self.limits.members:
            raise too_many_members(self.limits.members)
        shown = display_name(name)
        reason = danger(name)
        if reason is None and (is_folder or is_litter(name)):
            return Member(shown)
        reason = reason or refusal or self._twin(name)
        if reason is not None:
            return Member(shown, error=ArchiveUnsafe(reason))
        return Member(shown, pieces=lambda: _picture(pieces(), self.limits.member_bytes))

    def _twin(self, name: str) -> str | None:
        # Names may be long, and there may be many: their digests take up little.
        digest = hashlib.blake2b(clean(name).encode(), digest_size=16).digest()
        if digest in self._seen:
            return "expected every name once, and an earlier member has this one"
        self._seen.add(digest)
        return None


def too_many_members(limit: int) -> SourceEnded:
    return SourceEnded(ArchiveUnsafe(f"expected at most {limit:,} members, got more"))


def check_ratio(taken: int, given: int) -> None:
    """Raises ArchiveUnsafe if `given` bytes are too many to come out of `taken`."""
    if given > RATIO_FROM and given > MAX_RATIO * taken:
        raise ArchiveUnsafe(f"expected at most {MAX_RATIO} times its compressed size, got more: it is no picture")


def _picture(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """The pieces of what can be a picture: not empty, not too large, and no archive itself."""
    size = 0
    for piece in pieces:
        if size == 0 and (kind := kind_of(piece)) is not None:
            raise ArchiveUnsafe(f"expected a picture, got an archive ({kind}) within the archive: it is not opened")
        size += len(piece)
        if size > limit:
            raise TooLarge(f"expected at most {limit:,} bytes, got more")
        yield piece
    if size == 0:
        raise NotAnImage("expected a picture, got an empty file")
