"""Manifests: tables of URLs, as CSV that spreadsheets write or as JSONL. A bad row never takes the others with it.

Rows are with_row_number as a spreadsheet numbers them: the header is row 1, and empty ones count.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TextIO

from core.errors import BadCrop, BadManifest, BadRow, ItemError, SourceEnded
from core.fetching.urls import MAX_URL
from core.sources.names import clean
from core.types import Crop

MAX_ROW = 64 * 1024
"""Longest row, in characters: with more, a quote was not closed or a line is no line."""
PROVENANCE = {"page_url": MAX_URL, "title": 2000, "price": 100, "currency": 100, "alt": 2000}
"""What may be known of where a picture came from, and its longest value in characters."""
MAX_ID = 500
MAX_DETAILS = 16 * 1024
"""Largest `metadata` of one item, in bytes of JSON."""
MAX_DEPTH = 16
"""So many objects and lists of JSON may lie within each other."""

_DELIMITERS = ",;\t|"
_SNIFFED = 64 * 1024
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_CROP = re.compile(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*")
_EXCEL_SEPARATOR = re.compile(r"sep=(.)\s*", re.I)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a picture's URL and what is known of it, or with `error` why there is no knowing."""

    number: int
    url: str = ""
    custom_id: str | None = None
    crop: Crop | None = None
    provenance: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    error: ItemError | None = None


def manifest_rows(file: IO[bytes], most: int) -> Generator[Row | None]:
    """The rows of a manifest after its header, the same in every reading of it; None for an empty one.

    Raises:
        SourceEnded: it is no manifest, or has more rows than `most`.
    """
    text = io.TextIOWrapper(file, _encoding(file), errors="replace")
    try:
        lines = _Lines(text)
        first = _first_line(lines)
        rows = _json_rows(lines) if first.lstrip().startswith("{") else _csv_rows(lines)
        for count, row in enumerate(rows):
            if count == most:
                raise SourceEnded(BadManifest(f"expected at most {most:,} rows, got more"))
            yield row
    finally:
        # Else it would close a file that is not its own.
        text.detach()


def with_row_number(number: int, error: ItemError) -> ItemError:
    """The same error, with the row in which it is."""
    return type(error)(f"row {number}: {error.detail}")


class _TooLong(str):
    """The beginning of a line that is longer than any row may be."""


class _Lines:
    """Lines of bounded length, of which some can be given back."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._returned: list[str] = []

    def next(self) -> str | None:
        """The next line, with its end; None at the end."""
        if self._returned:
            return self._returned.pop()
        line = self._text.readline(MAX_ROW)
        if len(line) < MAX_ROW or line.endswith("\n"):
            return line or None
        while (rest := self._text.readline(MAX_ROW)) and not rest.endswith("\n"):
            pass
        return _TooLong(line[:100])

    def give_back(self, lines: list[str]) -> None:
        self._returned += reversed(lines)


def _encoding(file: IO[bytes]) -> str:
    """By its mark; else UTF-8 if it begins as that, or what a Korean spreadsheet writes."""
    head = file.read(_SNIFFED)
    file.seek(0)
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head[1:8:2] == b"\x00" * 4:
        return "utf-16-le"
    if head[0:8:2] == b"\x00" * 4:
        return "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp949"
    return "utf-8"


def _first_line(lines: _Lines) -> str:
    """The first line that is not empty; nothing is taken."""
    passed = []
    while (line := lines.next()) is not None:
        passed.append(line)
        if line.strip():
            break
        if len(passed) > MAX_ROW:
            break
    lines.give_back(passed)
    if line is None:
        raise SourceEnded(BadManifest("expected a header with the column url, or JSONL; got nothing"))
    if line.lstrip().startswith("["):
        raise SourceEnded(BadManifest("expected CSV or JSONL (an object in each line), got a JSON array"))
    return line


def _json_rows(lines: _Lines) -> Iterator[Row | None]:
    number = 0
    while (line := lines.next()) is not None:
        number += 1
        yield None if not line.strip() else _guarded(number, line, _json_row)


def _json_row(number: int, line: str) -> Row:
    try:
        members = json.loads(line, parse_constant=_finite, parse_float=_finite)
    except ValueError as error:
        raise BadRow(f"expected an object of JSON: {error}") from error
    if not isinstance(members, dict):
        raise BadRow(f"expected an object of JSON, got {_kind(members)}")
    return _row(number, _cleaned(members))


def _csv_rows(lines: _Lines) -> Iterator[Row | None]:
    number, columns, delimiter = _header(lines)
    while (record := _record(lines, delimiter)) is not None:
        number += 1
        if isinstance(record, BadRow):
            yield Row(number, error=with_row_number(number, record))
        elif not any(value.strip() for value in record):
            yield None
        else:
            yield _guarded(number, record, lambda n, values: _csv_row(n, columns, values))


def _csv_row(number: int, columns: list[str], values: list[str]) -> Row:
    beyond = [value for value in values[len(columns) :] if value.strip()]
    if beyond:
        raise BadRow(f"expected at most {len(columns)} fields, got {len(values)}")
    given = {name: value.strip() for name, value in zip(columns, values, strict=False)}
    if any("\x00" in value for value in values):
        raise BadRow("expected text, got NUL characters")
    return _row(number, {name: clean(value) for name, value in given.items() if name and value})


def _header(lines: _Lines) -> tuple[int, list[str], str]:
    """(its row number, the columns in lower case, the delimiter) of a CSV file."""
    number, delimiters = 0, _DELIMITERS
    line: str | None = ""
    while line is not None and not line.strip():
        line = lines.next()
        number += 1
        separator = _EXCEL_SEPARATOR.fullmatch(line or "")
        if separator:
            delimiters, line = separator[1], ""
    for delimiter in delimiters:
        columns = _columns(line or "", delimiter)
        if "url" in columns:
            twins = {name for name in columns if name and columns.count(name) > 1}
            if twins:
                raise SourceEnded(BadManifest(f"expected every column once, got {', '.join(sorted(twins))} again"))
            return number, columns, delimiter
    shown = clean(line or "").strip()[:100]
    raise SourceEnded(BadManifest(f"expected a header with the column url, got {shown!r}"))


def _columns(line: str, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
    return [clean(name).strip().lower().replace(" ", "_") for name in names]


def _record(lines: _Lines, delimiter: str) -> list[str] | BadRow | None:
    """The fields of the next record, which may have several lines; None at the end.

    A quote that is not closed costs its own line: what follows is read as if it had not been opened.
    """
    used: list[str] = []
    length, unclosed = 0, False

    def feed() -> Iterator[str]:
        # The reader asks for another line only within quotes.
        nonlocal length, unclosed
        while (line := lines.next()) is not None:
            used.append(line)
            length += len(line)
            if isinstance(line, _TooLong) or length > MAX_ROW:
                break
            yield line
        unclosed = True

    try:
        fields = next(csv.reader(feed(), delimiter=delimiter), None)
    except csv.Error as error:
        lines.give_back(used[1:])
        return BadRow(f"expected fields of CSV: {error}")
    if not used:
        return None
    if isinstance(used[0], _TooLong):
        return BadRow(f"expected at most {MAX_ROW:,} characters, got more")
    if unclosed:
        lines.give_back(used[1:])
        return BadRow("expected the quote that it opens to be closed again")
    return fields or []


def _guarded(number: int, given: Any, read: Any) -> Row:
    """A row, or its error with the row's number."""
    if isinstance(given, _TooLong):
        return Row(number, error=BadRow(f"row {number}: expected at most {MAX_ROW:,} characters, got more"))
    try:
        row: Row = read(number, given)
    except ItemError as error:
        return Row(number, error=with_row_number(number, error))
    except RecursionError:
        return Row(number, error=BadRow(f"row {number}: expected no more than {MAX_DEPTH} levels of JSON"))
    return row


def _row(number: int, members: Mapping[str, Any]) -> Row:
    """A row by its members, whose texts are clean; one with an error still says which picture it was to be."""
    try:
        return _understood(number, members)
    except ItemError as error:
        named = next((members[name] for name in ("id", "custom_id") if isinstance(members.get(name), (str, int))), "")
        url = members.get("url")
        shown = url[:MAX_URL] if isinstance(url, str) else ""
        return Row(number, shown, str(named)[:MAX_ID] or None, error=with_row_number(number, error))


def _understood(number: int, members: Mapping[str, Any]) -> Row:
    others = dict(members)
    url = _text("url", others.pop("url", None), 10 * MAX_URL)
    if url is None:
        raise BadRow("url: expected one, got none")
    if _UNREADABLE in url:
        raise BadRow("url: expected text, got bytes that are none")
    custom_id = _one_of("id", "custom_id", others)
    provenance = {}
    for name, longest in PROVENANCE.items():
        value = _text(name, others.pop(name, None), longest, numbers=name == "price")
        if value is not None:
            provenance[name] = value
    crop = _crop(others.pop("crop", None))
    details = others.pop("metadata", None)
    if details is not None:
        others |= details if isinstance(details, dict) else {"metadata": details}
    if len(json.dumps(others)) > MAX_DETAILS:
        raise BadRow(f"expected at most {MAX_DETAILS:,} bytes in all other members, got more")
    return Row(number, url, custom_id, crop, provenance, others)


def _one_of(name: str, other: str, members: dict[str, Any]) -> str | None:
    """The client's own name for the item, which has two names itself: that of CSV and that of the API."""
    first = _text(name, members.pop(name, None), MAX_ID, numbers=True)
    second = _text(other, members.pop(other, None), MAX_ID, numbers=True)
    return first if first is not None else second


def _text(name: str, value: object, longest: int, *, numbers: bool = False) -> str | None:
    if value is None or value == "":
        return None
    if numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise BadRow(f"{name}: expected text, got {_kind(value)}")
    if len(value) > longest:
        raise BadRow(f"{name}: expected at most {longest:,} characters, got {len(value):,}")
    return value


def _crop(value: object) -> Crop | None:
    """`{"x", "y", "width", "height"}`, as an object or as its text, or the four numbers with commas between them."""
    if value is None or value == "":
        return None
    numbers: object = value
    if isinstance(value, str):
        match = _CROP.fullmatch(value)
        if match:
            numbers = dict(zip(("x", "y", "width", "height"), map(int, match.groups()), strict=True))
        else:
            try:
                numbers = json.loads(value)
            except (ValueError, RecursionError):
                numbers = None
    if isinstance(numbers, dict) and set(numbers) == {"x", "y", "width", "height"}:
        values = [numbers[side] for side in ("x", "y", "width", "height")]
        if all(type(number) is int and 0 <= number < 10**9 for number in values) and min(values[2:]) > 0:
            return Crop(*values)
    raise BadCrop(f"crop: expected x, y, width and height in pixels, got {str(value)[:60]!r}")


def _cleaned(value: Any, depth: int = 0) -> Any:
    """JSON without characters that cannot be stored."""
    if depth > MAX_DEPTH:
        raise BadRow(f"expected no more than {MAX_DEPTH} levels of JSON")
    if isinstance(value, str):
        if "\x00" in value:
            raise BadRow("expected text, got NUL characters")
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(element, depth + 1) for element in value]
    if isinstance(value, dict):
        return {_cleaned(name, depth + 1): _cleaned(element, depth + 1) for name, element in value.items()}
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of JSON")
    return number


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", bool: "a truth value", str: "text", type(None): "null"}
    return names.get(type(value), "a number")
