"""Decodes content encodings piece by piece, so that a small body that unpacks to a huge one takes little memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from core.item_errors import FetchFailed, FetchRefused

ACCEPTED = "gzip, deflate"
"""The value of Accept-Encoding. It omits br and zstd: a default installation cannot unpack them within bounds."""

_PIECE_BYTES = 64 * 2**10
"""Maximum number of bytes that are unpacked at a time."""
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


class Decoder(Protocol):
    """Decodes one body."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded pieces of `data`.

        Raises:
            FetchFailed: the data does not have the encoding that the header names.
        """
        ...

    def finish(self) -> None:
        """Check that the body is complete.

        Raises:
            FetchFailed: the body ended in the middle of its data.
        """
        ...


class Identity:
    """Passes the body on unchanged."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        pass


class Inflate:
    """Decodes gzip (RFC 1952, with several members, too) or deflate (RFC 1950, or the raw RFC 1951 of some servers)."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inflater: zlib._Decompress | None = None
        """None before the first member and between two members."""
        self._incomplete_start = b""
        """The first byte of a member whose second byte has not arrived yet."""
        self._members = 0
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            yield from self._unpack(self._incomplete_start + data)
        except zlib.error as error:
            raise FetchFailed(f"expected {'gzip' if self._gzip else 'deflate'} data, got other bytes") from error

    def _unpack(self, data: bytes) -> Iterator[bytes]:
        self._incomplete_start = b""
        more_output = False
        while (data or more_output) and not self._ended:
            if self._inflater is None:
                if len(data) < 2:
                    self._incomplete_start = data
                    return
                self._start_member(data)
                continue
            piece = self._inflater.decompress(data, _PIECE_BYTES)
            if piece:
                yield piece
            # The inflater can hold more output although it has used up all input.
            more_output = len(piece) == _PIECE_BYTES
            data = self._inflater.unconsumed_tail
            if self._inflater.eof:
                data, more_output = self._inflater.unused_data, False
                self._inflater = None
                self._members += 1

    def _start_member(self, data: bytes) -> None:
        if self._members and not (self._gzip and data.startswith(_GZIP_MAGIC)):
            # Browsers ignore bytes after the last member as padding, and so does this decoder.
            self._ended = True
            return
        deflate = _ZLIB if _is_zlib(data) else _RAW
        self._inflater = zlib.decompressobj(_GZIP if self._gzip else deflate)

    def finish(self) -> None:
        if self._inflater or (self._incomplete_start and not self._members):
            raise FetchFailed("the compressed body is incomplete: its data ends too early")


def decoder(encoding: str) -> Decoder:
    """Return the decoder for the value of a Content-Encoding header.

    Raises:
        FetchRefused: the request did not announce this encoding.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return Identity()
    if name in {"gzip", "x-gzip", "deflate"}:
        return Inflate(gzip=name != "deflate")
    raise FetchRefused(f"expected a body encoded as one of {ACCEPTED}, got {name[:40]!r}")


def _is_zlib(data: bytes) -> bool:
    """Return whether the first two bytes are a zlib header (RFC 1950, 2.2)."""
    return data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
