"""The text of a manifest: its encoding, and its lines with a limited length."""

from __future__ import annotations

import codecs
import io
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TextIO

MAX_ROW = 64 * 1024
"""Maximum length of a row in characters. A longer one has an unclosed quote, or the file is not a text file."""
UNREADABLE = "\ufdd0"
"""Stands for bytes that are no text in the encoding of the file. Unicode reserves this code point for such uses (23.7),
so that no real text has it."""

_BLOCK_BYTES = 1024 * 1024
_LINE_END = re.compile(rb"[\r\n]")
_HANGUL_PAIR = re.compile(rb"[\xa1-\xfe][\xa1-\xfe]")
_RARE_PAIR = re.compile(rb"[\x81-\xc6][A-Za-z]")
"""Two bytes of CP949 for a syllable that hardly any word has. In Windows-1252 they are an accented letter and a plain
one, as in most words of Western languages."""
_ERRORS = "lookbook.unreadable"


def _mark_unreadable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    # In encodings of single bytes and pairs, the byte behind a wrong one may be good.
    return UNREADABLE, error.end if error.encoding.startswith("utf-16") else error.start + 1


codecs.register_error(_ERRORS, _mark_unreadable)


def open_text(file: IO[bytes], encoding: str) -> io.TextIOWrapper:
    """Return the text of a file from its present position on, with `UNREADABLE` in place of bytes that are no text."""
    return io.TextIOWrapper(file, encoding, errors=_ERRORS)


def find_encoding(file: IO[bytes]) -> str:
    """Return the encoding of a file, by a look at all its lines. The file is then at its end.

    A byte order mark decides it. Without one, it is UTF-8, CP949 (which a Korean spreadsheet writes) or Windows-1252
    (a Western one): the first of these that can read at least half of the lines that are not ASCII.
    """
    head = file.read(_BLOCK_BYTES)
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head[1:8:2] == b"\x00" * 4:
        return "utf-16-le"
    if head[0:8:2] == b"\x00" * 4:
        return "utf-16-be"
    lines, block = _LineCounts(), head
    while block:
        end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1 or len(block)
        lines.count(block[:end])
        more = file.read(_BLOCK_BYTES)
        block = block[end:] + more
        if not more:
            lines.count(block)
            break
    return lines.encoding


@dataclass(slots=True)
class _LineCounts:
    """How many lines are not ASCII, and how many of them each encoding can read."""

    lines: int = 0
    utf8: int = 0
    cp949: int = 0

    def count(self, block: bytes) -> None:
        if block.isascii():
            return
        for line in _LINE_END.split(block):
            if not line.isascii():
                self.lines += 1
                self.utf8 += _can_read("utf-8", line)
                self.cp949 += _can_read("cp949", line) and _looks_korean(line)

    @property
    def encoding(self) -> str:
        if 2 * self.utf8 >= self.lines:
            return "utf-8"
        return "cp949" if 2 * self.cp949 >= self.lines else "cp1252"


def _can_read(encoding: str, line: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        line.decode(encoding)
        return True
    return False


def _looks_korean(line: bytes) -> bool:
    return len(_HANGUL_PAIR.findall(line)) > len(_RARE_PAIR.findall(line))


class TooLong(str):
    """The beginning of a line that is longer than `MAX_ROW`."""


class Lines:
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
        return TooLong(line[:100])

    def push_back(self, lines: list[str]) -> None:
        """Have these lines read again, in their order."""
        self._pushed_back += reversed(lines)

    def peek(self, count: int) -> list[str]:
        """Return up to `count` lines that are not empty, with the empty ones between them. They are read again."""
        read: list[str] = []
        filled = 0
        while filled < count and len(read) < MAX_ROW and (line := self.next()) is not None:
            read.append(line)
            filled += bool(line.strip())
        self.push_back(read)
        return read
