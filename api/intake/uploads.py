"""Uploads that stream into the blob store, so that no file is held in memory as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import IO, Any, NoReturn, cast

from flask import Request, request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from api.answers.problems import Problem, invalid_field_problem
from api.intake.forms import BLOCK, StreamingFormParser
from api.services import Services, current_services
from core.errors import BlobStoreUnavailable, StorageFull
from core.item_errors import EmptyFile, ItemError, TooLarge
from core.settings import Settings
from db.blobs.leftovers import discard_uncommitted
from db.blobs.spool import BlobWriter
from db.steps.submitting import StoredBlob


class Uploads:
    """The uploaded files of one request. They are stored together or discarded together."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._blobs = services.blobs
        self._settings = services.settings
        self._streams: list[UploadStream] = []
        self._stored: list[BlobWriter] = []
        self._failure: StorageFull | BlobStoreUnavailable | None = None

    def open_stream(self, field: str | None = None) -> UploadStream:
        """Return a stream for a file in a form field, or for a raw body."""
        stream = UploadStream(self, _max_bytes(field, self._settings))
        self._streams.append(stream)
        return stream

    def open_writer(self) -> BlobWriter | None:
        """Return a writer into the blob store, or None if the store has already failed for this request."""
        try:
            return self._blobs.writer() if self._failure is None else None
        except (StorageFull, BlobStoreUnavailable) as error:
            self.record_failure(error)
            return None

    def record_failure(self, error: StorageFull | BlobStoreUnavailable) -> None:
        """Discard the files, because the store cannot take them. The rest of the body is read and ignored.

        Clients ignore a response while they are still sending, so the error is raised after the body has been read.
        """
        self._failure = error
        self.discard()

    def raise_failure(self) -> None:
        """Raise the error of the blob store, if there was one.

        Raises:
            StorageFull, BlobStoreUnavailable: the store could not take the files.
        """
        if self._failure is not None:
            raise self._failure

    def store(self, streams: Sequence[UploadStream]) -> None:
        """Commit files to the blob store.

        Raises:
            StorageFull, BlobStoreUnavailable: the store cannot take them, or failed while they were received.
        """
        self.raise_failure()
        self._stored = [stream.writer for stream in streams if stream.writer is not None]
        self._blobs.commit(self._stored)

    def confirm(self) -> None:
        """Make sure that all stored files still exist. Call it after the rows that refer to them are committed.

        `discard` then removes only temporary files.
        """
        self._blobs.ensure(self._stored)
        self._stored = []

    def discard(self) -> None:
        """Remove files that no row refers to. It may be called repeatedly, and after `confirm`."""
        for stream in self._streams:
            stream.close()
        self._streams = []
        stored, self._stored = self._stored, []
        discard_uncommitted(self._database, self._blobs, stored)


def _max_bytes(field: str | None, settings: Settings) -> int:
    limits = {"archive": settings.max_archive_bytes, "manifest": settings.max_manifest_bytes}
    return limits.get(field or "", settings.max_picture_bytes)


class UploadStream:
    """Receives one part of a multipart body. It replaces the temporary file that Flask would use."""

    def __init__(self, uploads: Uploads, limit: int) -> None:
        self._uploads = uploads
        self._limit = limit
        self.size = 0
        self.writer = uploads.open_writer()

    def write(self, data: bytes) -> int:
        self.size += len(data)
        # Bytes above the limit are only counted, so that the error can name the size.
        if self.writer is not None and self.size <= self._limit:
            try:
                self.writer.write(data)
            except (StorageFull, BlobStoreUnavailable) as error:
                self._uploads.record_failure(error)
        return len(data)

    def seek(self, _offset: int, _whence: int = 0) -> int:
        # The parser calls this when a part is complete.
        if self.writer is not None:
            try:
                self.writer.finish()
            except (StorageFull, BlobStoreUnavailable) as error:
                self._uploads.record_failure(error)
        return 0

    def close(self) -> None:
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.abort()

    def find_error(self) -> ItemError | None:
        """Return why the file is refused (it is empty or too large), or None."""
        if self.size == 0:
            return EmptyFile("expected a picture, got an empty file")
        if self.size > self._limit:
            return TooLarge(f"expected at most {self._limit:,} bytes, got {self.size:,}")
        return None

    @property
    def digest(self) -> str:
        """The SHA-256 and the size of the file. Beyond the size limit, bytes are not part of the SHA-256."""
        return f"{self.writer.sha256 if self.writer is not None else ''}:{self.size}"

    @property
    def blob(self) -> StoredBlob:
        """The stored file."""
        assert self.writer is not None
        return StoredBlob(self.writer.sha256, self.size)


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
"""A surrogate of UTF-16 in JSON, as an escape or as bytes. A pair of two escapes is one character."""


class StreamingRequest(Request):
    """A request that writes uploaded files into the blob store as they arrive."""

    form_data_parser_class = StreamingFormParser

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
        field: str | None = None,
    ) -> IO[bytes]:
        return cast(IO[bytes], self.uploads.open_stream(field))

    @property
    def uploads(self) -> Uploads:
        # `close` discards what is not stored by the end of the request.
        uploads = self.environ.get("lookbook.uploads")
        if uploads is None:
            uploads = self.environ["lookbook.uploads"] = Uploads(current_services())
        return cast(Uploads, uploads)

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Return the JSON body. Its Content-Type must say that it is JSON; APIFlask would otherwise ignore the type."""
        try:
            body = super().get_json(silent=silent, cache=cache)
            if _SURROGATE.search(self.get_data(cache=cache)):
                # Python's parser accepts half of a surrogate pair, which no encoding of text can hold.
                json.dumps(body, ensure_ascii=False).encode()
        except (RecursionError, UnicodeEncodeError) as error:
            if silent:
                return None
            reason = "it is nested too deeply" if isinstance(error, RecursionError) else "it has half a surrogate pair"
            raise BadRequest(f"The body is not valid JSON: {reason}.") from error
        return body

    def on_json_loading_failed(self, error: ValueError | None) -> NoReturn:
        """Raise an error that says why the body is not JSON."""
        if error is None:
            raise UnsupportedMediaType(f"Expected application/json, got {self.mimetype or 'no Content-Type'}.")
        raise BadRequest(f"The body is not valid JSON: {error}.")

    def read_body(self) -> UploadStream:
        """Return the raw body as one file. Repeated calls return the same one."""
        body = self.environ.get("lookbook.body")
        if body is None:
            body = self.environ["lookbook.body"] = self.uploads.open_stream()
            while block := self.stream.read(BLOCK):
                body.write(block)
            body.seek(0)
        return cast(UploadStream, body)

    def close(self) -> None:
        super().close()
        if "lookbook.uploads" in self.environ:
            self.uploads.discard()


def current_uploads() -> Uploads:
    """Return the uploaded files of the current request."""
    return cast(StreamingRequest, request).uploads


def expect_form(*others: str) -> None:
    """Refuse a request that is not a form with files, before its body is read.

    `others`: beginnings of content types that the operation takes as well.

    Raises:
        Problem: 415, the body is something else.
    """
    kind = request.mimetype
    if kind != "multipart/form-data" and not (others and kind.startswith(others)):
        expected = " or ".join(["multipart/form-data", *others])
        raise Problem(415, "unsupported_media_type", f"Expected {expected}, got {kind or 'no Content-Type'}.")


def refuse_other_files(fields: Sequence[str]) -> None:
    """Refuse files in unknown fields, because they would otherwise be ignored without notice.

    Raises:
        Problem: 422, a file is in a field that is not among `fields`.
    """
    others = [name for name in request.files if name not in fields]
    if others:
        raise invalid_field_problem(others[0], f"expected files in {', '.join(fields)}")


def store_body() -> StoredBlob:
    """Store the raw body of the current request as one picture.

    Raises:
        ItemError: the body is empty or too large.
        StorageFull, BlobStoreUnavailable: the body cannot be stored.
    """
    return _store_one(cast(StreamingRequest, request).read_body())


def store_part(part: FileStorage) -> StoredBlob:
    """Store one uploaded file. Raises the same errors as `store_body`."""
    return _store_one(cast(UploadStream, part.stream))


def _store_one(stream: UploadStream) -> StoredBlob:
    error = stream.find_error()
    if error is not None:
        raise error
    current_uploads().store([stream])
    return stream.blob


def store_source(part: FileStorage) -> StoredBlob:
    """Store an uploaded archive or manifest.

    Raises:
        TooLarge: the file is too large for its kind.
        Problem: 422, the file is empty.
        StorageFull, BlobStoreUnavailable: the file cannot be stored.
    """
    stream = cast(UploadStream, part.stream)
    if stream.size == 0:
        raise invalid_field_problem(str(part.name), "expected a file, got an empty one", EmptyFile.code)
    return _store_one(stream)


def store_parts(parts: Sequence[FileStorage]) -> list[tuple[str, StoredBlob | None, ItemError | None]]:
    """Store files. Return (name, blob, None) for each stored file and (name, None, error) for each refused one.

    Raises:
        StorageFull, BlobStoreUnavailable: no file can be stored.
    """
    streams = [cast(UploadStream, part.stream) for part in parts]
    errors = [stream.find_error() for stream in streams]
    current_uploads().store([stream for stream, error in zip(streams, errors, strict=True) if error is None])
    return [
        (part.filename or "unnamed", None if error else stream.blob, error)
        for part, stream, error in zip(parts, streams, errors, strict=True)
    ]
