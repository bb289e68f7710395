"""Requests that are broken as HTTP get an answer that says what is wrong, and nothing of them is stored."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest

from core.settings import PROJECT
from tests.conftest import RunningService

PICTURE = (PROJECT / "samples" / "pictures" / "hat-straw.jpg").read_bytes()
PART = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n' + PICTURE
SHORT_BODIES = {
    "/v1/classifications": (b"image/jpeg", PICTURE),
    "/v1/jobs": (b"multipart/form-data; boundary=x", PART + b"\r\n--x--\r\n"),
    "/v1/models/garments/promote": (b"application/json", b'{"version": "4"}'),
}
MALFORMED = {
    b"GET / HTTP/9.9\r\n\r\n": 505,
    b"NOT HTTP AT ALL\r\n\r\n": 400,
    b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n": 400,
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n": 414,
    b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n": 431,
    b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": 400,
    b"POST /v1/jobs HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}": 400,
    b"POST /v1/jobs HTTP/1.1\r\nContent-Length: -1\r\n\r\n{}": 400,
    b"POST /v1/jobs HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}": 400,
    b"POST /v1/jobs HTTP/1.1\r\nTransfer-Encoding: magic\r\n\r\n{}": 501,
    b"POST /v1/jobs HTTP/1.1\r\nExpect: miracles\r\n\r\n{}": 417,
}
CHUNKS = {
    b"zz\r\nabc\r\n0\r\n\r\n": 400,
    b"-1\r\nabc\r\n0\r\n\r\n": 400,
    b"3\r\nabcd\r\n0\r\n\r\n": 400,
    b"3\r\nabc\r\n": 400,
    b"ffffffffffffffffff\r\nabc": 400,
    b"3": 400,
    b"": 400,
}


def send(service: RunningService, data: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes, end the sending, and return the status and the problem of the answer."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer
    return int(head.split()[1]), json.loads(body)


def test_requests_that_are_not_http_get_problem_details(service: RunningService) -> None:
    answers = {data: send(service, data) for data in MALFORMED}
    assert {data: status for data, (status, _) in answers.items()} == MALFORMED
    assert all(problem["status"] == status and problem["detail"] for status, problem in answers.values())


def test_malformed_chunks_are_refused(service: RunningService) -> None:
    head = b"POST /v1/classifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    answers = {chunks: send(service, head + chunks) for chunks in CHUNKS}
    assert {chunks: status for chunks, (status, _) in answers.items()} == CHUNKS


@pytest.mark.parametrize("length", [b"Content-Length: 40000000", b"Transfer-Encoding: chunked"])
def test_a_client_that_sends_its_whole_body_first_still_gets_the_refusal(
    service: RunningService, length: bytes
) -> None:
    body = bytes(40_000_000)
    if b"chunked" in length:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    head = b"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n\r\n"
    assert send(service, head + body)[0] == 404


@pytest.mark.parametrize("path", SHORT_BODIES)
def test_a_body_that_is_shorter_than_its_length_is_refused(
    service: RunningService, http: httpx.Client, path: str
) -> None:
    content_type, body = SHORT_BODIES[path]
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n" % (path.encode(), content_type)
    newest = http.get("/v1/jobs").json()["data"][:1]
    status, problem = send(service, head + b"Content-Length: %d\r\n\r\n%s" % (len(body) + 1, body))
    assert status == 400
    assert problem["detail"] == (
        f"The body broke off: expected {len(body) + 1:,} bytes by its Content-Length, got {len(body):,}."
    )
    status, problem = send(service, head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(body), body))
    assert (status, problem["detail"][:19]) == (400, "The body broke off:")
    assert http.get("/v1/jobs").json()["data"][:1] == newest
