"""Uploads that stream into the blob store: a request's pictures are never whole in memory, nor all open at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, cast

from flask import Request
from werkzeug.datastructures import FileStorage

from api.forms import StreamingFormParser
from api.services import services
from core.errors import ItemError, NotAnImage, TooLarge
from db.blob_store import BlobWriter
from db.jobs import StoredBlob

_BLOCK = 64 * 1024


class PictureStream:
    """Takes one part of a multipart body, in the place where Flask would put a temporary file."""

    def __init__(self, writer: BlobWriter, limit: int) -> None:
        self._writer = writer
        self._limit = limit
        self._size = 0

    def write(self, data: bytes) -> int:
        self._size += len(data)
        # What is above the limit is counted, for the error, but not kept.
        if self._size <= self._limit:
            self._writer.write(data)
        return len(data)

    def seek(self, _offset: int, _whence: int = 0) -> int:
        # The parser rewinds a part once it is complete.
        self._writer.finish()
        return 0

    def close(self) -> None:
        self._writer.abort()

    def store(self) -> StoredBlob:
        """Keep the picture.

        Raises:
            ItemError: it is empty or larger than what is accepted.
        """
        if self._size == 0:
            raise NotAnImage("expected a picture, got an empty file")
        if self._size > self._limit:
            raise TooLarge(f"expected at most {self._limit:,} bytes, got {self._size:,}")
        return StoredBlob(self._writer.commit(), self._size)


class StreamingRequest(Request):
    """A request whose uploaded files go to the blob store as they arrive."""

    form_data_parser_class = StreamingFormParser

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return cast(IO[bytes], self._picture_stream())

    def _picture_stream(self) -> PictureStream:
        stream = PictureStream(services().blobs.writer(), services().settings.max_picture_bytes)
        # Flask closes these with the request, however it ends: what was not stored by then is forgotten.
        self.environ.setdefault("lookbook.streams", []).append(stream)
        return stream

    def store_body(self) -> StoredBlob:
        """Store the raw body as one picture.

        Raises:
            ItemError: it is empty or too large.
        """
        stream = self._picture_stream()
        while block := self.stream.read(_BLOCK):
            stream.write(block)
        stream.seek(0)
        return stream.store()

    def close(self) -> None:
        super().close()
        for stream in self.environ.get("lookbook.streams", []):
            stream.close()


def store_part(part: FileStorage) -> StoredBlob:
    """Keep one uploaded file of the present request (see `PictureStream.store`)."""
    return cast(PictureStream, part.stream).store()


def store_parts(parts: list[FileStorage]) -> Iterator[tuple[str, StoredBlob | None, ItemError | None]]:
    """(name, blob, None) of each file, or (name, None, error) of one that is refused."""
    for part in parts:
        name = part.filename or "unnamed"
        try:
            yield name, store_part(part), None
        except ItemError as error:
            yield name, None, error
