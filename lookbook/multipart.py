"""A multipart body that streams. Each file is opened only while it is being sent."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lookbook.errors import FileChanged

BLOCK = 256 * 1024
"""Bytes that are read and sent at once."""
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""How the HTML standard escapes names in multipart/form-data."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send: the name that the service shows, and the path of the file or its bytes."""

    name: str
    content: Path | bytes = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @property
    def sent_name(self) -> str:
        """The name as it is sent. Surrogates, which Python uses in names that are not UTF-8, become question marks."""
        return self.name.encode("utf-8", "replace").decode()

    def blocks(self, size: int) -> Iterator[bytes]:
        """Yield the content. `size` is the number of bytes that were announced.

        Raises:
            FileChanged: the file has another size now.
        """
        if isinstance(self.content, bytes):
            yield from (self.content[start : start + BLOCK] for start in range(0, size, BLOCK))
            return
        left = size
        with self.content.open("rb") as file:
            # Reading one byte more than is left shows whether the file has grown.
            while block := file.read(min(BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    break
                yield block
        if left:
            raise FileChanged(f"{self.content} had {size:,} bytes when the request began, but now has another size")


Sendable = str | os.PathLike[str] | Upload
"""The path of a file, which is sent under its own name, or an `Upload` with another name."""


Sent = Callable[[int, int], object]
"""A callback with the number of bytes sent so far and the number of bytes in total."""


class MultipartBody:
    """A form of text fields, followed by files in one field. Send `content_type` and `length` as headers.

    A body can be sent again, because each iteration starts from the beginning.
    """

    def __init__(self, fields: Mapping[str, str], field: str, files: Sequence[Sendable]) -> None:
        self._boundary = secrets.token_hex(16)
        self._fields = fields
        self._field = field
        self._files = [(file, file.size) for file in map(to_upload, files)]
        self.content_type = f"multipart/form-data; boundary={self._boundary}"
        self.length = sum(len(part) for part in self._texts()) + sum(size for _, size in self._files)
        self.on_sent: Sent = lambda sent, total: None
        """Called after each block. The count starts at 0 again when the body is sent again."""

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
        name = file.sent_name.translate(_ESCAPES)
        return (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="{self._field}"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()

    def _end(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()


def to_upload(file: Sendable) -> Upload:
    """Return the upload of a file under its own name, or the given upload."""
    if isinstance(file, Upload):
        return file
    path = Path(file)
    return Upload(path.name, path)
