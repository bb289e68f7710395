"""Read the object literals of the pages' scripts: nested objects of plain keys and strings in double quotes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TypeAlias

Words: TypeAlias = "dict[str, str | Words]"

_TOKEN = re.compile(r'(?:\s|//[^\n]*\n|/\*.*?\*/)*([{}:,]|\w+|"(?:[^"\\]|\\.)*")', re.DOTALL)


def read_literal(script: Path, name: str) -> Words:
    """Return the object that a script exports under this name.

    Raises:
        ValueError: the script does not export it, it is not such an object, or an object has a key twice.
    """
    text = script.read_text("utf-8")
    start = re.search(rf"export const {name} = (?=\{{)", text)
    if start is None:
        raise ValueError(f"{script}: expected `export const {name} = {{`")
    value, _ = _read_object(text, start.end())
    return value


def _read_object(text: str, position: int) -> tuple[Words, int]:
    _, position = _expect(text, position, r"\{")
    found: Words = {}
    while True:
        key, position = _expect(text, position, r"\w+|\}")
        if key == "}":
            return found, position
        _, position = _expect(text, position, ":")
        if key in found:
            raise ValueError(f"expected every key once, got {key!r} twice")
        value, after = _expect(text, position, r'\{|".*"')
        if value == "{":
            found[key], position = _read_object(text, position)
        else:
            found[key], position = json.loads(value), after
        end, after = _expect(text, position, r",|\}")
        position = after if end == "," else position


def _expect(text: str, position: int, pattern: str) -> tuple[str, int]:
    token = _TOKEN.match(text, position)
    if token is None or re.fullmatch(pattern, token[1], re.DOTALL) is None:
        line = text.count("\n", 0, position) + 1
        raise ValueError(f"line {line}: expected {pattern}, got {text[position : position + 40]!r}")
    return token[1], token.end()
