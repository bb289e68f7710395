"""Tables inside an archive that name its pictures. What a row says becomes the metadata of its picture."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress

from core.item_errors import ItemError, SourceEnded
from core.sources.manifests import Columns, Row, manifest_rows
from core.sources.members import Member

MAX_BYTES = 32 * 2**20
"""Maximum size of all tables of an archive together, because their rows are held in memory."""

_TABLE_NAME = re.compile(r".*\.(csv|tsv|jsonl|ndjson|xlsx)", re.I | re.S)
_SEPARATORS = re.compile(r"[/\\]+")


class PictureList:
    """The rows of the tables of one archive, found by the names of its members."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self._by_path: dict[str, Row] = {}
        self._by_name: dict[str, Row | None] = {}
        """By the last part of the path. None: several rows have it."""
        self.columns: dict[str, str] = {}
        """Column -> field, of the tables that name a member."""

    @classmethod
    def read(cls, members: Iterable[Member], given: Mapping[str, str], max_rows: int) -> PictureList:
        """Return the list of an archive. Tables that name none of its pictures, or cannot be read, are not part of it.

        `given`: what the client says about the columns.
        """
        pictures, names, unread = cls(given), [], MAX_BYTES
        with suppress(SourceEnded):
            for member in members:
                if member.pieces is None or not _TABLE_NAME.fullmatch(member.name):
                    names.append(member.name)
                    continue
                data = _read(member, unread)
                if data is not None:
                    unread -= len(data)
                    pictures._add(member.name, data, max_rows)
        return pictures if any(map(pictures.find, names)) else cls(given)

    def find(self, name: str) -> Row | None:
        """Return what the tables say about a member: by its path, by its path below a table, or by its file name."""
        path = _path(name)
        return self._by_path.get(path) or self._by_name.get(path.rpartition("/")[2])

    def _add(self, table: str, data: bytes, max_rows: int) -> None:
        columns = Columns(self._given, names_files=True)
        folder = _path(table).rpartition("/")[0]
        with suppress(SourceEnded):
            for row in manifest_rows(io.BytesIO(data), max_rows, columns, MAX_BYTES):
                if row is not None and row.url:
                    path = _path(row.url)
                    for place in {path, f"{folder}/{path}" if folder else path}:
                        self._by_path.setdefault(place, row)
                    file_name = path.rpartition("/")[2]
                    self._by_name[file_name] = None if file_name in self._by_name else row
        self.columns |= columns.understood


def _path(name: str) -> str:
    """Return a name in the form in which names are compared: macOS and Windows write the same one in different ways."""
    parts = _SEPARATORS.split(unicodedata.normalize("NFC", name).casefold())
    return "/".join(part for part in parts if part not in ("", "."))


def _read(member: Member, limit: int) -> bytes | None:
    """Return the bytes of a member, or None if it is damaged or too large."""
    assert member.pieces is not None
    data = bytearray()
    try:
        for piece in member.pieces():
            data += piece
            if len(data) > limit:
                return None
    except ItemError:
        return None
    return bytes(data)
