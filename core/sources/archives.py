"""Archives of pictures: ZIP, and TAR without compression or in gzip, bzip2 or XZ.

The content of a file decides its kind, not its name. No member is ever unpacked to a path, and only one block at a time
is in memory.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO

from core.item_errors import ArchiveUnsafe, SourceEnded
from core.sources.members import ArchiveLimits, Gatekeeper, Member, archive_kind
from core.sources.tars import tar_members
from core.sources.unpacking import UnpackedStream, compression_of
from core.sources.zips import zip_members

__all__ = ["ArchiveLimits", "Member", "archive_members", "is_read_in_order"]

HEAD_BYTES = tarfile.BLOCKSIZE
"""Number of bytes at the beginning of a file that show which kind of archive it is."""
_UNSUPPORTED_KINDS = {"7z", "RAR", "Zstandard"}


def is_read_in_order(head: bytes) -> bool:
    """Return whether the archive is read from front to back. All other archives need random access to the file."""
    return compression_of(head) is not None or _is_tar(head)


def archive_members(file: IO[bytes], limits: ArchiveLimits) -> Iterator[Member]:
    """Yield the members of an archive. Every reading yields the same members in the same order.

    Raises:
        SourceEnded: the archive, or the rest of it, cannot be read.
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    gatekeeper = Gatekeeper(limits)
    if is_read_in_order(head):
        return tar_members(UnpackedStream(file, compression_of(head), limits.unpacked_bytes), gatekeeper)
    kind = archive_kind(head)
    if kind in _UNSUPPORTED_KINDS:
        raise SourceEnded(ArchiveUnsafe(f"expected a ZIP or TAR file, got {kind}"))
    return zip_members(file, gatekeeper)


def _is_tar(head: bytes) -> bool:
    """Return whether a file is a TAR file.

    Its magic number shows it. The oldest TAR files have none, so that the checksum of the first header decides.
    """
    if archive_kind(head) == "TAR":
        return True
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
