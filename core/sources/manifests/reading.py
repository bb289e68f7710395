"""Opens a manifest of any kind. Its content decides the kind, not its name."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO

from core.item_errors import BadManifest, SourceEnded
from core.sources.manifests.columns import Columns
from core.sources.manifests.feeds import feed_rows
from core.sources.manifests.objects import object_rows
from core.sources.manifests.rows import Row
from core.sources.manifests.tables import csv_rows
from core.sources.manifests.text import MAX_ROW, Lines, find_encoding, open_text
from core.sources.manifests.workbooks import XLS_MAGIC, XLSX_MAGIC, workbook_rows
from core.sources.unpacking import UnpackedStream, compression_of

MAX_BYTES = 512 * 2**20
"""Maximum size of a manifest in bytes after decompression, unless the caller has another limit."""

_HEAD_BYTES = 16


def manifest_rows(
    file: IO[bytes], max_rows: int, columns: Columns | None = None, max_bytes: int = MAX_BYTES
) -> Generator[Row | None]:
    """Yield the pictures of a manifest, and None for each empty row. Every reading yields the same.

    `columns` says what the client knows about the columns. Afterwards it says what was understood.

    Raises:
        SourceEnded: the file is not a manifest, or it has more than `max_rows` pictures or `max_bytes`.
    """
    for count, row in enumerate(_rows(file, columns or Columns(), max_bytes)):
        if count == max_rows:
            raise SourceEnded(BadManifest(f"expected at most {max_rows:,} rows, got more"))
        yield row


def _rows(file: IO[bytes], columns: Columns, max_bytes: int) -> Iterator[Row | None]:
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.startswith(XLSX_MAGIC):
        yield from workbook_rows(file, columns)
    elif head.startswith(XLS_MAGIC):
        detail = "expected .xlsx, got a workbook of Excel 97 to 2003 (.xls). Save it as .xlsx or as CSV"
        raise SourceEnded(BadManifest(detail))
    else:
        encoding = find_encoding(_unpacked(file, head, max_bytes))
        with _opened_text(file, head, max_bytes, encoding) as text:
            first = _first_character(text)
        with _opened_text(file, head, max_bytes, encoding) as text:
            if first == "<":
                yield from feed_rows(text, columns, encoding)
            elif first == "{":
                yield from object_rows(Lines(text), columns, encoding)
            else:
                yield from csv_rows(Lines(text), columns, encoding)


@contextmanager
def _opened_text(file: IO[bytes], head: bytes, max_bytes: int, encoding: str) -> Iterator[io.TextIOWrapper]:
    file.seek(0)
    text = open_text(_unpacked(file, head, max_bytes), encoding)
    try:
        yield text
    finally:
        # Without this, the wrapper would close the caller's file.
        text.detach()


def _first_character(text: TextIO) -> str:
    """Return the first character that is no space.

    Raises:
        SourceEnded: no kind of manifest begins with it, or there is none.
    """
    block = text.read(MAX_ROW)
    while block and not block.strip():
        block = text.read(MAX_ROW)
    first = block.lstrip()[:1]
    if not first:
        detail = "expected a table with a column of pictures, such as image_url, got an empty file"
        raise SourceEnded(BadManifest(detail))
    if first == "[":
        raise SourceEnded(BadManifest("expected CSV, or JSONL with one object per line, got a JSON array"))
    return first


def _unpacked(file: IO[bytes], head: bytes, max_bytes: int) -> Any:
    """Return the file, or a file with what it unpacks to if it is compressed."""
    new_decompressor = compression_of(head)
    if new_decompressor is None:
        return file
    stream = UnpackedStream(file, new_decompressor, max_bytes)
    return io.BufferedReader(_UnpackedFile(stream))


class _UnpackedFile(io.RawIOBase):
    """The unpacked bytes of a compressed file, as a file."""

    def __init__(self, stream: UnpackedStream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
