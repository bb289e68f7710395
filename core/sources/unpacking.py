"""Decompression in pieces of bounded size, whatever the compressed bytes are."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Protocol

from core.errors import ArchiveUnsafe, SourceEnded

BLOCK = 64 * 1024
"""So many bytes are read, and handed on, at once."""

ERRORS = (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError)
"""What the decompressors raise at bytes that are not theirs."""

_XZ_MEMORY = 256 * 2**20
"""Bytes of dictionary that an XZ file may ask for: four times what `xz -9` does."""


class Decompressor(Protocol):
    """As those of bz2 and lzma are."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class Inflate:
    """zlib's, in the shape of the others."""

    def __init__(self, wbits: int) -> None:
        self._zlib = zlib.decompressobj(wbits)
        self._waiting = b""
        self._full = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        # A piece that was filled may have left more in zlib's window, without any input.
        return not (self._waiting or self._full or self._zlib.eof)

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        out = self._zlib.decompress(self._waiting + data, max_length)
        self._waiting = self._zlib.unconsumed_tail
        self._full = len(out) == max_length
        return out


def raw_deflate() -> Decompressor:
    """For members of ZIP files."""
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
"""Decompressors by the first bytes of what they read."""
_LONGEST_MAGIC = max(map(len, COMPRESSIONS))


def compression_of(head: bytes) -> Callable[[], Decompressor] | None:
    """What unpacks a file that begins like that, if it is compressed."""
    return next((make for magic, make in COMPRESSIONS.items() if head.startswith(magic)), None)


class Unpacked:
    """A compressed (or plain) file read from front to back; counts what went in and what came out."""

    def __init__(self, file: IO[bytes], make: Callable[[], Decompressor] | None, limit: int) -> None:
        self._file = file
        self._make = make
        self._decompressor = make() if make else None
        self._limit = limit
        self._ready = self._returned = b""
        self.taken = 0
        """Bytes that were read from the file."""
        self.given = 0
        """Bytes that came out of it."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, at least one, or none at the end.

        Raises:
            SourceEnded: the file is damaged or cut off, or more comes out of it than may.
        """
        if not self._ready:
            self._ready = self._next()
            self.given += len(self._ready)
            if self.given > self._limit:
                raise SourceEnded(ArchiveUnsafe(f"expected at most {self._limit:,} bytes once unpacked, got more"))
        piece, self._ready = self._ready[:size], self._ready[size:]
        return piece

    def read_all(self, size: int) -> bytes:
        """As many bytes as that, or fewer if the end comes before."""
        pieces, missing = [], size
        while missing and (piece := self.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _next(self) -> bytes:
        if self._decompressor is None:
            return self._take()
        while True:
            if self._decompressor.eof and not self._begin_another():
                return b""
            data = b""
            if self._decompressor.needs_input:
                data = self._take()
                if not data:
                    raise SourceEnded(ArchiveUnsafe("the archive is cut off: it ends within its compressed data"))
            try:
                piece = self._decompressor.decompress(data, BLOCK)
            except ERRORS as error:
                raise SourceEnded(ArchiveUnsafe(f"the archive is damaged: {error}")) from error
            if piece:
                return piece

    def _begin_another(self) -> bool:
        """Compressed files may be joined, and filled up with zeros; whatever else follows is none of ours."""
        assert self._decompressor is not None
        assert self._make is not None
        rest = self._decompressor.unused_data.lstrip(b"\x00")
        while len(rest) < _LONGEST_MAGIC and (data := self._take()):
            rest = (rest + data).lstrip(b"\x00")
        if compression_of(rest) is not self._make:
            return False
        self._decompressor, self._returned = self._make(), rest
        return True

    def _take(self) -> bytes:
        if self._returned:
            data, self._returned = self._returned, b""
            return data
        data = self._file.read(BLOCK)
        self.taken += len(data)
        return data
