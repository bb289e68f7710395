"""Multipart bodies that are read in blocks."""

from __future__ import annotations

import io

import httpx

from api.intake.forms import BLOCK, StreamingFormParser
from tests.forms import KeptFile


def test_files_arrive_complete_wherever_a_block_ends() -> None:
    # Each part is one byte longer than a block, so the blocks end in data, boundaries and headers in turn.
    sent = [(f"{number:03}.jpg", bytes([number]) * (BLOCK - 132)) for number in range(150)]
    request = httpx.Request("POST", "http://x/", files=[("images", file) for file in sent])
    body, content_type = request.read(), request.headers["Content-Type"]
    assert len(body) // len(sent) == BLOCK + 1
    options = {"boundary": content_type.partition("boundary=")[2]}
    parser = StreamingFormParser(stream_factory=KeptFile, max_form_parts=len(sent))
    _, fields, files = parser.parse(io.BytesIO(body), "multipart/form-data", len(body), options)
    assert not fields
    assert [(file.filename, file.read()) for file in files.getlist("images")] == sent
