"""Writes ZIP and TAR files in which any field can be wrong. Libraries write only correct ones."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

STORED, DEFLATED = 0, 8
SEE_ZIP64 = 0xFFFFFFFF
UNIX = 3


def deflated(data: bytes, level: int = 9) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@dataclass
class Part:
    """One member of a ZIP file. Fields that are None are written as they should be."""

    name: str | bytes
    data: bytes = b""
    method: int = STORED
    packed: bytes | None = None
    """The bytes in the file, if they are not those of `data` under `method`."""
    flags: int = 0
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    offset: int | None = None
    extra: bytes = b""
    """Extra fields of the directory, and `local_extra` of the local header."""
    local_extra: bytes = b""
    local_name: bytes | None = None
    magic: bytes = b"PK\x03\x04"
    system: int = UNIX
    mode: int = 0o100644

    @property
    def raw_name(self) -> bytes:
        return self.name if isinstance(self.name, bytes) else self.name.encode()

    @property
    def stored(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.data) if self.method == DEFLATED else self.data

    def local(self) -> bytes:
        name, stored = self.raw_name if self.local_name is None else self.local_name, self.stored
        sizes = (zlib.crc32(self.data), len(stored), len(self.data))
        lengths = (len(name), len(self.local_extra))
        return (
            struct.pack("<4s5H3L2H", self.magic, 20, self.flags, self.method, 0, 0, *sizes, *lengths)
            + name
            + self.local_extra
            + stored
        )

    def entry(self, at: int) -> bytes:
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        packed = len(self.stored) if self.packed_size is None else self.packed_size
        size = len(self.data) if self.size is None else self.size
        fields = (20, self.system, 20, 0, self.flags, self.method, 0, 0, crc, packed, size)
        lengths = (len(self.raw_name), len(self.extra), 0, 0, 0)
        offset = at if self.offset is None else self.offset
        header = struct.pack("<4s4B4H3L5H2L", b"PK\x01\x02", *fields, *lengths, self.mode << 16, offset)
        return header + self.raw_name + self.extra


def zip64(*values: int) -> bytes:
    """Return the extra field with the 64-bit values of a member: its size, its packed size, its offset."""
    return struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values)


def end_record(entries: int, length: int, offset: int, disk: int = 0) -> bytes:
    return struct.pack("<4s4H2LH", b"PK\x05\x06", disk, disk, entries, entries, length, offset, 0)


def zip64_end(at: int, entries: int, length: int, offset: int) -> bytes:
    """Return the ZIP64 end record at the position `at`, its locator, and an end record that points to them."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, length, offset)
    return record + struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1) + end_record(0xFFFF, SEE_ZIP64, SEE_ZIP64)


def zip_of(*parts: Part) -> bytes:
    """Return a ZIP file of these members."""
    body, entries = zip_pieces(*parts)
    return body + entries + end_record(len(parts), len(entries), len(body))


def zip_pieces(*parts: Part) -> tuple[bytes, bytes]:
    """Return the members of a ZIP file and its directory, without the end record."""
    body, entries = b"", b""
    for part in parts:
        entries += part.entry(len(body))
        body += part.local()
    return body, entries


def tar_member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, size: int | None = None) -> bytes:
    """Return one member of a TAR file: its header in GNU's form, and its data in whole blocks."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data) if size is None else size
    if kind in (tarfile.LNKTYPE, tarfile.SYMTYPE):
        info.linkname = "/etc/passwd"
    return info.tobuf(tarfile.GNU_FORMAT) + padded(data)


def pax_member(name: str, data: bytes, records: dict[str, str]) -> bytes:
    """Return one member of a TAR file with these records in an extended header."""
    info = tarfile.TarInfo(name)
    info.size, info.pax_headers = len(data), records
    return info.tobuf(tarfile.PAX_FORMAT) + padded(data)


def tar_of(*members: bytes) -> bytes:
    return b"".join(members) + bytes(1024)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def headers_of(files: Iterable[str]) -> bytes:
    """Return a ZIP file of empty members, without the costs of a writer of one member after the other."""
    body, entries, count = io.BytesIO(), io.BytesIO(), 0
    for name in files:
        part = Part(name)
        entries.write(part.entry(body.tell()))
        body.write(part.local())
        count += 1
    end = zip64_end(body.tell() + entries.tell(), count, entries.tell(), body.tell())
    return body.getvalue() + entries.getvalue() + end
