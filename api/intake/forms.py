"""Reading multipart bodies: Werkzeug's own parser took more time for an upload than everything else together."""

from __future__ import annotations

from typing import IO, Any

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser
from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from core.sources.names import display_name

BLOCK = 128 * 1024
"""What is read at once. It is copied five times on its way to a file: what is larger would not stay in the processor's
cache, nor in the memory that the allocator keeps, whose every page would be given back and fetched anew."""


class StreamingFormParser(FormDataParser):
    """Hands files to the `stream_factory` piece by piece as they arrive; only form fields are held in memory.

    The factory is told the name of the `field`, too: how much may come depends on it.
    """

    def parse(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str] | None = None
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        """(stream, form fields, files) of a body, as Werkzeug wants them.

        Raises:
            BadRequest: it is not the multipart body that its header announces.
            RequestEntityTooLarge: it has more parts, or larger form fields, than are accepted.
        """
        if mimetype != "multipart/form-data":
            return super().parse(stream, mimetype, content_length, options)
        form = _Form(self)
        try:
            with PushMultipartParser(
                (options or {}).get("boundary", ""), max_segment_count=self.max_form_parts or 1000
            ) as parser:
                while not parser.closed:
                    for event in parser.parse(stream.read(BLOCK)):
                        form.take(event)
        except ParserLimitReached as error:
            raise RequestEntityTooLarge(f"expected at most {self.max_form_parts} parts: {error}") from error
        except MultipartError as error:
            raise BadRequest(f"the body is not the multipart/form-data that it should be: {error}") from error
        return stream, self.cls(form.fields), self.cls(form.files)


class _Form:
    """What has been read of a form so far."""

    def __init__(self, parser: FormDataParser) -> None:
        self.fields: list[tuple[str, str]] = []
        self.files: list[tuple[str, FileStorage]] = []
        self._open_stream: Any = parser.stream_factory
        self._memory = parser.max_form_memory_size
        self._segment: MultipartSegment | None = None
        self._file: Any = None
        self._text = bytearray()

    def take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        """One event of the parser: a part's header, a piece of it, or its end."""
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            self._end()
        elif self._file is not None:
            self._file.write(event)
        else:
            self._text += event
            if self._memory is not None and len(self._text) > self._memory:
                raise RequestEntityTooLarge(f"expected form fields of at most {self._memory} bytes")

    def _begin(self, segment: MultipartSegment) -> None:
        self._segment = segment
        self._text.clear()
        self._file = None
        if segment.filename is not None:
            self._file = self._open_stream(
                total_content_length=None,
                content_type=segment.content_type,
                filename=segment.filename,
                content_length=None,
                field=segment.name,
            )

    def _end(self) -> None:
        assert self._segment is not None
        name = self._segment.name or ""
        if self._file is None:
            self.fields.append((name, self._text.decode("utf-8", "replace")))
            return
        self._file.seek(0)
        headers = Headers(self._segment.headerlist)
        file_name = display_name(self._segment.filename or "")
        self.files.append((name, FileStorage(self._file, file_name, name, headers=headers)))
