"""Reads ZIP files (PKWARE APPNOTE 6.3.10), one entry of their directory at a time.

The reader of the standard library is not used. It holds the whole directory in memory before a caller can check it, and
it trusts the headers. This reader takes only positions from the directory and checks everything else.
"""

from __future__ import annotations

import bz2
import stat
import struct
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from core.item_errors import ArchiveUnsafe, SourceEnded
from core.sources.members import Gatekeeper, Member, check_ratio, too_many_members
from core.sources.names import decode_name
from core.sources.unpacking import BLOCK_BYTES, DECOMPRESSION_ERRORS, Decompressor, raw_deflate

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

_ENCRYPTION_FLAGS = 0x2041
"""Flags: encryption, strong encryption, and a masked directory."""
_UNIX_SYSTEMS = {3, 19}
"""The systems that store the mode of a file: Unix and macOS."""
_ZIP64_EXTRA, _NAME_EXTRA = 0x0001, 0x7075
_SEE_ZIP64 = 0xFFFFFFFF
_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
_METHOD_NAMES = {1: "Shrink", 6: "Implode", 9: "Deflate64", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
"""The names of other methods (APPNOTE 4.4.5). They are rare, or Python has no decompressor for them."""
_DECOMPRESSORS: dict[int, Callable[[], Decompressor]] = {_DEFLATED: raw_deflate, _BZIP2: bz2.BZ2Decompressor}


class SeekableFile(Protocol):
    """A file whose bytes can be read from any position."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class MemberPlace:
    """Where a member's bytes are in its ZIP file, and what they unpack to. It can be stored and used later.

    `offset` is the position of the member's local header. Its bytes end before `following`.
    """

    offset: int
    following: int
    method: int
    packed: int
    unpacked: int
    crc: int


@dataclass(frozen=True, slots=True)
class _Directory:
    """The position of the directory, and the number of bytes (`prefix`) before the start of the archive in the file."""

    start: int
    end: int
    prefix: int
    entries: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the directory. `offset` is the position of the member's local header in the file."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    unpacked: int
    mode: int
    offset: int


def zip_members(file: SeekableFile, gatekeeper: Gatekeeper) -> Iterator[Member]:
    """Yield the members of a ZIP file in the order of its directory.

    Raises:
        SourceEnded: the file is not a ZIP file, it is damaged or incomplete, or it exceeds a limit.
    """
    return (member for member, _ in zip_places(file, gatekeeper))


def zip_places(file: SeekableFile, gatekeeper: Gatekeeper) -> Iterator[tuple[Member, MemberPlace]]:
    """Yield the members of a ZIP file in the order of its directory, each with its place.

    Raises:
        SourceEnded: the file is not a ZIP file, it is damaged or incomplete, or it exceeds a limit.
    """
    directory = _find_directory(file)
    limits = gatekeeper.limits
    if directory.entries > limits.members:
        raise too_many_members(limits.members)
    offsets = array("Q")
    # A damaged directory ends the second reading, so that the members before the damage are yielded.
    with suppress(SourceEnded):
        for entry in _entries(file, directory):
            if len(offsets) > limits.members:
                break
            offsets.append(entry.offset)
    if len(offsets) > limits.members:
        raise too_many_members(limits.members)
    offsets = array("Q", sorted(offsets))
    announced = 0
    for entry in _entries(file, directory):
        announced += min(entry.unpacked, limits.member_bytes)
        if announced > limits.unpacked_bytes:
            raise SourceEnded(ArchiveUnsafe(f"expected at most {limits.unpacked_bytes:,} unpacked bytes, got more"))
        place = _place(entry, offsets, directory.start)
        member = gatekeeper.judge(
            entry.name,
            is_folder=_is_folder(entry) and not entry.unpacked,
            refusal=_refusal(entry),
            pieces=partial(pieces_at, file, place),
        )
        yield member, place


def pieces_at(file: SeekableFile, place: MemberPlace) -> Iterator[bytes]:
    """Yield the bytes of a member, and check their size and checksum against the directory.

    Raises:
        ArchiveUnsafe: the member is damaged, shares bytes with another, or is compressed too well to be a picture.
    """
    size = crc = 0
    for piece in _unpacked_pieces(file, place):
        size += len(piece)
        if size > place.unpacked:
            raise ArchiveUnsafe(f"expected {place.unpacked:,} bytes, as the archive announces, got more")
        crc = zlib.crc32(piece, crc)
        yield piece
    if size != place.unpacked or crc != place.crc:
        raise ArchiveUnsafe("the member is damaged: its size or checksum differs from the archive's directory")


def _is_folder(entry: _Entry) -> bool:
    return entry.name.endswith(("/", "\\")) or stat.S_ISDIR(entry.mode)


def _refusal(entry: _Entry) -> str | None:
    if _is_folder(entry):
        return f"expected a file, got a folder with {entry.unpacked:,} bytes of data"
    if stat.S_ISLNK(entry.mode):
        return "expected a file, got a link"
    if stat.S_IFMT(entry.mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "expected a file, got a device"
    if entry.flags & _ENCRYPTION_FLAGS:
        return "expected a file without encryption, got an encrypted one"
    if entry.method not in {_STORED, *_DECOMPRESSORS}:
        name = _METHOD_NAMES.get(entry.method, str(entry.method))
        return f"expected a stored, deflated or bzip2 member, got compression method {name}"
    return None


def _place(entry: _Entry, offsets: array[int], end: int) -> MemberPlace:
    first, after = bisect_left(offsets, entry.offset), bisect_right(offsets, entry.offset)
    following = offsets[after] if after < len(offsets) else end
    if after - first > 1:
        # Two entries lead to the same bytes. Neither has bytes of its own, and reading refuses both.
        following = entry.offset
    return MemberPlace(entry.offset, following, entry.method, entry.packed, entry.unpacked, entry.crc)


def _unpacked_pieces(file: SeekableFile, place: MemberPlace) -> Iterator[bytes]:
    position, unread = _data_start(file, place), place.packed
    decompressor = _DECOMPRESSORS[place.method]() if place.method != _STORED else None
    unpacked = 0
    while unread or (decompressor and not decompressor.eof):
        data = b""
        if decompressor is None or decompressor.needs_input:
            data = _read_at(file, position, min(unread, BLOCK_BYTES))
            if not data:
                raise ArchiveUnsafe("the member is damaged: its compressed data is incomplete")
            position, unread = position + len(data), unread - len(data)
        if decompressor is not None:
            if decompressor.eof:
                raise ArchiveUnsafe("the member is damaged: its compressed data is shorter than announced")
            try:
                data = decompressor.decompress(data, BLOCK_BYTES)
            except DECOMPRESSION_ERRORS as error:
                raise ArchiveUnsafe(f"the member is damaged: {error}") from error
        unpacked += len(data)
        check_ratio(place.packed - unread, unpacked)
        if data:
            yield data


def _data_start(file: SeekableFile, place: MemberPlace) -> int:
    """Return the position of a member's first byte."""
    # A position behind the directory can be so large that no file system accepts it.
    header = _read_at(file, place.offset, _LOCAL.size) if place.offset <= place.following else b""
    if len(header) < _LOCAL.size or not header.startswith(_LOCAL_MAGIC):
        raise ArchiveUnsafe("the member is damaged: it is not at the position in the archive's directory")
    *_, name_length, extra_length = _LOCAL.unpack(header)
    start: int = place.offset + _LOCAL.size + name_length + extra_length
    if start + place.packed > place.following:
        raise ArchiveUnsafe("expected a member with bytes of its own, but it shares bytes with another member")
    return start


def _find_directory(file: SeekableFile) -> _Directory:
    size = file.seek(0, 2)
    tail_at = max(0, size - _END.size - _LONGEST_COMMENT)
    tail = _read_at(file, tail_at, size - tail_at)
    position = _end_record(tail)
    if position < 0 or len(tail) - position < _END.size:
        if _read_at(file, 0, 4) != _LOCAL_MAGIC:
            raise SourceEnded(ArchiveUnsafe("expected a ZIP or TAR file, got something else"))
        raise SourceEnded(ArchiveUnsafe("the archive is incomplete: it has no directory at its end"))
    _, disk, first_disk, _, entries, length, offset, _ = _END.unpack_from(tail, position)
    end = tail_at + position
    locator = _read_at(file, max(0, end - _LOCATOR.size), _LOCATOR.size)
    if locator.startswith(_LOCATOR_MAGIC) and len(locator) == _LOCATOR.size:
        end, disk, first_disk, entries, length, offset = _find_directory64(file, locator, end - _LOCATOR.size)
    if disk or first_disk:
        raise SourceEnded(ArchiveUnsafe("expected a complete archive, got one part of a split archive"))
    start = end - length
    if start < offset:
        raise SourceEnded(ArchiveUnsafe("the archive is damaged: its directory is not at the announced position"))
    return _Directory(start, end, start - offset, entries)


def _end_record(tail: bytes) -> int:
    """Return the position of the end record in the last bytes of a file, or a negative number.

    The comment behind the record can have its magic number, too. The record is the one whose comment ends with the
    file. Without such a record, bytes follow the archive, and the last magic number counts.
    """
    last = position = tail.rfind(_END_MAGIC)
    while position >= 0:
        if len(tail) - position >= _END.size and position + _END.size + _END.unpack_from(tail, position)[-1] == len(
            tail
        ):
            return position
        position = tail.rfind(_END_MAGIC, 0, position)
    return last


def _find_directory64(file: SeekableFile, locator: bytes, locator_at: int) -> tuple[int, int, int, int, int, int]:
    """Return (end, disk, first disk, entries, length, offset) of the directory, from its ZIP64 end record."""
    _, _, announced, _ = _LOCATOR.unpack(locator)
    for position in (announced, locator_at - _END64.size):
        record = _read_at(file, position, _END64.size) if 0 <= position < locator_at else b""
        if len(record) == _END64.size and record.startswith(_END64_MAGIC):
            _, _, _, _, disk, first_disk, _, entries, length, offset = _END64.unpack(record)
            return position, disk, first_disk, entries, length, offset
    raise SourceEnded(ArchiveUnsafe("the archive is damaged: its ZIP64 record is not at the announced position"))


def _entries(file: SeekableFile, directory: _Directory) -> Iterator[_Entry]:
    position = directory.start
    while position < directory.end:
        header = _read_at(file, position, _ENTRY.size)
        if len(header) < _ENTRY.size or not header.startswith(_ENTRY_MAGIC):
            raise SourceEnded(ArchiveUnsafe("the archive is damaged: an entry of its directory is invalid"))
        fields = _ENTRY.unpack(header)
        (_, _, system, _, flags, method, _, _, crc, packed, unpacked, *lengths, _, _, attributes, offset) = fields
        name_length, extra_length, comment_length = lengths
        rest = _read_at(file, position + _ENTRY.size, name_length + extra_length)
        raw_name, extra = rest[:name_length], _extra_fields(rest[name_length:])
        sizes = _with_zip64(extra.get(_ZIP64_EXTRA, b""), unpacked, packed, offset)
        yield _Entry(
            name=_name(raw_name, extra.get(_NAME_EXTRA, b"")),
            flags=flags,
            method=method,
            crc=crc,
            unpacked=sizes[0],
            packed=sizes[1],
            mode=attributes >> 16 if system in _UNIX_SYSTEMS else 0,
            offset=sizes[2] + directory.prefix,
        )
        position += _ENTRY.size + name_length + extra_length + comment_length


def _extra_fields(data: bytes) -> dict[int, bytes]:
    fields, position = {}, 0
    while position + 4 <= len(data):
        kind, length = struct.unpack_from("<2H", data, position)
        fields[kind] = data[position + 4 : position + 4 + length]
        position += 4 + length
    return fields


def _with_zip64(extra: bytes, *values: int) -> list[int]:
    """Return the unpacked size, the packed size and the offset.

    Those that do not fit into 32 bits are in the extra field, in this order.
    """
    found, position = [], 0
    for value in values:
        if value == _SEE_ZIP64 and position + 8 <= len(extra):
            (value,) = struct.unpack_from("<Q", extra, position)  # noqa: PLW2901
            position += 8
        # Clamp to 2**62: no real file is larger, and larger values overflow the database column and the array.
        found.append(min(value, 2**62))
    return found


def _name(raw: bytes, extra: bytes) -> str:
    # The flag for UTF-8 is not read. Programs set it for other encodings, and leave it out for UTF-8.
    # The Unicode path of Info-ZIP: version 1, the checksum of the name that it replaces, and the name in UTF-8.
    if len(extra) > 5 and extra[0] == 1 and int.from_bytes(extra[1:5], "little") == zlib.crc32(raw):
        return decode_name(extra[5:])
    return decode_name(raw)


def _read_at(file: SeekableFile, position: int, size: int) -> bytes:
    file.seek(position)
    return file.read(size)
