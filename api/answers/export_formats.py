"""The formats of an export. Each one encodes columns and pages of rows as bytes, piece by piece."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from core.clock import rfc3339
from db.views.exports import Column, ColumnKind, Rows, Value

if TYPE_CHECKING:
    import pyarrow

Encoder = Callable[[Sequence[Column], Iterable[Rows], Mapping[str, str]], Iterator[bytes]]
"""(columns, pages of rows, metadata of the export) -> the bytes of the file."""

ROW_GROUP = 10_000
"""Rows of a row group of Parquet. One group is in memory at a time, and readers can skip whole groups."""

_SKIPPED = r"[\s\0-\x1f\x7f-\x9f\xad\u200b-\u200f\u2060\ufeff]*"
_SIGN = r"[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212]"
_FORMULA = re.compile(rf"[\t\r\n]|{_SKIPPED}{_SIGN}")
"""The start of a cell that spreadsheets may run as a formula (OWASP, CSV injection).

Some skip white space and invisible characters before it, and some read the full-width and small forms of Korean and
Japanese keyboards, and the minus of mathematics, like ASCII."""


@dataclass(frozen=True, slots=True)
class Format:
    """A media type, and the function that encodes rows in it."""

    media_type: str
    encode: Encoder


def _encode_csv(columns: Sequence[Column], pages: Iterable[Rows], metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Yield CSV (RFC 4180). The byte order mark tells spreadsheets that it is UTF-8. No text can act as a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column.name for column in columns])
    yield b"\xef\xbb\xbf" + text.getvalue().encode()
    cells = [_CELLS[column.kind] for column in columns]
    for rows in pages:
        text.seek(0)
        text.truncate()
        writer.writerows(
            [None if value is None else cell(value) for cell, value in zip(cells, row, strict=True)] for row in rows
        )
        yield text.getvalue().encode()


def escape_formula(text: str) -> str:
    """Return text for a cell of a spreadsheet. An apostrophe keeps it from being run as a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _unchanged(value: Any) -> Any:
    return value


_CELLS: dict[ColumnKind, Callable[[Any], Any]] = {
    "text": escape_formula,
    "integer": _unchanged,
    "number": _unchanged,
    "flag": lambda value: "true" if value else "false",
    "moment": rfc3339,
    "object": _json,
}


def _encode_jsonl(columns: Sequence[Column], pages: Iterable[Rows], metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Yield one JSON object per line."""
    names = [column.name for column in columns]
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=rfc3339).encode
    for rows in pages:
        yield "".join(f"{encode(dict(zip(names, row, strict=True)))}\n" for row in rows).encode()


def _encode_parquet(columns: Sequence[Column], pages: Iterable[Rows], metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Yield a Parquet file with typed columns and `metadata`.

    The footer comes last, so readers refuse a file that was cut off.
    """
    # Imported here, because the import makes a process start more slowly and take some 50 MB, and few exports need it.
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([(column.name, _arrow_type(column.kind)) for column in columns], metadata=dict(metadata))
    sink = _Sink()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for rows in _regrouped(pages):
            arrays = [
                pyarrow.array(_arrow_values(column.kind, values), field.type)
                for column, field, values in zip(columns, schema, zip(*rows, strict=True), strict=True)
            ]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema), row_group_size=ROW_GROUP)
            yield sink.take()
    yield sink.take()


def _regrouped(pages: Iterable[Rows]) -> Iterator[Rows]:
    rows: Rows = []
    for page in pages:
        rows += page
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
        # The other formats have whole milliseconds, too.
        return [value and value.replace(microsecond=value.microsecond // 1000 * 1000) for value in moments]
    return values


class _Sink(io.RawIOBase):
    """A file in memory whose bytes are taken out while it is being written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return the bytes that were written since the last call."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


FORMATS = {
    "csv": Format("text/csv; charset=utf-8", _encode_csv),
    "jsonl": Format("application/jsonl; charset=utf-8", _encode_jsonl),
    "parquet": Format("application/vnd.apache.parquet", _encode_parquet),
}
