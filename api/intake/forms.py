"""A parser of multipart bodies. Werkzeug's own parser took more time for an upload than everything else together."""

from __future__ import annotations

from typing import IO, Any

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser
from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from api.intake.file_names import HEADER_CHARSET, field_name, file_name
from core.sources.names import decode_name

BLOCK = 128 * 1024
"""Bytes that are read at once. They are copied five times on their way to a file.

Larger blocks do not fit into the processor's cache. The allocator also returns larger blocks to the system each time
and fetches their pages again."""


class StreamingFormParser(FormDataParser):
    """Writes files to the streams of `stream_factory` as they arrive. Only form fields are held in memory.

    The factory also receives the name of the `field`, because the size limit depends on it.
    """

    def parse(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str] | None = None
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        """Return (stream, form fields, files) of a body, as Werkzeug expects them.

        Raises:
            BadRequest: the body is not the multipart body that its header announces.
            RequestEntityTooLarge: the body has too many parts or too large form fields.
        """
        if mimetype != "multipart/form-data":
            return super().parse(stream, mimetype, content_length, options)
        form = _Form(self)
        try:
            with PushMultipartParser(
                (options or {}).get("boundary", ""),
                max_segment_count=self.max_form_parts or 1000,
                header_charset=HEADER_CHARSET,
            ) as parser:
                while not parser.closed:
                    for event in parser.parse(stream.read(BLOCK)):
                        form.handle(event)
        except ParserLimitReached as error:
            raise RequestEntityTooLarge(f"The form has more than {self.max_form_parts} parts: {error}.") from error
        except MultipartError as error:
            raise BadRequest(f"The body is not valid multipart/form-data: {error}.") from error
        return stream, self.cls(form.fields), self.cls(form.files)


class _Form:
    """The parts of a form that have been read so far."""

    def __init__(self, parser: FormDataParser) -> None:
        self.fields: list[tuple[str, str]] = []
        self.files: list[tuple[str, FileStorage]] = []
        self._open_stream: Any = parser.stream_factory
        self._max_field_bytes = parser.max_form_memory_size
        self._segment: MultipartSegment | None = None
        self._file: Any = None
        self._file_name: str | None = None
        self._text = bytearray()

    def handle(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        """Take in one event of the parser: the header of a part, a piece of its content, or its end (None)."""
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            self._end()
        elif self._file is not None:
            self._file.write(event)
        else:
            self._text += event
            if self._max_field_bytes is not None and len(self._text) > self._max_field_bytes:
                raise RequestEntityTooLarge(f"A form field has more than {self._max_field_bytes} bytes.")

    def _begin(self, segment: MultipartSegment) -> None:
        self._segment = segment
        self._text.clear()
        self._file = None
        self._file_name = file_name(segment)
        if self._file_name is not None:
            self._file = self._open_stream(
                total_content_length=None,
                content_type=segment.content_type,
                filename=self._file_name,
                content_length=None,
                field=field_name(segment),
            )

    def _end(self) -> None:
        assert self._segment is not None
        name = field_name(self._segment)
        if self._file is None:
            self.fields.append((name, decode_name(bytes(self._text))))
            return
        self._file.seek(0)
        try:
            headers = Headers(self._segment.headerlist)
        except ValueError as error:
            raise BadRequest("The body is not valid multipart/form-data: a header has a line break.") from error
        self.files.append((name, FileStorage(self._file, self._file_name, name, headers=headers)))
