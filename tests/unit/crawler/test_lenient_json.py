"""Reading JSON with the mistakes that pages make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.extraction.lenient_json import read, read_at


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "b"}',
        ' \ufeff{"a": "b"};',
        '{"a": "b",}',
        "{'a': 'b'}",
        "{a: 'b'}",
        '{"a": "b" /* c */}',
        '/* c */ {// d\n "a": "b"}',
        '<!-- {"a": "b"} -->',
        '//<![CDATA[\n{"a": "b"}\n//]]>',
        "{&quot;a&quot;: &quot;b&quot;}",
        '{"a": "b"} trailing words',
        '{"a": "\\x62"}',
    ],
)
def test_json_with_common_mistakes_is_read(text: str) -> None:
    assert read(text) == {"a": "b"}


def test_control_characters_are_kept_and_wrong_escapes_dropped() -> None:
    assert read('{"a": "line\none\ttab"}') == {"a": "line\none\ttab"}
    assert read('{"a": "it\\\'s",}') == {"a": "it's"}


@pytest.mark.parametrize("text", ["", "null", "words", "{", "[[[", '{"a"', "{" * 100_000, "[" * 100_000])
def test_text_that_is_no_json_gives_none(text: str) -> None:
    assert read(text) is None


def test_an_object_is_read_from_a_script() -> None:
    script = 'var a = 1; window.b = {c: [1, 2,]}; window.d = {"e": 2};'
    assert read_at(script, script.index("{c"))[0] == {"c": [1, 2]}
    value, end = read_at(script, script.index('{"e'))
    assert value == {"e": 2}
    assert script[end:] == ";"


@given(st.text())
def test_reading_any_text_raises_nothing(text: str) -> None:
    read(text)
    read("{" + text)
    read('{"a": "' + text)
