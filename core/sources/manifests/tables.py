"""Reads tables: finds their header (or that they have none), and makes rows of their records."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from core.item_errors import BadRow, ItemError
from core.sources.manifests.columns import Columns, looks_like_url
from core.sources.manifests.rows import Row, is_unreadable, rows_of, unreadable_row, with_row_number
from core.sources.manifests.shopify import ContinuedProducts
from core.sources.manifests.text import MAX_ROW, Lines, TooLong
from core.sources.names import storable

Record = list[str] | BadRow
"""The fields of one row of a table, or why it cannot be read."""

_DELIMITERS = ",;\t|"
_MAX_COLUMNS = 1000
"""Columns of the widest table. Names that repeat are compared with each other."""
_HEADER_WITHIN = 10
"""The header is in the first rows. Above it, spreadsheets often have a title."""
_EXCEL_SEPARATOR = re.compile(r"sep=(.)\s*", re.I)
_PICTURE_NAME = re.compile(r"\.(jpe?g|png|webp|gif|avif|bmp|tiff?|heic|heif|jxl|jp2)\b", re.I)


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns of a table, and how many rows end with the header. 0: the table has no header."""

    rows: int
    names: list[str]
    sample: list[str]
    """The first value of each column, or an empty text."""
    picture: str | None = None
    """The column that has the pictures, if only its values show this."""


def csv_rows(lines: Lines, columns: Columns, encoding: str) -> Iterator[Row | None]:
    """Yield the pictures of each record of a CSV file or of a list of URLs, and None for each empty record.

    Raises:
        SourceEnded: no column with pictures can be found. The error says what to change.
    """
    first = lines.peek(2 * _HEADER_WITHIN)
    if not columns.given and _is_list_of_urls(first):
        columns.given = {"1": columns.picture_field}
        yield from _listed_rows(lines, columns, encoding)
        return
    declared = next((match[1] for line in first if (match := _EXCEL_SEPARATOR.fullmatch(line))), None)
    headers = {
        delimiter: find_header(_records_of(first, delimiter), columns) for delimiter in (declared or _DELIMITERS)
    }
    best = max(headers, key=lambda delimiter: _fitness(headers[delimiter], columns))
    header = headers[best]
    if header is None:
        names = next((record for record in _records_of(first, declared or _most_frequent(first)) if any(record)), [])
        raise columns.refusal([storable(name).strip() for name in names])
    yield from table_rows(lambda: _next_record(lines, best), header, columns, encoding)


def table_rows(
    next_record: Callable[[], Record | None], header: Header, columns: Columns, encoding: str = "utf-8"
) -> Iterator[Row | None]:
    """Yield the pictures of each record behind the header, and None for each record that is empty."""
    columns.check_given(header.names)
    if header.picture is not None:
        columns.given.setdefault(header.picture, columns.picture_field)
    columns.fields_of(header.names, header.sample)
    names, number = header.names, header.rows
    for _ in range(header.rows):
        next_record()
    products = ContinuedProducts(names)
    while (record := next_record()) is not None:
        number += 1
        if isinstance(record, BadRow):
            yield Row(number, error=with_row_number(number, record))
        elif not any(value.strip() for value in record):
            yield None
        elif is_unreadable(record):
            yield unreadable_row(number, encoding)
        else:
            try:
                values = products.complete(_checked_values(names, record))
            except ItemError as error:
                yield Row(number, error=with_row_number(number, error))
                continue
            if values is None:
                yield None
            else:
                yield from rows_of(number, names, values, columns)


def find_header(records: Sequence[Sequence[str]], columns: Columns) -> Header | None:
    """Return the header of a table by its first records. None: no column with pictures can be found.

    It is the row with most names that are known. Without one, a column of URLs is the one with the pictures: below
    names that are not known, or in a table without any header, whose columns are named by their numbers, from 1.
    """
    records = [record[:_MAX_COLUMNS] for record in records]
    found = [(number, record) for number, record in enumerate(records) if any(value.strip() for value in record)]
    found = found[:_HEADER_WITHIN]
    best, known = None, 0
    for number, record in found:
        count = 0 if any(map(looks_like_url, record)) else columns.count_known(record)
        if count > known:
            names = column_names(record)
            best, known = Header(number + 1, names, _sample(records[number + 1 :], len(names))), count
    if best is not None or not found or columns.names_files:
        return best
    first, record = found[0]
    if any(map(looks_like_url, record)):
        first, names = 0, [str(number + 1) for number in range(max(len(record) for _, record in found))]
    else:
        first, names = first + 1, column_names(record)
    sample = _sample(records[first:], len(names))
    picture = _column_of_pictures(sample)
    if picture is None:
        return None
    return Header(first, names, sample, None if columns.given else names[picture])


def column_names(record: Sequence[str]) -> list[str]:
    """Return the names of the columns, each of them once, and none of them empty."""
    names: list[str] = []
    for number, value in enumerate(record):
        name = " ".join(storable(value).replace("\ufeff", "").split()) or str(number + 1)
        repeated = sum(other == name or other.startswith(f"{name} ") for other in names)
        names.append(f"{name} {repeated + 1}" if name in names else name)
    while len(names) > 1 and not record[len(names) - 1].strip():
        names.pop()
    return names


def _sample(records: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return the first value of each column that is not empty."""
    sample = [""] * width
    for record in records:
        for number, value in enumerate(record[:width]):
            sample[number] = sample[number] or value.strip()
    return sample


def _column_of_pictures(sample: Sequence[str]) -> int | None:
    """Return the first column of URLs, of those with the names of pictures if there are any."""
    urls = [number for number, value in enumerate(sample) if looks_like_url(value)]
    pictures = [number for number in urls if _PICTURE_NAME.search(sample[number])]
    return next(iter(pictures or urls), None)


def _checked_values(names: Sequence[str], record: Sequence[str]) -> list[str]:
    if any(value.strip() for value in record[len(names) :]):
        raise BadRow(f"expected at most {len(names)} fields, got {len(record)}")
    if any("\x00" in value for value in record):
        raise BadRow("expected text, got NUL characters")
    values = [storable(value).strip() for value in record[: len(names)]]
    return values + [""] * (len(names) - len(values))


def _fitness(header: Header | None, columns: Columns) -> tuple[int, int]:
    """Return how well a delimiter fits: by the columns that are known, then by the number of columns."""
    return (-1, 0) if header is None else (columns.count_known(header.names), len(header.names))


def _most_frequent(lines: Sequence[str]) -> str:
    return max(_DELIMITERS, key="".join(lines).count)


def _is_list_of_urls(lines: Sequence[str]) -> bool:
    """Return whether each line is one URL. A comma separates only if what follows is no part of the URL."""
    texts = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return bool(texts) and all(
        looks_like_url(text) and not re.search(r"[\s;|\"]", text) and _is_whole(text) for text in texts
    )


def _is_whole(url: str) -> bool:
    first, *others = url.split(",")
    return not others or "?" in first or any("/" in part or _PICTURE_NAME.search(part) for part in others)


def _listed_rows(lines: Lines, columns: Columns, encoding: str) -> Iterator[Row | None]:
    number = 0
    while (line := lines.next()) is not None:
        number += 1
        text = line.strip()
        if not text or text.startswith("#"):
            yield None
        elif isinstance(line, TooLong):
            yield Row(number, error=BadRow(f"row {number}: expected at most {MAX_ROW:,} characters, got more"))
        elif is_unreadable([text]):
            yield unreadable_row(number, encoding)
        elif "\x00" in text:
            yield Row(number, error=BadRow(f"row {number}: expected text, got NUL characters"))
        else:
            yield from rows_of(number, ["1"], [storable(text)], columns)


def _records_of(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Return the records of the first lines. A line that is no CSV ends them."""
    records: list[list[str]] = []
    with suppress(csv.Error):
        for record in csv.reader(lines, delimiter=delimiter):
            records.append([] if _EXCEL_SEPARATOR.fullmatch(delimiter.join(record)) else record)
    return records


def _next_record(lines: Lines, delimiter: str) -> Record | None:
    """Return the fields of the next record, which can span several lines, or None at the end of the file.

    A quote that is never closed makes only its own line invalid. The next lines are read as if the quote did not exist.
    """
    used: list[str] = []
    length, unclosed = 0, False

    def feed() -> Iterator[str]:
        # The csv reader asks for another line only while a quote is open.
        nonlocal length, unclosed
        while (line := lines.next()) is not None:
            used.append(line)
            length += len(line)
            if isinstance(line, TooLong) or length > MAX_ROW:
                break
            yield line
        unclosed = True

    try:
        fields = next(csv.reader(feed(), delimiter=delimiter), None)
    except csv.Error as error:
        lines.push_back(used[1:])
        return BadRow(f"expected CSV fields, got an error: {error}")
    if not used:
        return None
    if isinstance(used[0], TooLong):
        return BadRow(f"expected at most {MAX_ROW:,} characters, got more")
    if unclosed:
        lines.push_back(used[1:])
        return BadRow("expected a closing quote, got none")
    return fields or []
