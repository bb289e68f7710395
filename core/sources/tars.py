"""TAR files (POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU), read from front to back and never sought in.

The standard library's reader would hold whatever an extended header claims to be long in memory, and takes a file that
is cut off for one that ends; its parser of a header block is used.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from tarfile import TarInfo

from core.errors import ArchiveUnsafe, SourceEnded
from core.sources.members import Gatekeeper, Member, check_ratio
from core.sources.names import decoded
from core.sources.unpacking import BLOCK, Unpacked

_HEADER = tarfile.BLOCKSIZE
_MAX_EXTENSION = 1024 * 1024
"""Longest extended header, in bytes: it holds names and attributes of one member."""
_PAX_RECORD = re.compile(rb"(\d{1,7}) ([^=]+)=")
_SPARSE_MORE_AT = {True: 482, False: 504}
"""Where a block of a sparse member's map says that another one follows: in the header, and in the others."""
_KINDS = {
    tarfile.LNKTYPE: "a link",
    tarfile.SYMTYPE: "a link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


def tar_members(stream: Unpacked, gatekeeper: Gatekeeper) -> Iterator[Member]:
    """The members of a TAR file in their order.

    Raises:
        SourceEnded: it is damaged or cut off, or holds more than is read.
    """
    reader = _Reader(stream)
    while (info := reader.next()) is not None:
        kind = _KINDS.get(info.type)
        yield gatekeeper.judge(
            info.name,
            is_folder=info.isdir(),
            refusal=f"expected a file, got {kind}" if kind else None,
            pieces=reader.pieces,
        )


class _Reader:
    """Where we are in the file."""

    def __init__(self, stream: Unpacked) -> None:
        self._stream = stream
        self._left = 0
        """Bytes of the present member that were not read yet."""
        self._padding = 0

    def next(self) -> TarInfo | None:
        """The next member, its name and size as extended headers have them; None at the end."""
        self._skip(self._left + self._padding)
        self._left = self._padding = 0
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
                # What is said of all members is never a name or a size.
                self._extension(info)
            else:
                return self._member(info, name, size, sparse=sparse)
        return None

    def _header(self) -> TarInfo | None:
        block = self._stream.read_all(_HEADER)
        if len(block) < _HEADER:
            raise SourceEnded(ArchiveUnsafe("the archive is cut off: it ends without its end mark"))
        if not block.strip(b"\x00"):
            return None
        try:
            info = TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise SourceEnded(ArchiveUnsafe(f"the archive is damaged: {error}")) from error
        if info.size < 0:
            raise SourceEnded(ArchiveUnsafe("the archive is damaged: a member has a negative size"))
        if info.type == tarfile.GNUTYPE_SPARSE:
            self._skip_sparse_map(block)
        return info

    def _member(self, info: TarInfo, name: bytes | None, size: bytes | None, *, sparse: bool) -> TarInfo:
        if name is not None:
            info.name = decoded(name)
        else:
            info.name = decoded(info.name.encode("utf-8", "surrogateescape"))
        if size is not None:
            if not size.isdigit():
                raise SourceEnded(ArchiveUnsafe("the archive is damaged: a member's size is no number"))
            info.size = int(size)
        if info.type == tarfile.AREGTYPE and info.name.endswith("/"):
            info.type = tarfile.DIRTYPE
        if sparse:
            info.type = tarfile.GNUTYPE_SPARSE
        if info.isreg() or info.type not in tarfile.SUPPORTED_TYPES:
            self._left, self._padding = info.size, -info.size % _HEADER
        return info

    def pieces(self) -> Iterator[bytes]:
        """The present member's bytes."""
        taken, given = self._stream.taken, 0
        while self._left:
            piece = self._stream.read(min(self._left, BLOCK))
            if not piece:
                raise SourceEnded(ArchiveUnsafe("the archive is cut off: it ends within a member"))
            self._left -= len(piece)
            given += len(piece)
            # One block may have been read before, and another one is held in the decompressor.
            check_ratio(self._stream.taken - taken + 2 * BLOCK, given)
            yield piece

    def _extension(self, info: TarInfo) -> bytes:
        if info.size > _MAX_EXTENSION:
            raise SourceEnded(ArchiveUnsafe(f"expected extended headers of at most {_MAX_EXTENSION:,} bytes, got more"))
        data = self._stream.read_all(info.size)
        self._skip(info.size - len(data) + -info.size % _HEADER)
        return data

    def _skip_sparse_map(self, header: bytes) -> None:
        block, first = header, True
        while block[_SPARSE_MORE_AT[first]]:
            block, first = self._stream.read_all(_HEADER).ljust(_HEADER, b"\x00"), False

    def _skip(self, size: int) -> None:
        while size:
            piece = self._stream.read(min(size, BLOCK))
            if not piece:
                raise SourceEnded(ArchiveUnsafe("the archive is cut off: it ends within a member"))
            size -= len(piece)


def _pax_records(data: bytes) -> dict[bytes, bytes]:
    """`length key=value` lines (POSIX.1-2001, pax Extended Header)."""
    records, at = {}, 0
    while at < len(data):
        match = _PAX_RECORD.match(data, at)
        length = int(match[1]) if match else 0
        if match is None or not match.end() - at < length <= len(data) - at:
            raise SourceEnded(ArchiveUnsafe("the archive is damaged: an extended header is none"))
        records[match[2]] = data[match.end() : at + length - 1]
        at += length
    return records
