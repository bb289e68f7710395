"""A multipart body that streams: each file is opened when its turn comes and closed after it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lookbook.errors import FileChanged

BLOCK = 256 * 1024
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""As the HTML standard has browsers escape names in multipart/form-data."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be sent: its name as the service shall know it, and where its bytes are, or they themselves."""

    name: str
    content: Path | bytes = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def blocks(self, size: int) -> Iterator[bytes]:
        """The `size` bytes that it had.

        Raises:
            FileChanged: it has another number of them by now.
        """
        if isinstance(self.content, bytes):
            yield from (self.content[start : start + BLOCK] for start in range(0, size, BLOCK))
            return
        left = size
        with self.content.open("rb") as file:
            # One byte more than is left shows that it has grown.
            while block := file.read(min(BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    break
                yield block
        if left:
            raise FileChanged(f"{self.content} had {size:,} bytes when the request began, and has not any more")


Sendable = str | os.PathLike[str] | Upload
"""A file on disk, sent under its own name; or one under another name."""


Sent = Callable[[int, int], object]
"""Called while something is sent, with the bytes sent so far and those of all of it."""


class MultipartBody:
    """Text fields, then files under one field name. Give `content_type` and `length` as headers.

    It can be sent again: every iteration starts anew.
    """

    def __init__(self, fields: Mapping[str, str], field: str, files: Sequence[Sendable]) -> None:
        self._boundary = secrets.token_hex(16)
        self._fields = fields
        self._field = field
        self._files = [(file, file.size) for file in map(_upload, files)]
        self.content_type = f"multipart/form-data; boundary={self._boundary}"
        self.length = sum(len(part) for part in self._texts()) + sum(size for _, size in self._files)
        self.on_sent: Sent = lambda sent, total: None
        """Called after each block. When everything is sent again, it begins at 0 again."""

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        for block in self._blocks():
            yield block
            sent += len(block)
            self.on_sent(sent, self.length)

    def _blocks(self) -> Iterator[bytes]:
        for name, value in self._fields.items():
            yield self._field_part(name, value)
        for file, size in self._files:
            yield self._file_head(file)
            yield from file.blocks(size)
            yield b"\r\n"
        yield self._end()

    def _texts(self) -> Iterator[bytes]:
        for name, value in self._fields.items():
            yield self._field_part(name, value)
        for file, _ in self._files:
            yield self._file_head(file) + b"\r\n"
        yield self._end()

    def _field_part(self, name: str, value: str) -> bytes:
        head = f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name.translate(_ESCAPES)}"\r\n\r\n'
        return f"{head}{value}\r\n".encode()

    def _file_head(self, file: Upload) -> bytes:
        # A name that is no UTF-8 (surrogates stand for its bytes) is sent as near as UTF-8 comes.
        name = file.name.translate(_ESCAPES).encode("utf-8", "replace").decode()
        return (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="{self._field}"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()

    def _end(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()


def _upload(file: Sendable) -> Upload:
    if isinstance(file, Upload):
        return file
    path = Path(file)
    return Upload(path.name, path)
