"""The pictures of folders, and request bodies in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lookbook.multipart import Upload
from lookbook.options import UrlItem

PICTURE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".avif", ".bmp"),
    *(".heic", ".heif", ".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".jxl"),
}
"""The endings of files that `pictures_in` returns. A file that is submitted by its own path may have any name."""


class BytesBody:
    """A request body in memory."""

    def __init__(self, data: bytes, content_type: str) -> None:
        self._data = data
        self.content_type = content_type
        self.length = len(data)

    def __iter__(self) -> Iterator[bytes]:
        yield self._data


def json_body(value: object) -> BytesBody:
    return BytesBody(json.dumps(value, ensure_ascii=False).encode(), "application/json")


def url_rows(items: Iterable[UrlItem | str]) -> list[UrlItem]:
    """Return the members of pictures by URL. A text is the URL itself."""
    return [{"url": item} if isinstance(item, str) else item for item in items]


def pictures_in(folder: str | os.PathLike[str]) -> list[Upload]:
    """Return the pictures in a folder and its subfolders, sorted.

    Each is named by its path relative to the folder, such as `coats/1.jpg`.
    """
    root = Path(folder)
    paths = (path for path in root.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    return [Upload(path.relative_to(root).as_posix(), path) for path in sorted(paths) if path.is_file()]
