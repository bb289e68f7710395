"""The rules for members that are the same for all kinds of archive: which are accepted, skipped or refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.item_errors import ArchiveUnsafe, EmptyFile, ItemError, SourceEnded, TooLarge
from core.sources.names import display_name, is_document, is_system_file, same_path, storable, unsafe_name_reason

MAX_COMPRESSION_RATIO = 100
"""Highest accepted ratio of unpacked to compressed bytes. A member above it is not a picture but an attempt to fill the
disk."""
RATIO_CHECKED_FROM = 1024 * 1024
"""Size in unpacked bytes from which the ratio is checked. A small icon of a single colour may exceed the ratio."""

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
    """How much of an archive is read: the number of members, and the bytes of each member and of all."""

    members: int
    member_bytes: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive. It has either bytes or an error. A folder and a file that is left out have neither.

    The bytes can be read only until the next member is requested. Reading them raises an `ItemError` if only this
    member is bad, or `SourceEnded` if the rest of the archive cannot be read either.
    """

    name: str
    pieces: Callable[[], Iterator[bytes]] | None = None
    error: ItemError | None = None
    left_out: bool = False
    """Whether it is a file that an operating system added."""


def archive_kind(head: bytes) -> str | None:
    """Return the kind of an archive or compressed file by its first bytes, or None if it is of no known kind."""
    if head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
        return "TAR"
    return next((kind for magic, kind in _KINDS.items() if head.startswith(magic)), None)


class Gatekeeper:
    """Decides about the members of one archive, in their order."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self.limits = limits
        self._seen: set[bytes] = set()
        self._count = 0

    def judge(
        self, name: str, *, is_folder: bool, refusal: str | None, pieces: Callable[[], Iterator[bytes]]
    ) -> Member:
        """Return the member for the next entry of the archive.

        `refusal`: the reason for which the reader of this kind of archive refuses the entry, or None.

        Raises:
            SourceEnded: the archive has more members than the limit.
        """
        self._count += 1
        if self._count > self.limits.members:
            raise too_many_members(self.limits.members)
        shown = display_name(name)
        reason = unsafe_name_reason(name)
        if reason is None and (is_folder or is_system_file(name)):
            return Member(shown, left_out=not is_folder)
        reason = reason or refusal or self._repeated_name(name)
        if reason is not None:
            return Member(shown, error=ArchiveUnsafe(reason))
        return Member(shown, pieces=lambda: _picture(pieces(), self.limits.member_bytes, is_document=is_document(name)))

    def _repeated_name(self, name: str) -> str | None:
        # An archive can have many long names. Their digests take less memory.
        digest = hashlib.blake2b(storable(same_path(name)).encode(), digest_size=16).digest()
        if digest in self._seen:
            return "expected every name once, but an earlier member has the same name"
        self._seen.add(digest)
        return None


def too_many_members(limit: int) -> SourceEnded:
    return SourceEnded(ArchiveUnsafe(f"expected at most {limit:,} members, got more"))


def check_ratio(compressed: int, unpacked: int) -> None:
    """Raise ArchiveUnsafe if too many bytes were unpacked from this number of compressed bytes."""
    if unpacked > RATIO_CHECKED_FROM and unpacked > MAX_COMPRESSION_RATIO * compressed:
        raise ArchiveUnsafe(f"expected at most {MAX_COMPRESSION_RATIO} times its compressed size, got more")


def _picture(pieces: Iterator[bytes], limit: int, *, is_document: bool) -> Iterator[bytes]:
    """Yield the pieces of a member and check that it can be a picture: not empty, not too large, and not an archive.

    A workbook is an archive to programs, but a document to people.
    """
    size = 0
    for piece in pieces:
        if size == 0 and not is_document and (kind := archive_kind(piece)) is not None:
            raise ArchiveUnsafe(f"expected a picture, got an archive ({kind}) inside the archive")
        size += len(piece)
        if size > limit:
            raise TooLarge(f"expected at most {limit:,} bytes, got more")
        yield piece
    if size == 0:
        raise EmptyFile("expected a picture, got an empty file")
