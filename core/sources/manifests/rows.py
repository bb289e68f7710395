"""The rows of a manifest: checks the values of a row, and makes one `Row` of each of its pictures.

Row numbers are those of a spreadsheet: the header is row 1, and empty rows count.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.fetching.urls import MAX_URL
from core.item_errors import BadCrop, BadRow, ItemError
from core.products import PRICES, product_id_of
from core.products import TEXTS as PRODUCT_TEXTS
from core.sources.manifests.columns import MORE_URLS, PAGE_URL, Columns
from core.sources.manifests.text import UNREADABLE
from core.sources.names import storable
from core.types import MAX_REGION_NAME, MAX_REGIONS, Crop, Region

PROVENANCE = {PAGE_URL: MAX_URL, "alt": 2000}
"""The columns about the origin of a picture, and the maximum length of their values in characters."""
MAX_ID = 500
"""Maximum length of a custom id in characters."""
MAX_DETAILS = 16 * 1024
"""Maximum size of the `metadata` of one item, in bytes of JSON."""
MAX_DEPTH = 16
"""Maximum nesting depth of objects and lists in JSON."""
MAX_PICTURES = 100
"""Maximum number of pictures of one row."""

_CUT = {"description", "category", "material", "size", "color"}
"""Texts of a product that are cut at their maximum length, because people only read them."""
_CROP = re.compile(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*")
_BETWEEN_URLS = re.compile(r"[\s,;|]+(?=(?:https?:)?//)", re.I)
"""The separators between the URLs of one cell. A comma inside a URL is not followed by the start of another one."""
_BETWEEN_FILES = re.compile(r"\s*[,;|\n]\s*")
_AMOUNT = re.compile(r"(?:([A-Z]{3})\s*)?([\d.,]+)(?:\s*([A-Z]{3}))?")
_AVAILABILITY = {
    "instock": "InStock",
    "available": "InStock",
    "outofstock": "OutOfStock",
    "soldout": "SoldOut",
    "preorder": "PreOrder",
    "backorder": "BackOrder",
    "discontinued": "Discontinued",
    "재고있음": "InStock",
    "판매중": "InStock",
    "품절": "OutOfStock",
}
"""The words of feeds and shops, without punctuation, and the short name of schema.org for it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of a manifest. It has its URL and its metadata, or an `error` if the row cannot be read.

    A row with several pictures gives several of these, with the same number. In a manifest of an archive, `url` is the
    name of a file.
    """

    number: int
    url: str = ""
    custom_id: str | None = None
    crop: Crop | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    """Optional keys: `page_url`, `alt`, `product` (core/products.py)."""
    details: dict[str, Any] = field(default_factory=dict)
    error: ItemError | None = None
    regions: tuple[Region, ...] = ()


def with_row_number(number: int, error: ItemError) -> ItemError:
    """Return the same error with the row number in front of its text."""
    return type(error)(f"row {number}: {error.detail}")


def rows_of(number: int, names: Sequence[str], values: Sequence[Any], columns: Columns) -> Iterator[Row]:
    """Yield the pictures of a row, or one row with an error. `values` are storable (`storable_json`), or None."""
    fields: dict[str, list[Any]] = {}
    details: dict[str, Any] = {}
    for name, value, meaning in zip(names, values, columns.fields_of(names, values), strict=True):
        if value is None or value == "":
            continue
        if meaning is None:
            details[name] = value
        else:
            fields.setdefault(meaning, []).append(value)
    pictures: list[str] = []
    try:
        pictures = _pictures(fields, columns)
        row = _tied(_checked_row(number, fields, details), several=len(pictures) > 1)
    except ItemError as error:
        custom_id = next((value for value in fields.get("custom_id", ()) if isinstance(value, (str, int))), "")
        shown = next(iter(pictures), "")[:MAX_URL]
        yield Row(number, shown, str(custom_id)[:MAX_ID] or None, error=with_row_number(number, error))
        return
    for picture in pictures:
        yield replace(row, url=picture)


def unreadable_row(number: int, encoding: str) -> Row:
    """Return the row for bytes that are no text in the encoding of the file."""
    names = {"utf-8-sig": "UTF-8", "utf-8": "UTF-8", "cp949": "CP949", "cp1252": "Windows-1252"}
    name = names.get(encoding, "UTF-16")
    return Row(
        number, error=BadRow(f"row {number}: expected text in {name}, as in the rest of the file, got other bytes")
    )


def is_unreadable(texts: Sequence[str]) -> bool:
    return any(UNREADABLE in text for text in texts)


def _pictures(fields: Mapping[str, Sequence[Any]], columns: Columns) -> list[str]:
    """Return the URLs or file names of a row, each once."""
    found: list[str] = []
    for value in [*fields.get(columns.picture_field, ()), *fields.get(MORE_URLS, ())]:
        found += _listed(value, columns)
    pictures = list(dict.fromkeys(found))
    if not pictures:
        raise BadRow(f"{columns.picture_field}: expected a value, got none")
    if len(pictures) > MAX_PICTURES:
        raise BadRow(f"expected at most {MAX_PICTURES} pictures in a row, got {len(pictures)}")
    return pictures


def _listed(value: Any, columns: Columns) -> list[str]:
    """Return the texts of a list, of its JSON text, or of a text with several URLs or file names."""
    parsed = value
    if isinstance(value, str) and value.lstrip().startswith("["):
        parsed = _parsed(value) or value
    if isinstance(parsed, list):
        return [text for element in parsed for text in _listed(element, columns)]
    if isinstance(parsed, dict) and isinstance(parsed.get("url") or parsed.get("src"), str):
        parsed = parsed.get("url") or parsed.get("src")
    if not isinstance(parsed, str):
        raise BadRow(f"{columns.picture_field}: expected text, got {json_type(value)}")
    parts = (_BETWEEN_FILES if columns.names_files else _BETWEEN_URLS).split(parsed)
    texts = [part.strip() for part in parts if part.strip()]
    for text in texts:
        if len(text) > 10 * MAX_URL:
            raise BadRow(f"{columns.picture_field}: expected at most {10 * MAX_URL:,} characters, got {len(text):,}")
    return texts


def _checked_row(number: int, fields: Mapping[str, Sequence[Any]], details: dict[str, Any]) -> Row:
    first = {name: values[0] for name, values in fields.items()}
    custom_id = _text("custom_id", first.get("custom_id"), MAX_ID, numbers=True)
    provenance: dict[str, Any] = {}
    for name, max_length in PROVENANCE.items():
        value = _text(name, first.get(name), max_length)
        if value is not None:
            provenance[name] = value
    product = _product(first)
    if product:
        provenance["product"] = product
    crop = _crop("crop", first.get("crop"))
    regions = _regions(first.get("regions"))
    given = first.get("metadata")
    if given is not None:
        members = _parsed(given) if isinstance(given, str) else given
        details |= storable_json(members) if isinstance(members, dict) else {"metadata": given}
    if len(json.dumps(details)) > MAX_DETAILS:
        raise BadRow(f"expected at most {MAX_DETAILS:,} bytes in all other columns, got more")
    return Row(number, "", custom_id, crop, provenance, details, regions=regions)


def _tied(row: Row, *, several: bool) -> Row:
    """Return the row with an id of its product, if it describes one or shows several pictures of one.

    What names the product comes first, then its page, then the client's own id.
    """
    product = dict(row.provenance.get("product") or {})
    if not product and not several:
        return row
    if "page_url" in row.provenance:
        product["url"] = row.provenance["page_url"]
    if product_id_of(product) is None and row.custom_id is not None:
        product["product_id"] = row.custom_id
    return replace(row, provenance={**row.provenance, "product": product}) if product else row


def _product(fields: Mapping[str, Any]) -> dict[str, str]:
    product: dict[str, str] = {}
    for name, max_length in PRODUCT_TEXTS.items():
        given = fields.get(name) if name != "url" else None
        if isinstance(given, list) and all(isinstance(value, str) for value in given):
            given = ", ".join(given)
        if name in _CUT and isinstance(given, str):
            given = given[:max_length]
        value = _text(name, given, max_length, numbers=True)
        if value is not None:
            product[name] = value
    if "price" not in product and "list_price" in product:
        product["price"] = product.pop("list_price")
    for name in PRICES:
        # Product feeds write the currency beside the amount: `15.00 USD`.
        amount = _AMOUNT.fullmatch(product.get(name, "").strip())
        if amount and (amount[1] or amount[3]):
            product[name] = amount[2]
            product.setdefault("currency", amount[1] or amount[3])
    if "availability" in product:
        plain = re.sub(r"[\W_]+", "", product["availability"].rpartition("/")[2].lower())
        product["availability"] = _AVAILABILITY.get(plain, product["availability"])
    return product


def _text(name: str, value: object, max_length: int, *, numbers: bool = False) -> str | None:
    if value is None or value == "":
        return None
    if numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise BadRow(f"{name}: expected text, got {json_type(value)}")
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
        return parse_json(text)
    except (ValueError, RecursionError):
        return None


def parse_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError, RecursionError: it is no JSON, or it has numbers that are not finite.
    """
    return json.loads(text, parse_constant=_finite_number, parse_float=_finite_number)


def _finite_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a JSON number")
    return number


def storable_json(value: Any, depth: int = 0) -> Any:
    """Return the JSON value without characters that cannot be stored."""
    if depth > MAX_DEPTH:
        raise BadRow(f"expected no more than {MAX_DEPTH} levels of JSON")
    if isinstance(value, str):
        if "\x00" in value:
            raise BadRow("expected text, got NUL characters")
        return storable(value)
    if isinstance(value, list):
        return [storable_json(element, depth + 1) for element in value]
    if isinstance(value, dict):
        return {storable_json(name, depth + 1): storable_json(element, depth + 1) for name, element in value.items()}
    return value


def json_type(value: object) -> str:
    names = {dict: "an object", list: "a list", bool: "true or false", str: "text", type(None): "null"}
    return names.get(type(value), "a number")
