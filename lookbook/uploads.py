"""What is in folders, and bodies that are no forms."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from lookbook.multipart import Upload

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".avif", ".bmp"}
"""What is picked up from folders. A file that is named itself is sent whatever it is called."""


class BytesBody:
    """Bytes in memory."""

    def __init__(self, data: bytes, content_type: str) -> None:
        self._data = data
        self.content_type = content_type
        self.length = len(data)

    def __iter__(self) -> Iterator[bytes]:
        yield self._data


def json_body(value: object) -> BytesBody:
    return BytesBody(json.dumps(value, ensure_ascii=False).encode(), "application/json")


def pictures_in(folder: str | os.PathLike[str]) -> list[Upload]:
    """The pictures of a folder and of those in it, sorted, each named by its path from that folder (`coats/1.jpg`)."""
    root = Path(folder)
    found = (path for path in root.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    return [Upload(path.relative_to(root).as_posix(), path) for path in sorted(found) if path.is_file()]
