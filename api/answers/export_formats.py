"""The formats of an export: each makes bytes of columns and batches of rows, piece by piece."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from core.clock import rfc3339
from db.views.exports import Column, ColumnKind, Rows, Value

if TYPE_CHECKING:
    import pyarrow

Pieces = Callable[[Sequence[Column], Iterable[Rows], Mapping[str, str]], Iterator[bytes]]
"""Columns, batches of rows, and what is known of the whole -> the bytes of the file."""

ROW_GROUP = 10_000
"""Rows of a row group of Parquet: what is in memory at once, and what a reader can pass over."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins like this is run by spreadsheets (OWASP, CSV injection)."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format, its media type and how its pieces are made."""

    media_type: str
    pieces: Pieces


def _csv(columns: Sequence[Column], batches: Iterable[Rows], about: Mapping[str, str]) -> Iterator[bytes]:
    """RFC 4180 with a byte order mark, by which spreadsheets know UTF-8; text can never be a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column.name for column in columns])
    yield b"\xef\xbb\xbf" + text.getvalue().encode()
    cells = [_CELLS[column.kind] for column in columns]
    for batch in batches:
        text.seek(0)
        text.truncate()
        writer.writerows(
            [None if value is None else cell(value) for cell, value in zip(cells, row, strict=True)] for row in batch
        )
        yield text.getvalue().encode()


def escape_formula(text: str) -> str:
    """Text for a cell of a spreadsheet: what would be run as a formula is marked as text by an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _same(value: Any) -> Any:
    return value


_CELLS: dict[ColumnKind, Callable[[Any], Any]] = {
    "text": escape_formula,
    "integer": _same,
    "number": _same,
    "flag": lambda value: "true" if value else "false",
    "moment": rfc3339,
    "object": _json,
}


def _jsonl(columns: Sequence[Column], batches: Iterable[Rows], about: Mapping[str, str]) -> Iterator[bytes]:
    """One object a line."""
    names = [column.name for column in columns]
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=rfc3339).encode
    for batch in batches:
        yield "".join(f"{encode(dict(zip(names, row, strict=True)))}\n" for row in batch).encode()


def _parquet(columns: Sequence[Column], batches: Iterable[Rows], about: Mapping[str, str]) -> Iterator[bytes]:
    """Typed columns; `about` in the metadata of the file. Its footer comes last: what breaks off cannot be read."""
    # Not with the API itself: few need it, and it costs each process its start and some 50 MB.
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([(column.name, _arrow_type(column.kind)) for column in columns], metadata=dict(about))
    sink = _Sink()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for rows in _grouped(batches):
            values = [
                pyarrow.array(_arrow_values(column.kind, found), field.type)
                for column, field, found in zip(columns, schema, zip(*rows, strict=True), strict=True)
            ]
            writer.write_batch(pyarrow.record_batch(values, schema=schema), row_group_size=ROW_GROUP)
            yield sink.take()
    yield sink.take()


def _grouped(batches: Iterable[Rows]) -> Iterator[Rows]:
    rows: Rows = []
    for batch in batches:
        rows += batch
        if len(rows) >= ROW_GROUP:
            yield rows
            rows = []
    if rows:
        yield rows


def _arrow_type(kind: ColumnKind) -> pyarrow.DataType:
    import pyarrow

    types = {
        "text": pyarrow.string(),
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "flag": pyarrow.bool_(),
        "moment": pyarrow.timestamp("ms", tz="UTC"),
        "object": pyarrow.string(),
    }
    return types[kind]


def _arrow_values(kind: ColumnKind, values: Sequence[Value]) -> Sequence[Value]:
    if kind == "object":
        return [None if value is None else _json(value) for value in values]
    if kind == "moment":
        moments = cast("Sequence[datetime | None]", values)
        # As precise as in the other formats.
        return [value and value.replace(microsecond=value.microsecond // 1000 * 1000) for value in moments]
    return values


class _Sink(io.RawIOBase):
    """A file that is handed on piece by piece while it is written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


FORMATS = {
    "csv": Format("text/csv; charset=utf-8", _csv),
    "jsonl": Format("application/jsonl; charset=utf-8", _jsonl),
    "parquet": Format("application/vnd.apache.parquet", _parquet),
}
