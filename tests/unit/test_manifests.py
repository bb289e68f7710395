"""Reading manifests: every manifest gives rows, or errors with row numbers, and no unexpected exception."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.item_errors import ItemError, SourceEnded
from core.sources.manifests import Row, manifest_rows
from core.types import Crop

URL = "https://shop.example/look.jpg"


def read(data: bytes | str, max_rows: int = 100_000) -> list[Row | None]:
    raw = data.encode() if isinstance(data, str) else data
    return list(manifest_rows(io.BytesIO(raw), max_rows))


def rows(data: bytes | str) -> list[Row]:
    return [row for row in read(data) if row is not None]


def urls(data: bytes | str) -> list[str]:
    return [row.url for row in rows(data) if row.error is None]


def errors(data: bytes | str) -> dict[int, str]:
    return {row.number: row.error.detail for row in rows(data) if row.error is not None}


def refusal(data: bytes | str) -> ItemError:
    with pytest.raises(SourceEnded) as caught:
        read(data)
    return caught.value.reason


def test_all_members_of_a_row_are_read_from_csv() -> None:
    header = "url,id,title,price,currency,page_url,alt,crop,season"
    values = f'{URL},sku-1,"Coat, ""long""",39.90,EUR,https://shop.example/coat,셔츠,"10,20,300,400",autumn'
    assert rows(f"{header}\n{values}\n") == [
        Row(
            2,
            URL,
            "sku-1",
            Crop(10, 20, 300, 400),
            {
                "page_url": "https://shop.example/coat",
                "alt": "셔츠",
                "product": {
                    "title": 'Coat, "long"',
                    "price": "39.90",
                    "currency": "EUR",
                    "url": "https://shop.example/coat",
                },
            },
            {"season": "autumn"},
        )
    ]


def test_all_members_of_a_row_are_read_from_jsonl() -> None:
    member = {
        "url": URL,
        "id": 17,
        "title": "셔츠",
        "price": 39.9,
        "crop": {"x": 1, "y": 2, "width": 3, "height": 4},
        "season": ["autumn"],
        "metadata": {"shelf": 3},
    }
    expected = Row(
        1,
        URL,
        "17",
        Crop(1, 2, 3, 4),
        {"product": {"title": "셔츠", "price": "39.9", "product_id": "17"}},
        {"season": ["autumn"], "shelf": 3},
    )
    assert rows(json.dumps(member)) == [expected]
    assert rows(json.dumps(member, ensure_ascii=False) + "\n\n") == [expected]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_gives_a_column_url(delimiter: str) -> None:
    assert urls(f"title{delimiter}url\na,b;c{delimiter}{URL}".replace("a,b;c", "x")) == [URL]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp949"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_spreadsheets_write_many_encodings_and_line_ends(encoding: str, line_end: str) -> None:
    data = f"url,title{line_end}{URL},셔츠{line_end}{URL}2,원피스{line_end}"
    found = rows(data.encode(encoding))
    assert [(row.url, row.provenance["product"]["title"]) for row in found] == [(URL, "셔츠"), (URL + "2", "원피스")]


def test_a_line_with_excels_separator_is_read() -> None:
    found = rows(f"sep=;\nURL;Page URL\n{URL};https://shop.example/\n")
    assert [(row.number, row.url, row.provenance) for row in found] == [(3, URL, {"page_url": "https://shop.example/"})]


def test_bad_rows_are_numbered_as_in_a_spreadsheet_and_the_others_are_read() -> None:
    data = (
        "url,title,crop\n"
        f"{URL}1\n"
        ",no url\n"
        "\n"
        f"{URL}2,x,0,y,z\n"
        f'{URL}3,"two\nlines"\n'
        f"{URL}4,x,wide\n"
        f"{URL}5,{'x' * 2001}\n"
        f"{URL}6\x00\n"
        f"{URL}7\n"
    )
    assert urls(data) == [URL + "1", URL + "3", URL + "7"]
    assert errors(data) == {
        3: "row 3: url: expected a value, got none",
        5: "row 5: expected at most 3 fields, got 5",
        7: "row 7: crop: expected x, y, width and height in pixels, got 'wide'",
        8: "row 8: title: expected at most 2,000 characters, got 2,001",
        9: "row 9: expected text, got NUL characters",
    }


def test_a_line_of_a_megabyte_is_an_error_and_the_others_are_read() -> None:
    long = "x" * 2**20
    for data in (f"url\n{long}\n{URL}\n", f'{{"url": "{URL}"}}\n{{"url": "{long}"}}\n{{"url": "{URL}"}}\n'):
        assert errors(data) == {2: "row 2: expected at most 65,536 characters, got more"}
        assert urls(data)[-1] == URL


@pytest.mark.parametrize("rest", ["", f"{URL}3\n" * 20_000])
def test_an_unclosed_quote_fails_only_its_row(rest: str) -> None:
    data = f'url,title\n{URL}1\n{URL}2,"open\n{URL}3\n{URL}4\n' + rest
    assert urls(data)[:3] == [URL + "1", URL + "3", URL + "4"]
    assert errors(data) == {3: "row 3: expected a closing quote, got none"}


def test_errors_of_lines_that_are_no_objects_have_line_numbers() -> None:
    bad = ["[1]", '{"url": 1}', "{", '{"url": "x", "price": NaN}', '{"url": "x", "a": 1e999}', '{"url": "\\u0000"}']
    deep = '{"url": "x", "a": ' + "[" * 20 + "]" * 20 + "}"
    deeper = '{"url": "x", "a": ' + "[" * 100_000 + "]" * 100_000 + "}"
    lines = [json.dumps({"url": URL}), *bad, deep, deeper, json.dumps({"url": URL})]
    assert list(errors("\n".join(lines))) == list(range(2, 10))
    assert urls("\n".join(lines)) == [URL, URL]


def test_lone_surrogates_are_replaced_in_texts() -> None:
    (row,) = rows('{"url": "' + URL + '", "title": "\\ud83d", "x": {"\\udc00": "\\ud800"}}')
    assert (row.provenance, row.details) == ({"product": {"title": "\ufffd"}}, {"x": {"\ufffd": "\ufffd"}})


def test_a_row_with_bytes_in_another_encoding_says_so_with_its_number() -> None:
    good = b"".join(f"{URL}{n},셔츠\n".encode() for n in range(5000))
    data = b"url,title\n" + good + URL.encode() + b",\xff\n" + b"https://shop.example/\xff.jpg,\n" + URL.encode()
    assert list(errors(data)) == [5002, 5003]
    assert errors(data)[5002] == "row 5002: expected text in UTF-8, as in the rest of the file, got other bytes"
    assert rows(data)[-1].url == URL


@pytest.mark.parametrize(
    "data", ["", "\n\n", "\ufeff", "title,price\na,b\n", "[{}]", "<html>", b"\x89PNG\r\n\x1a\n\x00\x00"]
)
def test_data_that_is_no_manifest_is_refused_at_once(data: bytes | str) -> None:
    assert refusal(data).code == "bad_manifest"


def test_reading_ends_at_the_limit_of_rows() -> None:
    found = manifest_rows(io.BytesIO(f"url\n{URL}\n{URL}\n{URL}\n".encode()), 2)
    assert [next(found), next(found)] == [Row(2, URL), Row(3, URL)]
    with pytest.raises(SourceEnded):
        next(found)


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@settings(max_examples=150, deadline=None)
@given(
    table=st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=8),
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8-sig", "utf-16"]),
)
@example(table=[["", ""], ["a\nb", '"']], delimiter=",", encoding="utf-8-sig")
def test_any_table_that_python_writes_is_read_row_by_row(
    table: Sequence[Sequence[str]], delimiter: str, encoding: str
) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow(["url", "other", "more"])
    for number, cells in enumerate(table):
        writer.writerow([f"{URL}{number}", *cells])
    found = read(buffer.getvalue().encode(encoding))
    assert [row and (row.number, row.url, row.error) for row in found] == [
        (number + 2, f"{URL}{number}", None) for number in range(len(table))
    ]


@settings(max_examples=300, deadline=None)
@given(
    mark=st.sampled_from([b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE]),
    head=st.sampled_from([b"", b"url,id\n", b'{"url":"x"}\n', b'url;crop\n"', "url\t\n".encode("utf-16-le")]),
    rest=st.binary() | st.text('",;\n\r{}[]:x\\u0 \t', max_size=60).map(str.encode),
)
def test_reading_any_bytes_gives_rows_or_errors_with_row_numbers(mark: bytes, head: bytes, rest: bytes) -> None:
    found: list[Row | None] = []
    with suppress(SourceEnded):
        found = read(mark + head + rest)
    numbers = [row.number for row in found if row is not None]
    assert numbers == sorted(numbers)
    for row in found:
        if row is not None and row.error is not None:
            assert row.error.detail.startswith(f"row {row.number}: ")
