"""Manifests: tables of URLs, as CSV from a spreadsheet or as JSONL. A bad row does not affect the other rows.

Row numbers are those of a spreadsheet: the header is row 1, and empty rows count.
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
from core.products import TEXTS
from core.sources.names import storable
from core.types import MAX_REGION_NAME, MAX_REGIONS, Crop, Region

MAX_ROW = 64 * 1024
"""Maximum length of a row in characters. A longer one has an unclosed quote, or the file is not a text file."""
PROVENANCE = {"page_url": MAX_URL, "alt": 2000}
"""The columns about the origin of a picture, and the maximum length of their values in characters."""
PRODUCT = {name: length for name, length in TEXTS.items() if name != "url"}
"""The columns about the product, likewise. `url` is the column of the picture."""
MAX_ID = 500
"""Maximum length of a custom id in characters."""
MAX_DETAILS = 16 * 1024
"""Maximum size of the `metadata` of one item, in bytes of JSON."""
MAX_DEPTH = 16
"""Maximum nesting depth of objects and lists in JSON."""

_DELIMITERS = ",;\t|"
_SNIFFED_BYTES = 64 * 1024
_UNDECODABLE = "\N{REPLACEMENT CHARACTER}"
_CROP = re.compile(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*")
_EXCEL_SEPARATOR = re.compile(r"sep=(.)\s*", re.I)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a manifest. It has the URL of a picture and its metadata, or an `error` if the row cannot be read."""

    number: int
    url: str = ""
    custom_id: str | None = None
    crop: Crop | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    """As `Item.provenance`."""
    details: dict[str, Any] = field(default_factory=dict)
    error: ItemError | None = None
    regions: tuple[Region, ...] = ()


def manifest_rows(file: IO[bytes], max_rows: int) -> Generator[Row | None]:
    """Yield the rows after the header of a manifest, and None for each empty row. Every reading yields the same rows.

    Raises:
        SourceEnded: the file is not a manifest, or it has more than `max_rows` rows.
    """
    text = io.TextIOWrapper(file, _encoding(file), errors="replace")
    try:
        lines = _Lines(text)
        first = _first_line(lines)
        rows = _json_rows(lines) if first.lstrip().startswith("{") else _csv_rows(lines)
        for count, row in enumerate(rows):
            if count == max_rows:
                raise SourceEnded(BadManifest(f"expected at most {max_rows:,} rows, got more"))
            yield row
    finally:
        # Without this, the wrapper would close the caller's file.
        text.detach()


def with_row_number(number: int, error: ItemError) -> ItemError:
    """Return the same error with the row number in front of its text."""
    return type(error)(f"row {number}: {error.detail}")


class _TooLong(str):
    """The beginning of a line that is longer than `MAX_ROW`."""


class _Lines:
    """Reads lines of limited length. A caller can push lines back, which are then read again."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._pushed_back: list[str] = []

    def next(self) -> str | None:
        """Return the next line with its line end, or None at the end of the file."""
        if self._pushed_back:
            return self._pushed_back.pop()
        line = self._text.readline(MAX_ROW)
        if len(line) < MAX_ROW or line.endswith("\n"):
            return line or None
        while (rest := self._text.readline(MAX_ROW)) and not rest.endswith("\n"):
            pass
        return _TooLong(line[:100])

    def push_back(self, lines: list[str]) -> None:
        self._pushed_back += reversed(lines)


def _encoding(file: IO[bytes]) -> str:
    """Return the encoding of a manifest.

    A byte order mark decides it. Without one, it is UTF-8 if the beginning of the file is valid UTF-8, and otherwise
    CP949, which a Korean spreadsheet writes.
    """
    head = file.read(_SNIFFED_BYTES)
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
    """Return the first line that is not empty, and push all lines back that were read for it."""
    read = []
    while (line := lines.next()) is not None:
        read.append(line)
        if line.strip():
            break
        if len(read) > MAX_ROW:
            break
    lines.push_back(read)
    if line is None:
        raise SourceEnded(BadManifest("expected a header with the column url, or JSONL, got an empty file"))
    if line.lstrip().startswith("["):
        raise SourceEnded(BadManifest("expected CSV, or JSONL with one object per line, got a JSON array"))
    return line


def _json_rows(lines: _Lines) -> Iterator[Row | None]:
    number = 0
    while (line := lines.next()) is not None:
        number += 1
        yield None if not line.strip() else _row_or_error(number, line, _json_row)


def _json_row(number: int, line: str) -> Row:
    try:
        members = json.loads(line, parse_constant=_finite_number, parse_float=_finite_number)
    except ValueError as error:
        raise BadRow(f"expected a JSON object, got invalid JSON: {error}") from error
    if not isinstance(members, dict):
        raise BadRow(f"expected a JSON object, got {_json_type(members)}")
    return _row(number, _storable_json(members))


def _csv_rows(lines: _Lines) -> Iterator[Row | None]:
    number, columns, delimiter = _header(lines)
    while (record := _next_record(lines, delimiter)) is not None:
        number += 1
        if isinstance(record, BadRow):
            yield Row(number, error=with_row_number(number, record))
        elif not any(value.strip() for value in record):
            yield None
        else:
            yield _row_or_error(number, record, lambda n, values: _csv_row(n, columns, values))


def _csv_row(number: int, columns: list[str], values: list[str]) -> Row:
    extra = [value for value in values[len(columns) :] if value.strip()]
    if extra:
        raise BadRow(f"expected at most {len(columns)} fields, got {len(values)}")
    fields_by_name = {name: value.strip() for name, value in zip(columns, values, strict=False)}
    if any("\x00" in value for value in values):
        raise BadRow("expected text, got NUL characters")
    return _row(number, {name: storable(value) for name, value in fields_by_name.items() if name and value})


def _header(lines: _Lines) -> tuple[int, list[str], str]:
    """Return (row number of the header, columns in lower case, delimiter) of a CSV file."""
    number, delimiters = 0, _DELIMITERS
    line: str | None = ""
    while line is not None and not line.strip():
        line = lines.next()
        number += 1
        declared = _EXCEL_SEPARATOR.fullmatch(line or "")
        if declared:
            delimiters, line = declared[1], ""
    for delimiter in delimiters:
        columns = _columns(line or "", delimiter)
        if "url" in columns:
            repeated = {name for name in columns if name and columns.count(name) > 1}
            if repeated:
                names = ", ".join(sorted(repeated))
                raise SourceEnded(BadManifest(f"expected every column once, got {names} more than once"))
            return number, columns, delimiter
    shown = storable(line or "").strip()[:100]
    raise SourceEnded(BadManifest(f"expected a header with the column url, got {shown!r}"))


def _columns(line: str, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
    return [storable(name).strip().lower().replace(" ", "_") for name in names]


def _next_record(lines: _Lines, delimiter: str) -> list[str] | BadRow | None:
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
            if isinstance(line, _TooLong) or length > MAX_ROW:
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
    if isinstance(used[0], _TooLong):
        return BadRow(f"expected at most {MAX_ROW:,} characters, got more")
    if unclosed:
        lines.push_back(used[1:])
        return BadRow("expected a closing quote, got none")
    return fields or []


def _row_or_error(number: int, value: Any, read: Any) -> Row:
    """Return the row that `read` makes of `value`, or a row with an error that names the row number."""
    if isinstance(value, _TooLong):
        return Row(number, error=BadRow(f"row {number}: expected at most {MAX_ROW:,} characters, got more"))
    try:
        row: Row = read(number, value)
    except ItemError as error:
        return Row(number, error=with_row_number(number, error))
    except RecursionError:
        return Row(number, error=BadRow(f"row {number}: expected no more than {MAX_DEPTH} levels of JSON"))
    return row


def _row(number: int, members: Mapping[str, Any]) -> Row:
    """Return the row with these members, whose texts are storable. A row with an error still has its id and URL."""
    try:
        return _checked_row(number, members)
    except ItemError as error:
        named = next((members[name] for name in ("id", "custom_id") if isinstance(members.get(name), (str, int))), "")
        url = members.get("url")
        shown = url[:MAX_URL] if isinstance(url, str) else ""
        return Row(number, shown, str(named)[:MAX_ID] or None, error=with_row_number(number, error))


def _checked_row(number: int, members: Mapping[str, Any]) -> Row:
    remaining = dict(members)
    url = _text("url", remaining.pop("url", None), 10 * MAX_URL)
    if url is None:
        raise BadRow("url: expected a value, got none")
    if _UNDECODABLE in url:
        raise BadRow("url: expected text, got bytes that are not valid text")
    custom_id = _text_of_either("id", "custom_id", remaining)
    provenance: dict[str, Any] = _texts(remaining, PROVENANCE)
    product = _texts(remaining, PRODUCT)
    if product:
        provenance["product"] = product
    crop = _crop("crop", remaining.pop("crop", None))
    regions = _regions(remaining.pop("regions", None))
    details = remaining.pop("metadata", None)
    if details is not None:
        remaining |= details if isinstance(details, dict) else {"metadata": details}
    if len(json.dumps(remaining)) > MAX_DETAILS:
        raise BadRow(f"expected at most {MAX_DETAILS:,} bytes in all other members, got more")
    return Row(number, url, custom_id, crop, provenance, remaining, regions=regions)


def _texts(members: dict[str, Any], names: Mapping[str, int]) -> dict[str, str]:
    """Take these columns out of a row. `names`: name -> maximum length. Shops write ids and prices as numbers, too."""
    values = {
        name: _text(name, members.pop(name, None), max_length, numbers=True) for name, max_length in names.items()
    }
    return {name: value for name, value in values.items() if value is not None}


def _text_of_either(name: str, other: str, members: dict[str, Any]) -> str | None:
    """Return the client's own id of the item. CSV calls it `id`, and the API calls it `custom_id`."""
    first = _text(name, members.pop(name, None), MAX_ID, numbers=True)
    second = _text(other, members.pop(other, None), MAX_ID, numbers=True)
    return first if first is not None else second


def _text(name: str, value: object, max_length: int, *, numbers: bool = False) -> str | None:
    if value is None or value == "":
        return None
    if numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise BadRow(f"{name}: expected text, got {_json_type(value)}")
    if len(value) > max_length:
        raise BadRow(f"{name}: expected at most {max_length:,} characters, got {len(value):,}")
    return value


def _crop(name: str, value: object) -> Crop | None:
    """Return a crop from an object with x, y, width and height, from its JSON text, or from four numbers and commas."""
    if value is None or value == "":
        return None
    numbers: object = value
    if isinstance(value, str):
        match = _CROP.fullmatch(value)
        if match:
            numbers = dict(zip(("x", "y", "width", "height"), map(int, match.groups()), strict=True))
        else:
            numbers = _parsed(value)
    if isinstance(numbers, dict) and set(numbers) == {"x", "y", "width", "height"}:
        values = [numbers[side] for side in ("x", "y", "width", "height")]
        if all(type(number) is int and 0 <= number < 10**9 for number in values) and min(values[2:]) > 0:
            return Crop(*values)
    raise BadCrop(f"{name}: expected x, y, width and height in pixels, got {str(value)[:60]!r}")


def _regions(value: object) -> tuple[Region, ...]:
    """Return the regions of an array of objects with a name and a box, or of its JSON text."""
    if value is None or value == "":
        return ()
    listed = _parsed(value) if isinstance(value, str) else value
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_REGIONS:
        raise BadRow(f"regions: expected a JSON array of 1 to {MAX_REGIONS} objects, got {str(value)[:60]!r}")
    regions = tuple(_region(member) for member in listed)
    names = [region.name for region in regions]
    if len(set(names)) < len(names):
        raise BadRow(f"regions: expected every name once, got {', '.join(names)}")
    return regions


def _region(member: object) -> Region:
    if not isinstance(member, dict) or set(member) != {"name", "box"}:
        raise BadRow(f"regions: expected objects with name and box, got {str(member)[:60]!r}")
    name, box = _text("regions: name", member["name"], MAX_REGION_NAME), _crop("regions: box", member["box"])
    if name is None or box is None:
        raise BadRow(f"regions: expected a name and a box, got {str(member)[:60]!r}")
    return Region(name, box)


def _parsed(text: str) -> object:
    """Return the value of a JSON text, or None if it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _storable_json(value: Any, depth: int = 0) -> Any:
    """Return the JSON value without characters that cannot be stored."""
    if depth > MAX_DEPTH:
        raise BadRow(f"expected no more than {MAX_DEPTH} levels of JSON")
    if isinstance(value, str):
        if "\x00" in value:
            raise BadRow("expected text, got NUL characters")
        return storable(value)
    if isinstance(value, list):
        return [_storable_json(element, depth + 1) for element in value]
    if isinstance(value, dict):
        return {_storable_json(name, depth + 1): _storable_json(element, depth + 1) for name, element in value.items()}
    return value


def _finite_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a JSON number")
    return number


def _json_type(value: object) -> str:
    names = {dict: "an object", list: "a list", bool: "true or false", str: "text", type(None): "null"}
    return names.get(type(value), "a number")
