"""Reads Excel workbooks (.xlsx) row by row. What they unpack to is limited before any of it is read."""

from __future__ import annotations

import datetime
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import IO, Any

from core.item_errors import BadManifest, BadRow, SourceEnded
from core.sources.manifests.columns import Columns
from core.sources.manifests.rows import Row
from core.sources.manifests.tables import Record, find_header, table_rows
from core.sources.manifests.text import MAX_ROW
from core.sources.manifests.workbook_parts import Parts, RowsEnded

XLSX_MAGIC, XLS_MAGIC = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_MAX_BYTES = 512 * 2**20
"""Unpacked bytes of all parts of a workbook."""
_MAX_SHEETS = 100
"""Number of sheets among which one with pictures is searched."""
_MAX_COLUMNS = 500
_SEARCHED_ROWS = 20
# A damaged workbook can raise almost anything, because openpyxl trusts its XML.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, SyntaxError),
    *(ValueError, LookupError, TypeError, AttributeError, NotImplementedError, RuntimeError, OverflowError),
)


def workbook_rows(file: IO[bytes], columns: Columns) -> Iterator[Row | None]:
    """Yield the pictures of each row of the first sheet with a column of pictures, and None for each empty row.

    Raises:
        SourceEnded: no sheet has such a column, or the workbook is damaged or too large.
    """
    # Imported here, because it takes half a second, and every command and process imports this module.
    from openpyxl.reader.excel import ExcelReader
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        parts = Parts(file)
        _check_size(parts)
        reader = ExcelReader(file, read_only=True, data_only=True, keep_links=False)
        reader.archive = parts
        reader.read()
    except (*_DAMAGED, InvalidFileException) as error:
        raise SourceEnded(BadManifest(f"expected an Excel workbook (.xlsx), got a damaged one: {error}")) from error
    names: list[str] = []
    for sheet in reader.wb.worksheets[:_MAX_SHEETS]:
        records = _records(sheet, parts)
        first, ended = _peek(records)
        header = find_header([record for record in first if isinstance(record, list)], columns)
        if header is not None:
            yield from table_rows(partial(next, _again(first, ended, records), None), header, columns)
            return
        if ended is not None:
            raise ended
        names = names or next((record for record in first if isinstance(record, list) and any(record)), [])
    raise columns.refusal([name for name in names if name])


def _check_size(parts: Parts) -> None:
    # zipfile never unpacks more of a part than its announced size.
    if sum(part.file_size for part in parts.infolist()) > _MAX_BYTES:
        raise SourceEnded(BadManifest(f"expected a workbook of at most {_MAX_BYTES:,} unpacked bytes, got more"))


def _records(sheet: Any, parts: Parts) -> Iterator[Record]:
    # Some programs write a wrong size of the sheet, behind which openpyxl would read nothing.
    sheet.reset_dimensions()
    parts.allow_row()
    try:
        for cells in sheet.iter_rows(values_only=True):
            parts.allow_row()
            values = [_text(value) for value in cells[:_MAX_COLUMNS]]
            if sum(map(len, values)) > MAX_ROW:
                yield BadRow(f"expected at most {MAX_ROW:,} characters, got more")
            else:
                yield values
    except RowsEnded:
        return
    except _DAMAGED as error:
        raise SourceEnded(BadManifest(f"the workbook is damaged: {error}")) from error


def _peek(records: Iterator[Record]) -> tuple[list[Record], SourceEnded | None]:
    """Return the first records of a sheet, and the error that ended them."""
    first: list[Record] = []
    try:
        for record in islice(records, _SEARCHED_ROWS):
            first.append(record)
    except SourceEnded as error:
        return first, error
    return first, None


def _again(first: list[Record], ended: SourceEnded | None, records: Iterator[Record]) -> Iterator[Record]:
    """Yield all records of a sheet after a look at the first ones."""
    yield from first
    if ended is not None:
        raise ended
    yield from records


def _text(value: object) -> str:
    """Return a cell as a person sees it: whole numbers without a fraction, dates in the order of ISO 8601."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
    return str(value)
