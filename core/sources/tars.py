"""Reads TAR files (POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU) from front to back, without seeking.

The reader of the standard library is not used. It holds extended headers of any length in memory, and it does not
notice that a file is incomplete. Only its parser for a single header block is used.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from tarfile import TarInfo

from core.item_errors import ArchiveUnsafe, SourceEnded
from core.sources.members import Gatekeeper, Member, check_ratio
from core.sources.names import decode_name
from core.sources.unpacking import BLOCK_BYTES, UnpackedStream

_HEADER_BYTES = tarfile.BLOCKSIZE
_MAX_EXTENSION = 1024 * 1024
"""Maximum size of an extended header in bytes. It contains the name and the attributes of one member."""
_MAX_SIZE_DIGITS = 20
"""Digits of the largest size that is taken for a number. Python refuses to convert more than some thousands."""
_PAX_RECORD = re.compile(rb"(\d{1,7}) ([^=]+)=")
_SPARSE_CONTINUES_AT = {True: 482, False: 504}
"""Position of the byte that says whether another block of the map of a sparse member follows. True: in the header.
False: in the other blocks."""
_REFUSED_TYPES = {
    tarfile.LNKTYPE: "a link",
    tarfile.SYMTYPE: "a link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    b"M": "the rest of a file from an archive of several volumes",
}


def tar_members(stream: UnpackedStream, gatekeeper: Gatekeeper) -> Iterator[Member]:
    """Yield the members of a TAR file in their order.

    Raises:
        SourceEnded: the file is damaged or incomplete, or it exceeds a limit.
    """
    reader = _Reader(stream)
    while (info := reader.next()) is not None:
        kind = _REFUSED_TYPES.get(info.type)
        yield gatekeeper.judge(
            info.name,
            is_folder=info.isdir(),
            refusal=f"expected a file, got {kind}" if kind else None,
            pieces=reader.pieces,
        )


class _Reader:
    """Reads one TAR file and keeps its position."""

    def __init__(self, stream: UnpackedStream) -> None:
        self._stream = stream
        self._unread = 0
        """Number of bytes of the present member that are still unread."""
        self._padding = 0
        self._doubtful = 0
        """Number of bytes that the present folder, link or device announces. Most programs write none of them."""

    def next(self) -> TarInfo | None:
        """Return the next member with the name and size from its extended headers, or None at the end of the file."""
        self._skip(self._unread + self._padding)
        self._unread = self._padding = 0
        name, size, sparse = None, None, False
        while (info := self._header()) is not None:
            if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
                text = self._extension(info).split(b"\x00", 1)[0]
                name = text if info.type == tarfile.GNUTYPE_LONGNAME else name
            elif info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                records = _pax_records(self._extension(info))
                name = records.get(b"path", name)
                size = records.get(b"size", size)
                sparse = any(key.startswith(b"GNU.sparse.") for key in records)
            elif info.type == tarfile.XGLTYPE:
                # A global header applies to all members, so it never has a name or a size.
                self._extension(info)
            else:
                return self._member(info, name, size, sparse=sparse)
        return None

    def _header(self) -> TarInfo | None:
        block = self._block()
        if self._doubtful and block.strip(b"\x00") and _parsed(block) is None:
            # The next block is no header, so the announced data exists.
            self._skip(self._doubtful + -self._doubtful % _HEADER_BYTES - _HEADER_BYTES)
            block = self._block()
        self._doubtful = 0
        is_behind_end = False
        while not block.strip(b"\x00"):
            # Zeros are the end mark. Another TAR file may be appended.
            is_behind_end = True
            block = self._stream.read_all(_HEADER_BYTES)
            if len(block) < _HEADER_BYTES:
                return None
        info = _parsed(block)
        if info is None and is_behind_end:
            return None
        if info is None:
            raise SourceEnded(ArchiveUnsafe("the archive is damaged: a header is invalid"))
        if info.size < 0:
            raise SourceEnded(ArchiveUnsafe("the archive is damaged: a member has a negative size"))
        if info.type == tarfile.GNUTYPE_SPARSE:
            self._skip_sparse_map(block)
        return info

    def _block(self) -> bytes:
        block = self._stream.read_all(_HEADER_BYTES)
        if len(block) < _HEADER_BYTES:
            raise SourceEnded(ArchiveUnsafe("the archive is incomplete: its end mark is missing"))
        return block

    def _member(self, info: TarInfo, name: bytes | None, size: bytes | None, *, sparse: bool) -> TarInfo:
        if name is not None:
            info.name = decode_name(name)
        else:
            info.name = decode_name(info.name.encode("utf-8", "surrogateescape"))
        if size is not None:
            if not size.isdigit() or len(size) > _MAX_SIZE_DIGITS:
                raise SourceEnded(ArchiveUnsafe("the archive is damaged: the size of a member is not a number"))
            info.size = int(size)
        if info.type == tarfile.AREGTYPE and info.name.endswith("/"):
            info.type = tarfile.DIRTYPE
        if sparse:
            info.type = tarfile.GNUTYPE_SPARSE
        if info.isreg() or info.type not in tarfile.SUPPORTED_TYPES:
            self._unread, self._padding = info.size, -info.size % _HEADER_BYTES
        else:
            self._doubtful = info.size
        return info

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes of the present member."""
        start, unpacked = self._stream.bytes_read, 0
        while self._unread:
            piece = self._stream.read(min(self._unread, BLOCK_BYTES))
            if not piece:
                raise SourceEnded(ArchiveUnsafe("the archive is incomplete: it ends inside a member"))
            self._unread -= len(piece)
            unpacked += len(piece)
            # The member may use a block that was read before it started, and another block that the decompressor holds.
            check_ratio(self._stream.bytes_read - start + 2 * BLOCK_BYTES, unpacked)
            yield piece

    def _extension(self, info: TarInfo) -> bytes:
        if info.size > _MAX_EXTENSION:
            raise SourceEnded(ArchiveUnsafe(f"expected extended headers of at most {_MAX_EXTENSION:,} bytes, got more"))
        data = self._stream.read_all(info.size)
        self._skip(info.size - len(data) + -info.size % _HEADER_BYTES)
        return data

    def _skip_sparse_map(self, header: bytes) -> None:
        block, first = header, True
        while block[_SPARSE_CONTINUES_AT[first]]:
            block, first = self._stream.read_all(_HEADER_BYTES).ljust(_HEADER_BYTES, b"\x00"), False

    def _skip(self, size: int) -> None:
        while size:
            piece = self._stream.read(min(size, BLOCK_BYTES))
            if not piece:
                raise SourceEnded(ArchiveUnsafe("the archive is incomplete: it ends inside a member"))
            size -= len(piece)


def _parsed(block: bytes) -> TarInfo | None:
    """Return the header in a block, or None if the block is none."""
    try:
        return TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None


def _pax_records(data: bytes) -> dict[bytes, bytes]:
    """Parse `length key=value` lines (POSIX.1-2001, pax Extended Header)."""
    records, position = {}, 0
    while position < len(data):
        match = _PAX_RECORD.match(data, position)
        length = int(match[1]) if match else 0
        if match is None or not match.end() - position < length <= len(data) - position:
            raise SourceEnded(ArchiveUnsafe("the archive is damaged: an extended header is invalid"))
        records[match[2]] = data[match.end() : position + length - 1]
        position += length
    return records
