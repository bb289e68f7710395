"""Decompression in pieces of limited size, for any compressed bytes."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Protocol

from core.item_errors import ArchiveUnsafe, SourceEnded
from core.sources.members import MAX_COMPRESSION_RATIO

BLOCK_BYTES = 64 * 1024
"""Maximum number of bytes that are read or returned at a time."""

_UNCHECKED_BYTES = 1024**3
"""Number of unpacked bytes from which the ratio of a whole file is checked. Without the check, 100 bytes of bzip2 can
keep a processor busy for minutes."""

DECOMPRESSION_ERRORS = (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError)
"""The exceptions that decompressors raise for damaged bytes."""

_XZ_MEMORY = 256 * 2**20
"""Memory limit for an XZ file in bytes: four times as much as the dictionary of `xz -9`."""


class Decompressor(Protocol):
    """The interface of the decompressors in bz2 and lzma."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class Inflate:
    """Gives a decompressor of zlib the interface of the others."""

    def __init__(self, wbits: int) -> None:
        self._zlib = zlib.decompressobj(wbits)
        self._unread = b""
        self._more_output = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        # If the last piece reached its maximum length, zlib may hold more output and needs no input for it.
        return not (self._unread or self._more_output or self._zlib.eof)

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        out = self._zlib.decompress(self._unread + data, max_length)
        self._unread = self._zlib.unconsumed_tail
        self._more_output = len(out) == max_length
        return out


def raw_deflate() -> Decompressor:
    """Return a decompressor for members of ZIP files."""
    return Inflate(-15)


def _gzip() -> Decompressor:
    return Inflate(31)


def _xz() -> Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


COMPRESSIONS: dict[bytes, Callable[[], Decompressor]] = {
    b"\x1f\x8b\x08": _gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": _xz,
}
"""Functions that create decompressors, by the first bytes of the files that they read."""
_LONGEST_MAGIC = max(map(len, COMPRESSIONS))


def compression_of(head: bytes) -> Callable[[], Decompressor] | None:
    """Return a function that creates the decompressor for a file, or None if the file is not compressed."""
    return next((new for magic, new in COMPRESSIONS.items() if head.startswith(magic)), None)


class UnpackedStream:
    """Reads a compressed or plain file from front to back, and counts the bytes that it reads and unpacks."""

    def __init__(self, file: IO[bytes], new_decompressor: Callable[[], Decompressor] | None, limit: int) -> None:
        self._file = file
        self._new_decompressor = new_decompressor
        self._decompressor = new_decompressor() if new_decompressor else None
        self._limit = limit
        self._ready = self._pushed_back = b""
        self.bytes_read = 0
        """Number of bytes read from the file."""
        self.bytes_unpacked = 0
        """Number of bytes after decompression."""

    def read(self, size: int) -> bytes:
        """Return between one and `size` bytes, or no bytes at the end of the file.

        Raises:
            SourceEnded: the file is damaged or incomplete, or it unpacks to more bytes than allowed.
        """
        if not self._ready:
            self._ready = self._next_piece()
            self.bytes_unpacked += len(self._ready)
            if self.bytes_unpacked > self._limit:
                raise SourceEnded(ArchiveUnsafe(f"expected at most {self._limit:,} unpacked bytes, got more"))
            if self.bytes_unpacked > max(_UNCHECKED_BYTES, MAX_COMPRESSION_RATIO * self.bytes_read):
                raise SourceEnded(
                    ArchiveUnsafe(f"expected at most {MAX_COMPRESSION_RATIO} times its compressed size, got more")
                )
        piece, self._ready = self._ready[:size], self._ready[size:]
        return piece

    def read_all(self, size: int) -> bytes:
        """Return `size` bytes, or fewer if the file ends before."""
        pieces, missing = [], size
        while missing and (piece := self.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _next_piece(self) -> bytes:
        if self._decompressor is None:
            return self._read_block()
        while True:
            if self._decompressor.eof and not self._start_next_file():
                return b""
            data = b""
            if self._decompressor.needs_input:
                data = self._read_block()
                if not data:
                    raise SourceEnded(ArchiveUnsafe("the archive is incomplete: it ends inside its compressed data"))
            try:
                piece = self._decompressor.decompress(data, BLOCK_BYTES)
            except DECOMPRESSION_ERRORS as error:
                raise SourceEnded(ArchiveUnsafe(f"the archive is damaged: {error}")) from error
            if piece:
                return piece

    def _start_next_file(self) -> bool:
        """Start the next compressed file if one follows, and return whether it does.

        Several compressed files can be concatenated, with zeros as padding. All other trailing bytes are ignored.
        """
        assert self._decompressor is not None
        assert self._new_decompressor is not None
        rest = self._decompressor.unused_data.lstrip(b"\x00")
        while len(rest) < _LONGEST_MAGIC and (data := self._read_block()):
            rest = (rest + data).lstrip(b"\x00")
        if compression_of(rest) is not self._new_decompressor:
            return False
        self._decompressor, self._pushed_back = self._new_decompressor(), rest
        return True

    def _read_block(self) -> bytes:
        if self._pushed_back:
            data, self._pushed_back = self._pushed_back, b""
            return data
        data = self._file.read(BLOCK_BYTES)
        self.bytes_read += len(data)
        return data
