"""The parts of an Excel workbook, with limits on what is read of them.

A workbook of 68 KB can have a part of 64 MiB, from which openpyxl would build a tree of 2 GB. It holds some parts in
memory as a whole, and of a sheet one row.
"""

from __future__ import annotations

import re
import zipfile
from typing import IO, Any, NoReturn, Self

from core.item_errors import BadManifest, SourceEnded

_MAX_WHOLE_BYTES = 8 * 2**20
"""Unpacked bytes of all parts together that are held as trees, such as the styles. A tree takes up to 32 times as much
memory."""
_MAX_TEXTS_BYTES, _MAX_TEXTS_TAGS = 64 * 2**20, 4_000_000
"""Unpacked bytes, and opening and closing tags, of the part with the texts of all cells."""
_TEXTS_RATIO, _MIN_TEXTS_BYTES = 50, 2**20
"""Highest accepted ratio of unpacked to compressed bytes of that part, from this size on. The part holds each text only
once, so that it is compressed less than other parts, and each text takes some microseconds."""
_MAX_ROW_BYTES = 2 * 2**20
"""Unpacked bytes of a sheet between the ends of two rows. A cell without content takes 300 bytes of memory."""
_END_OF_ROWS = re.compile(rb"</(?:\w+:)?sheetData\s*>")
_LONGEST_END = 40


class RowsEnded(Exception):
    """The sheet has no further rows. What follows them can be long, and nothing of it is needed."""


class Parts(zipfile.ZipFile):
    """The parts of a workbook, for openpyxl. Reading more than a limit raises SourceEnded."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self._whole_left = _MAX_WHOLE_BYTES
        self._bytes_left, self._tags_left = 0, _MAX_TEXTS_TAGS
        self._reads_rows = False

    def open(self, name: Any, mode: Any = "r", pwd: bytes | None = None, *, force_zip64: bool = False) -> Any:
        """Return a part as a file."""
        if not self._reads_rows:
            packed = self.getinfo(name).compress_size
            self._bytes_left = min(max(_MIN_TEXTS_BYTES, _TEXTS_RATIO * packed), _MAX_TEXTS_BYTES)
        return _Part(super().open(name, mode, pwd, force_zip64=force_zip64), self)

    def allow_row(self) -> None:
        """Allow the next row of a sheet to be read. From the first call on, only sheets are read."""
        self._reads_rows = True
        self._bytes_left = _MAX_ROW_BYTES

    def read_whole(self, file: IO[bytes]) -> bytes:
        """Return the bytes of a part that is held as a whole."""
        data = file.read(self._whole_left + 1)
        if len(data) > self._whole_left:
            _refuse(_MAX_WHOLE_BYTES, "in the parts of a workbook that describe it")
        self._whole_left -= len(data)
        return data

    def count(self, piece: bytes) -> bool:
        """Count a piece of a part that is read piece by piece, and return whether the part is a sheet."""
        self._bytes_left -= len(piece)
        if self._reads_rows:
            if self._bytes_left < 0:
                _refuse(_MAX_ROW_BYTES, "in a row of a workbook")
            return True
        self._tags_left -= piece.count(b"<")
        if self._bytes_left < 0 or self._tags_left < 0:
            _refuse(_MAX_TEXTS_BYTES, f"({_TEXTS_RATIO} times the compressed ones) in the texts of a workbook")
        return False


class _Part:
    """One part as a file."""

    def __init__(self, file: IO[bytes], parts: Parts) -> None:
        self._file = file
        self._parts = parts
        self._tail = b""
        self._has_all_rows = False

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self._parts.read_whole(self._file)
        if self._has_all_rows:
            raise RowsEnded
        piece = self._file.read(size)
        if self._parts.count(piece):
            self._has_all_rows = _END_OF_ROWS.search(self._tail + piece) is not None
            self._tail = piece[-_LONGEST_END:]
        return piece

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _refuse(limit: int, where: str) -> NoReturn:
    raise SourceEnded(BadManifest(f"expected at most {limit:,} unpacked bytes {where}, got more. Save it as CSV"))
