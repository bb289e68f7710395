"""Reads Excel workbooks (.xlsx) row by row. What they unpack to is limited before any of it is read."""

from __future__ import annotations

import datetime
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from typing import IO, Any

from core.errors import BadManifest, BadRow, SourceEnded
from core.sources.manifests.columns import Columns
from core.sources.manifests.rows import Row
from core.sources.manifests.tables import Record, find_header, table_rows
from core.sources.manifests.text import MAX_ROW

XLSX_MAGIC, XLS_MAGIC = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_MAX_SHEETS_BYTES = 512 * 2**20
"""Unpacked bytes of all parts of a workbook. Sheets are read as a stream."""
_MAX_TABLES_BYTES = 64 * 2**20
"""Unpacked bytes of a part that openpyxl holds in memory as a whole, such as the texts of all cells."""
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
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        _check_parts(file)
        workbook = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except (*_DAMAGED, InvalidFileException) as error:
        raise SourceEnded(BadManifest(f"expected an Excel workbook (.xlsx), got a damaged one: {error}")) from error
    names: list[str] = []
    for sheet in workbook.worksheets:
        records = _records(sheet)
        first = list(islice(records, _SEARCHED_ROWS))
        header = find_header([record for record in first if isinstance(record, list)], columns)
        if header is not None:
            rest = chain(first, records)
            yield from table_rows(partial(next, rest, None), header, columns)
            return
        names = names or next((record for record in first if isinstance(record, list) and any(record)), [])
    raise columns.refusal([name for name in names if name])


def _check_parts(file: IO[bytes]) -> None:
    with zipfile.ZipFile(file) as parts:
        sizes = {part.filename.lower(): part.file_size for part in parts.infolist()}
    # zipfile never unpacks more of a part than its announced size.
    if sum(sizes.values()) > _MAX_SHEETS_BYTES:
        raise SourceEnded(BadManifest(f"expected a workbook of at most {_MAX_SHEETS_BYTES:,} unpacked bytes, got more"))
    large = [name for name, size in sizes.items() if size > _MAX_TABLES_BYTES and "/worksheets/" not in f"/{name}"]
    if large:
        raise SourceEnded(
            BadManifest(
                f"expected at most {_MAX_TABLES_BYTES:,} unpacked bytes in {large[0]}, got more. Save it as CSV"
            )
        )


def _records(sheet: Any) -> Iterator[Record]:
    # Some programs write a wrong size of the sheet, behind which openpyxl would read nothing.
    sheet.reset_dimensions()
    try:
        for cells in sheet.iter_rows(values_only=True):
            values = [_text(value) for value in cells[:_MAX_COLUMNS]]
            if sum(map(len, values)) > MAX_ROW:
                yield BadRow(f"expected at most {MAX_ROW:,} characters, got more")
            else:
                yield values
    except _DAMAGED as error:
        raise SourceEnded(BadManifest(f"the workbook is damaged: {error}")) from error


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
