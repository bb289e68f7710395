"""Archives of pictures: ZIP, and TAR plain or in gzip, bzip2 or XZ. Told by their content, never by their name.

Nothing is ever unpacked to a path, and no more than a block is held in memory.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO

from core.errors import ArchiveUnsafe, SourceEnded
from core.sources.members import ArchiveLimits, Gatekeeper, Member, kind_of
from core.sources.tars import tar_members
from core.sources.unpacking import Unpacked, compression_of
from core.sources.zips import zip_members

__all__ = ["ArchiveLimits", "Member", "archive_members", "is_read_in_order"]

HEAD_BYTES = tarfile.BLOCKSIZE
"""So many bytes tell what kind of archive it is."""
_NOT_READ = {"7z", "RAR", "Zstandard"}


def is_read_in_order(head: bytes) -> bool:
    """Whether an archive that begins like that is read from front to back; if not, it is sought in."""
    return compression_of(head) is not None or _is_tar(head)


def archive_members(file: IO[bytes], limits: ArchiveLimits) -> Iterator[Member]:
    """The members of an archive, the same in every reading of it.

    Raises:
        SourceEnded: it cannot be read (any further).
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    gatekeeper = Gatekeeper(limits)
    if is_read_in_order(head):
        return tar_members(Unpacked(file, compression_of(head), limits.unpacked_bytes), gatekeeper)
    kind = kind_of(head)
    if kind in _NOT_READ:
        raise SourceEnded(ArchiveUnsafe(f"expected a ZIP or TAR file, got {kind}"))
    return zip_members(file, gatekeeper)


def _is_tar(head: bytes) -> bool:
    """By its magic, or (of the oldest ones, which have none) by the checksum of its first header."""
    if kind_of(head) == "TAR":
        return True
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
