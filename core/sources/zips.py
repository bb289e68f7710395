"""ZIP files (PKWARE APPNOTE 6.3.10), their directory read entry by entry.

The standard library's reader holds the whole directory in memory before anything of it can be judged, and unpacks what
a header says; here the directory is walked, and nothing that it says is believed but where to look.
"""

from __future__ import annotations

import bz2
import stat
import struct
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from core.errors import ArchiveUnsafe, SourceEnded
from core.sources.members import Gatekeeper, Member, check_ratio, too_many_members
from core.sources.names import decoded
from core.sources.unpacking import BLOCK, ERRORS, Decompressor, raw_deflate

_END = struct.Struct("<4s4H2LH")
_END_MAGIC = b"PK\x05\x06"
_LONGEST_COMMENT = 0xFFFF
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_MAGIC = b"PK\x06\x07"
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_MAGIC = b"PK\x06\x06"
_ENTRY = struct.Struct("<4s2B5HL2L5H2L")
_ENTRY_MAGIC = b"PK\x01\x02"
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\x03\x04"

_ENCRYPTED = 0x2041
"""Flags: encrypted, strongly so, or with the directory hidden."""
_UTF8 = 0x0800
_UNIX = 3
_ZIP64_EXTRA, _NAME_EXTRA = 0x0001, 0x7075
_IN_ZIP64 = 0xFFFFFFFF
_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
_METHODS: dict[int, Callable[[], Decompressor]] = {_DEFLATED: raw_deflate, _BZIP2: bz2.BZ2Decompressor}


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where the entries are, and how many bytes precede what the archive calls its beginning."""

    start: int
    end: int
    prefix: int
    entries: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the directory says of a member; `offset` is that of its local header in the file."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    unpacked: int
    mode: int
    offset: int


def zip_members(file: IO[bytes], gatekeeper: Gatekeeper) -> Iterator[Member]:
    """The members of a ZIP file, which can be sought in, in the order of its directory.

    Raises:
        SourceEnded: it is none, it is damaged or cut off, or holds more than is read.
    """
    directory = _find_directory(file)
    limits = gatekeeper.limits
    if directory.entries > limits.members:
        raise too_many_members(limits.members)
    offsets = array("Q")
    for entry in _entries(file, directory):
        if len(offsets) == limits.members:
            raise too_many_members(limits.members)
        offsets.append(entry.offset)
    reader = _Reader(file, array("Q", sorted(offsets)), directory.start, limits.unpacked_bytes)
    for entry in _entries(file, directory):
        reader.charge(min(entry.unpacked, limits.member_bytes))
        yield gatekeeper.judge(
            entry.name,
            is_folder=entry.name.endswith(("/", "\\")) or stat.S_ISDIR(entry.mode),
            refusal=_refusal(entry),
            pieces=reader.of(entry),
        )


def _refusal(entry: _Entry) -> str | None:
    if stat.S_ISLNK(entry.mode):
        return "expected a file, got a link"
    if stat.S_IFMT(entry.mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "expected a file, got a device"
    if entry.flags & _ENCRYPTED:
        return "expected a file that is not encrypted"
    if entry.method not in {_STORED, *_METHODS}:
        return f"expected a member stored, deflated or in bzip2, got compression method {entry.method}"
    return None


class _Reader:
    """Reads members of one file, none of which may reach into another."""

    def __init__(self, file: IO[bytes], offsets: array[int], end: int, unpacked_bytes: int) -> None:
        self._file = file
        self._offsets = offsets
        self._end = end
        self._allowed = unpacked_bytes
        self._charged = 0

    def charge(self, size: int) -> None:
        """Count what a member comes to at most.

        Raises:
            SourceEnded: it is more, together with those before it, than is read of an archive.
        """
        self._charged += size
        if self._charged > self._allowed:
            raise SourceEnded(ArchiveUnsafe(f"expected at most {self._allowed:,} bytes once unpacked, got more"))

    def of(self, entry: _Entry) -> Callable[[], Iterator[bytes]]:
        return lambda: self._checked(entry)

    def _checked(self, entry: _Entry) -> Iterator[bytes]:
        """The bytes of a member, whose size and checksum are those of the directory in the end."""
        size = crc = 0
        for piece in self._unpacked(entry):
            size += len(piece)
            if size > entry.unpacked:
                raise ArchiveUnsafe(f"expected the {entry.unpacked:,} bytes that the archive announces, got more")
            crc = zlib.crc32(piece, crc)
            yield piece
        if size != entry.unpacked or crc != entry.crc:
            raise ArchiveUnsafe("the member is damaged: its size or checksum is not that of the archive's directory")

    def _unpacked(self, entry: _Entry) -> Iterator[bytes]:
        at, left = self._place(entry), entry.packed
        decompressor = _METHODS[entry.method]() if entry.method != _STORED else None
        given = 0
        while left or (decompressor and not decompressor.eof):
            data = b""
            if decompressor is None or decompressor.needs_input:
                data = _read_at(self._file, at, min(left, BLOCK))
                if not data:
                    raise ArchiveUnsafe("the member is damaged: it ends within its compressed data")
                at, left = at + len(data), left - len(data)
            if decompressor is not None:
                if decompressor.eof:
                    raise ArchiveUnsafe("the member is damaged: its compressed data ends before it should")
                try:
                    data = decompressor.decompress(data, BLOCK)
                except ERRORS as error:
                    raise ArchiveUnsafe(f"the member is damaged: {error}") from error
            given += len(data)
            check_ratio(entry.packed - left, given)
            if data:
                yield data

    def _place(self, entry: _Entry) -> int:
        """Where a member's bytes begin."""
        header = _read_at(self._file, entry.offset, _LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(_LOCAL_MAGIC):
            raise ArchiveUnsafe("the member is damaged: it is not where the archive's directory says")
        *_, name_length, extra_length = _LOCAL.unpack(header)
        start: int = entry.offset + _LOCAL.size + name_length + extra_length
        first, after = bisect_left(self._offsets, entry.offset), bisect_right(self._offsets, entry.offset)
        following = self._offsets[after] if after < len(self._offsets) else self._end
        if after - first > 1 or start + entry.packed > following:
            raise ArchiveUnsafe("expected bytes of its own, and it shares some with another member")
        return start


def _find_directory(file: IO[bytes]) -> _Directory:
    size = file.seek(0, 2)
    tail_at = max(0, size - _END.size - _LONGEST_COMMENT)
    tail = _read_at(file, tail_at, size - tail_at)
    at = tail.rfind(_END_MAGIC)
    if at < 0 or len(tail) - at < _END.size:
        if _read_at(file, 0, 4) != _LOCAL_MAGIC:
            raise SourceEnded(ArchiveUnsafe("expected a ZIP or TAR file, got something else"))
        raise SourceEnded(ArchiveUnsafe("the archive is cut off: it has no directory at its end"))
    _, disk, first_disk, _, entries, length, offset, _ = _END.unpack_from(tail, at)
    end = tail_at + at
    locator = _read_at(file, max(0, end - _LOCATOR.size), _LOCATOR.size)
    if locator.startswith(_LOCATOR_MAGIC) and len(locator) == _LOCATOR.size:
        end, disk, first_disk, entries, length, offset = _find_directory64(file, locator, end - _LOCATOR.size)
    if disk or first_disk:
        raise SourceEnded(ArchiveUnsafe("expected an archive in one piece, got a part of a split one"))
    start = end - length
    if start < offset:
        raise SourceEnded(ArchiveUnsafe("the archive is damaged: its directory is not where it says"))
    return _Directory(start, end, start - offset, entries)


def _find_directory64(file: IO[bytes], locator: bytes, locator_at: int) -> tuple[int, int, int, int, int, int]:
    """(where it ends, disk, first disk, entries, length, offset) of the directory, from its ZIP64 end record."""
    _, _, said, _ = _LOCATOR.unpack(locator)
    for at in (said, locator_at - _END64.size):
        record = _read_at(file, at, _END64.size) if 0 <= at < locator_at else b""
        if len(record) == _END64.size and record.startswith(_END64_MAGIC):
            _, _, _, _, disk, first_disk, _, entries, length, offset = _END64.unpack(record)
            return at, disk, first_disk, entries, length, offset
    raise SourceEnded(ArchiveUnsafe("the archive is damaged: its ZIP64 record is not where it says"))


def _entries(file: IO[bytes], directory: _Directory) -> Iterator[_Entry]:
    at = directory.start
    while at < directory.end:
        header = _read_at(file, at, _ENTRY.size)
        if len(header) < _ENTRY.size or not header.startswith(_ENTRY_MAGIC):
            raise SourceEnded(ArchiveUnsafe("the archive is damaged: an entry of its directory is none"))
        fields = _ENTRY.unpack(header)
        (_, _, system, _, flags, method, _, _, crc, packed, unpacked, *lengths, _, _, attributes, offset) = fields
        name_length, extra_length, comment_length = lengths
        rest = _read_at(file, at + _ENTRY.size, name_length + extra_length)
        raw_name, extra = rest[:name_length], _extra_fields(rest[name_length:])
        sizes = _in_zip64(extra.get(_ZIP64_EXTRA, b""), unpacked, packed, offset)
        yield _Entry(
            name=_name(raw_name, flags, extra.get(_NAME_EXTRA, b"")),
            flags=flags,
            method=method,
            crc=crc,
            unpacked=sizes[0],
            packed=sizes[1],
            mode=attributes >> 16 if system == _UNIX else 0,
            offset=sizes[2] + directory.prefix,
        )
        at += _ENTRY.size + name_length + extra_length + comment_length


def _extra_fields(data: bytes) -> dict[int, bytes]:
    fields, at = {}, 0
    while at + 4 <= len(data):
        kind, length = struct.unpack_from("<2H", data, at)
        fields[kind] = data[at + 4 : at + 4 + length]
        at += 4 + length
    return fields


def _in_zip64(extra: bytes, *values: int) -> list[int]:
    """Unpacked size, packed size and offset: those that 32 bits cannot say are in the extra field, in this order."""
    found, at = [], 0
    for value in values:
        if value == _IN_ZIP64 and at + 8 <= len(extra):
            (value,) = struct.unpack_from("<Q", extra, at)  # noqa: PLW2901
            at += 8
        # No file has a place beyond; as a number for the database and for arrays it would be none.
        found.append(min(value, 2**62))
    return found


def _name(raw: bytes, flags: int, extra: bytes) -> str:
    if flags & _UTF8:
        return raw.decode("utf-8", "replace")
    # Info-ZIP's Unicode path: version 1, the checksum of the name that it replaces, the name in UTF-8.
    if len(extra) > 5 and extra[0] == 1 and int.from_bytes(extra[1:5], "little") == zlib.crc32(raw):
        return extra[5:].decode("utf-8", "replace")
    return decoded(raw)


def _read_at(file: IO[bytes], at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)
