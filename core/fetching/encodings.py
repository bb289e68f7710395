"""Content encodings, undone piece by piece: however much a few bytes unpack to, little of it is held at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from core.errors import FetchFailed, FetchRefused

ACCEPTED = "gzip, deflate"
"""What is announced. br and zstd are not: nothing that is installed by default undoes them within bounds."""

_PIECE = 64 * 2**10
"""Most bytes that are unpacked at a time."""
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


class Decoder(Protocol):
    """Undoes the encoding of one body."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces that `data` completes.

        Raises:
            FetchFailed: the data is not what the header says.
        """
        ...

    def finish(self) -> None:
        """The body has ended.

        Raises:
            FetchFailed: in the middle of its data.
        """
        ...


class Identity:
    """The body as it was sent."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        pass


class Inflate:
    """gzip (RFC 1952, also several members in a row), or deflate (RFC 1950, or bare RFC 1951 as some servers send)."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inflater: zlib._Decompress | None = None
        """None before the first member and between members."""
        self._begun = b""
        """What is too short yet to tell what it begins."""
        self._members = 0
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            yield from self._unpack(self._begun + data)
        except zlib.error as error:
            raise FetchFailed(f"expected {'gzip' if self._gzip else 'deflate'} data, got something else") from error

    def _unpack(self, data: bytes) -> Iterator[bytes]:
        self._begun = b""
        more_inside = False
        while (data or more_inside) and not self._ended:
            if self._inflater is None:
                if len(data) < 2:
                    self._begun = data
                    return
                self._begin(data)
                continue
            piece = self._inflater.decompress(data, _PIECE)
            if piece:
                yield piece
            # Output can remain in the inflater when all input is used up.
            more_inside = len(piece) == _PIECE
            data = self._inflater.unconsumed_tail
            if self._inflater.eof:
                data, more_inside = self._inflater.unused_data, False
                self._inflater = None
                self._members += 1

    def _begin(self, data: bytes) -> None:
        if self._members and not (self._gzip and data.startswith(_GZIP_MAGIC)):
            # What follows the last member is padding, by every browser's habit.
            self._ended = True
            return
        deflate = _ZLIB if _is_zlib(data) else _RAW
        self._inflater = zlib.decompressobj(_GZIP if self._gzip else deflate)

    def finish(self) -> None:
        if self._inflater or (self._begun and not self._members):
            raise FetchFailed("the compressed body ends before its data is complete")


def decoder(encoding: str) -> Decoder:
    """What undoes the value of a Content-Encoding header.

    Raises:
        FetchRefused: it was not announced.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return Identity()
    if name in {"gzip", "x-gzip", "deflate"}:
        return Inflate(gzip=name != "deflate")
    raise FetchRefused(f"expected a body encoded as one of {ACCEPTED}, got {name[:40]!r}")


def _is_zlib(data: bytes) -> bool:
    """Whether these two bytes are a zlib header (RFC 1950, 2.2)."""
    return data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
