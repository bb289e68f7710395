"""The words of docs/glossary.md, compared with the words that the repository uses."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from core.settings import PROJECT
from tests.contract.project_files import project_files

GLOSSARY = "docs/glossary.md"
SEARCHED = {".py", ".md", ".js", ".html"}
LEFT_OUT = re.compile(r"^frontend/vendor/|^db/migrations/")
"""Vendored libraries have their own words. A migration stays as it was when it was released."""

WEB_API = re.compile(r"\bNoti" r"fication\b")
"""A class of the browser, which scripts must call by its name."""

_ROW = re.compile(r"^\| (?!word \|)([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PUNCTUATION = re.compile(r"[^\w\s-]+")
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


def glossary_rows() -> list[tuple[str, str, str]]:
    """Return word, meaning and "not" of each row."""
    text = (PROJECT / GLOSSARY).read_text("utf-8")
    return [(word.strip(), means, excluded) for word, means, excluded in _ROW.findall(text)]


def forbidden_words() -> dict[str, str]:
    """Return each word that must not occur, and the word to write instead."""
    return {
        plain: word
        for word, _, excluded in glossary_rows()
        for plain in (part.strip() for part in re.sub(r"\([^)]*\)", "", excluded).split(","))
        if plain and plain != "–"
    }


def words_of(line: str) -> str:
    """Return the words of a line in lower case, with one space around each. Names in the code are taken apart."""
    # A full stop between two words keeps "blue, thing" apart from "blue thing".
    apart = _PUNCTUATION.sub(" . ", _CAMEL.sub(" ", line))
    return f" {_BETWEEN_WORDS.sub(' ', apart).strip().lower()} "


def misused(text: str, forbidden: dict[str, str]) -> list[tuple[int, str, str]]:
    """Return line, forbidden word and the word to write instead, for each use in the text."""
    patterns = [
        (re.compile(f" {words_of(word).strip()}s? "), word, replacement) for word, replacement in forbidden.items()
    ]
    return [
        (number, word, replacement)
        for number, line in enumerate(text.splitlines(), 1)
        for words in [words_of(line)]
        for pattern, word, replacement in patterns
        if pattern.search(words)
    ]


def searched_files() -> list[Path]:
    """Return the files in which words are searched."""
    return [
        PROJECT / path
        for path in project_files()
        if path.suffix in SEARCHED and str(path) != GLOSSARY and not LEFT_OUT.match(str(path))
    ]


def text_of(path: Path) -> str:
    text = path.read_text("utf-8")
    return WEB_API.sub("", text) if path.suffix == ".js" else text


def test_no_file_uses_a_word_that_the_glossary_forbids() -> None:
    forbidden = forbidden_words()
    found = [
        f'{path.relative_to(PROJECT)}:{line}: "{word}" must not be used here: write "{replacement}" ({GLOSSARY})'
        for path in searched_files()
        if path.is_file()
        for line, word, replacement in misused(text_of(path), forbidden)
    ]
    assert not found, "\n" + "\n".join(found)


def test_forbidden_words_are_found_in_prose_and_inside_names() -> None:
    text = "A blue thing.\nclass BlueThing:\n    blue_thing = 1\n# BlueThings\nbluething, blue, things\n"
    assert misused(text, {"blue thing": "sky"}) == [(line, "blue thing", "sky") for line in (1, 2, 3, 4)]
    assert misused("HTTPFoo and foobar\n", {"foo": "bar"}) == [(1, "foo", "bar")]


def test_each_word_is_explained_once_and_no_word_is_forbidden_and_explained() -> None:
    words = [word for word, _, _ in glossary_rows()]
    assert len(words) > 50
    assert [word for word, count in Counter(words).items() if count > 1] == []
    assert set(words) & forbidden_words().keys() == set()


def test_each_word_that_an_explanation_refers_to_is_explained() -> None:
    words = {word for word, _, _ in glossary_rows()}
    referred = {word for _, means, _ in glossary_rows() for word in re.findall(r"\*\*([^*]+)\*\*", means)}
    assert referred - words == set()
