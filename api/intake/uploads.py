"""Uploads that stream into the blob store: a request's pictures are never whole in memory, nor all open at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any, NoReturn, cast

import structlog
from flask import Request, request
from sqlalchemy.exc import DBAPIError
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from api.answers.problems import invalid_field_problem
from api.intake.forms import BLOCK, StreamingFormParser
from api.services import Services, current_services
from core.errors import BlobStoreUnavailable, ItemError, NotAnImage, StorageFull, TooLarge
from core.settings import Settings
from db.blobs.leftovers import remove_leftovers
from db.blobs.spool import BlobWriter
from db.steps.submitting import StoredBlob

log = structlog.get_logger(__name__)


class Uploads:
    """The pictures of one request: made durable together, and forgotten together."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._blobs = services.blobs
        self._settings = services.settings
        self._streams: list[UploadStream] = []
        self._stored: list[BlobWriter] = []
        self._failure: StorageFull | BlobStoreUnavailable | None = None

    def open(self, field: str | None = None) -> UploadStream:
        """Take a file that comes in a field of a form, or a raw body."""
        stream = UploadStream(self, _limit_of(field, self._settings))
        self._streams.append(stream)
        return stream

    def writer(self) -> BlobWriter | None:
        """Bytes on their way into the store; None if it has failed already for this request."""
        try:
            return self._blobs.writer() if self._failure is None else None
        except (StorageFull, BlobStoreUnavailable) as error:
            self.fail(error)
            return None

    def fail(self, error: StorageFull | BlobStoreUnavailable) -> None:
        """The store cannot take this request: forget what came, and let the rest pass by.

        Nobody hears an answer that is given while he is still sending, so it waits until he is done.
        """
        self._failure = error
        self.forget()

    def check(self) -> None:
        """See whether the store could take in what came.

        Raises:
            StorageFull, BlobStoreUnavailable: it could not.
        """
        if self._failure is not None:
            raise self._failure

    def store(self, streams: Sequence[UploadStream]) -> None:
        """Make pictures durable.

        Raises:
            StorageFull, BlobStoreUnavailable: the store cannot take them, or could not while they came.
        """
        self.check()
        self._stored = [stream.writer for stream in streams if stream.writer is not None]
        self._blobs.commit(self._stored)

    def keep(self) -> None:
        """The rows that refer to the pictures are committed: see to it that all are there still.

        `forget` then removes only what they were written to.
        """
        self._blobs.ensure(self._stored)
        self._stored = []

    def forget(self) -> None:
        """Remove what is not kept: nothing will ever name it. Harmless a second time, and after `keep`."""
        for stream in self._streams:
            stream.close()
        self._streams = []
        created, self._stored = [writer.sha256 for writer in self._stored if writer.created], []
        try:
            remove_leftovers(self._database, self._blobs, created)
        except (BlobStoreUnavailable, StorageFull, DBAPIError) as error:
            # They take up room, and do no harm: whoever uploads one of them again finds it there.
            log.warning("bytes_left_behind", blobs=len(created), reason=str(error))


def _limit_of(field: str | None, settings: Settings) -> int:
    limits = {"archive": settings.max_archive_bytes, "manifest": settings.max_manifest_bytes}
    return limits.get(field or "", settings.max_picture_bytes)


class UploadStream:
    """Takes one part of a multipart body, in the place where Flask would put a temporary file."""

    def __init__(self, uploads: Uploads, limit: int) -> None:
        self._uploads = uploads
        self._limit = limit
        self.size = 0
        self.writer = uploads.writer()

    def write(self, data: bytes) -> int:
        self.size += len(data)
        # What is above the limit is counted, for the error, but not kept.
        if self.writer is not None and self.size <= self._limit:
            try:
                self.writer.write(data)
            except (StorageFull, BlobStoreUnavailable) as error:
                self._uploads.fail(error)
        return len(data)

    def seek(self, _offset: int, _whence: int = 0) -> int:
        # The parser rewinds a part once it is complete.
        if self.writer is not None:
            try:
                self.writer.finish()
            except (StorageFull, BlobStoreUnavailable) as error:
                self._uploads.fail(error)
        return 0

    def close(self) -> None:
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.abort()

    def problem(self) -> ItemError | None:
        """Why it cannot be a picture: it is empty, or larger than what is accepted."""
        if self.size == 0:
            return NotAnImage("expected a picture, got an empty file")
        if self.size > self._limit:
            return TooLarge(f"expected at most {self._limit:,} bytes, got {self.size:,}")
        return None

    @property
    def digest(self) -> str:
        """By which it is known again: the SHA-256 of what was kept of it, and its size."""
        return f"{self.writer.sha256 if self.writer is not None else ''}:{self.size}"

    @property
    def blob(self) -> StoredBlob:
        """What was stored of it."""
        assert self.writer is not None
        return StoredBlob(self.writer.sha256, self.size)


class StreamingRequest(Request):
    """A request whose uploaded files go to the blob store as they arrive."""

    form_data_parser_class = StreamingFormParser

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
        field: str | None = None,
    ) -> IO[bytes]:
        return cast(IO[bytes], self.uploads.open(field))

    @property
    def uploads(self) -> Uploads:
        # Flask closes them with the request, however it ends: what was not stored by then is forgotten.
        found = self.environ.get("lookbook.uploads")
        if found is None:
            found = Uploads(current_services())
            self.environ["lookbook.uploads"] = found
        return cast(Uploads, found)

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The body as JSON, which it has to say that it is: APIFlask would take it for that whatever it says."""
        return super().get_json(silent=silent, cache=cache)

    def on_json_loading_failed(self, error: ValueError | None) -> NoReturn:
        """Say what is wrong with a body that should be JSON."""
        if error is None:
            raise UnsupportedMediaType(f"expected application/json, got {self.mimetype or 'no Content-Type'}")
        raise BadRequest(f"expected a JSON body: {error}")

    def read_body(self) -> UploadStream:
        """The raw body as one picture; the same one however often it is asked for."""
        found = self.environ.get("lookbook.body")
        if found is None:
            found = self.environ["lookbook.body"] = self.uploads.open()
            while block := self.stream.read(BLOCK):
                found.write(block)
            found.seek(0)
        return cast(UploadStream, found)

    def close(self) -> None:
        super().close()
        if "lookbook.uploads" in self.environ:
            self.uploads.forget()


def current_uploads() -> Uploads:
    """The pictures of the present request."""
    return cast(StreamingRequest, request).uploads


def refuse_other_files(fields: Sequence[str]) -> None:
    """Do not let files pass unseen that came in a field which is none.

    Raises:
        Problem: 422, there are some.
    """
    others = [name for name in request.files if name not in fields]
    if others:
        raise invalid_field_problem(others[0], f"expected files in {', '.join(fields)}")


def store_body() -> StoredBlob:
    """Keep the raw body of the present request as one picture.

    Raises:
        ItemError: it is empty or too large.
        StorageFull, BlobStoreUnavailable: it cannot be kept.
    """
    return _store_one(cast(StreamingRequest, request).read_body())


def store_part(part: FileStorage) -> StoredBlob:
    """Keep one uploaded file of the present request (see `store_body`)."""
    return _store_one(cast(UploadStream, part.stream))


def _store_one(stream: UploadStream) -> StoredBlob:
    problem = stream.problem()
    if problem is not None:
        raise problem
    current_uploads().store([stream])
    return stream.blob


def store_source(part: FileStorage) -> StoredBlob:
    """Keep an uploaded archive or manifest of the present request.

    Raises:
        TooLarge: it is larger than such a file may be.
        Problem: 422, it is empty.
        StorageFull, BlobStoreUnavailable: it cannot be kept.
    """
    stream = cast(UploadStream, part.stream)
    if stream.size == 0:
        raise invalid_field_problem(str(part.name), "expected a file, got an empty one")
    return _store_one(stream)


def store_parts(parts: Sequence[FileStorage]) -> list[tuple[str, StoredBlob | None, ItemError | None]]:
    """(name, blob, None) of each file, or (name, None, error) of one that is refused.

    Raises:
        StorageFull, BlobStoreUnavailable: they cannot be kept, none of them.
    """
    streams = [cast(UploadStream, part.stream) for part in parts]
    problems = [stream.problem() for stream in streams]
    current_uploads().store([stream for stream, problem in zip(streams, problems, strict=True) if problem is None])
    return [
        (part.filename or "unnamed", None if problem else stream.blob, problem)
        for part, stream, problem in zip(parts, streams, problems, strict=True)
    ]
