"""A multipart body that streams: each file is opened when its turn comes and closed after it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_BLOCK = 256 * 1024
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""As the HTML standard has browsers escape names in multipart/form-data."""


class MultipartBody:
    """Text fields, then files under one field name. Give `content_type` and `length` as headers."""

    def __init__(self, fields: Mapping[str, str], field: str, files: Sequence[Path]) -> None:
        self._boundary = secrets.token_hex(16)
        self._fields = fields
        self._field = field
        self._files = [(path, path.stat().st_size) for path in files]
        self.content_type = f"multipart/form-data; boundary={self._boundary}"
        self.length = sum(len(part) for part in self._texts()) + sum(size for _, size in self._files)

    def __iter__(self) -> Iterator[bytes]:
        for name, value in self._fields.items():
            yield self._field_part(name, value)
        for path, _ in self._files:
            yield self._file_head(path)
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    yield block
            yield b"\r\n"
        yield self._end()

    def _texts(self) -> Iterator[bytes]:
        for name, value in self._fields.items():
            yield self._field_part(name, value)
        for path, _ in self._files:
            yield self._file_head(path) + b"\r\n"
        yield self._end()

    def _field_part(self, name: str, value: str) -> bytes:
        head = f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name.translate(_ESCAPES)}"\r\n\r\n'
        return f"{head}{value}\r\n".encode()

    def _file_head(self, path: Path) -> bytes:
        name = path.name.translate(_ESCAPES)
        return (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="{self._field}"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()

    def _end(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()
