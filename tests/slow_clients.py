"""Attack a running service with slow clients: `python -m tests.slow_clients [URL]`.

For each shape of a slow request, 500 connections stay open for 30 seconds, and some send a byte every two seconds.
Meanwhile one client uploads 10,000 pictures over a slow line. The figures say how long `/healthz` took at worst.
"""

from __future__ import annotations

import argparse
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx
from PIL import Image

CLIENTS = 500
SECONDS = 30
BYTE_EVERY_SECONDS = 2.0
PICTURES = 10_000
LINE_BYTES_PER_SECOND = 400_000

HEAD = b"POST /v1/classifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
SHAPES = {
    "one byte of a head every 2 s": (b"GET /healthz HTTP/1.1\r\nHost: local", True),
    "a head, two bytes of a body, then nothing": (HEAD + b"Content-Length: 100\r\n\r\n\xff\xd8", False),
    "a head, then one byte of a chunk every 2 s": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\n\xff\xd8", True),
}


@contextmanager
def slow_clients(host: str, port: int, data: bytes, *, trickle: bool) -> Iterator[None]:
    """Keep the connections open during the block."""
    ended = threading.Event()
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection((host, port), 10)) for _ in range(CLIENTS)]
        for client in clients:
            client.sendall(data)

        def send_on() -> None:
            while trickle and not ended.wait(BYTE_EVERY_SECONDS):
                for client in clients:
                    # The service ends those that are too slow.
                    with suppress(OSError):
                        client.send(b"h")

        thread = threading.Thread(target=send_on)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def probe(host: str, port: int, seconds: float) -> str:
    """Ask `/healthz` twice a second on new connections. Return how often it answered, and how long it took at worst."""
    worst, asked, answered = 0.0, 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        asked += 1
        with suppress(OSError), closing(HTTPConnection(host, port, timeout=10)) as connection:
            connection.request("GET", "/healthz")
            answered += connection.getresponse().status == HTTPStatus.OK
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.5)
    return f"/healthz answered {answered} of {asked}, after {worst * 1000:.0f} ms at worst"


def upload_slowly(url: str) -> str:
    """Upload small pictures, all of them different, over a slow line."""
    pieces = []
    for number in range(PICTURES):
        file = io.BytesIO()
        Image.new("RGB", (16, 16), (number % 256, number // 256, 77)).save(file, "JPEG", quality=50)
        head = f'--x\r\nContent-Disposition: form-data; name="images"; filename="{number}.jpg"\r\n\r\n'
        pieces.append(head.encode() + file.getvalue() + b"\r\n")
    pieces.append(b"--x--\r\n")

    def slow_line() -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            time.sleep(len(piece) / LINE_BYTES_PER_SECOND)

    size = sum(map(len, pieces))
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(size)}
    began = time.monotonic()
    answer = httpx.post(f"{url}/v1/jobs", content=slow_line(), headers=headers, timeout=600, trust_env=False)
    total = answer.raise_for_status().json()["counts"]["total"]
    return f"{total:,} pictures ({size / 1e6:.1f} MB) arrived in {time.monotonic() - began:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8000")
    url = parser.parse_args().url
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    said: list[str] = []
    uploader = threading.Thread(target=lambda: said.append(upload_slowly(url)))
    uploader.start()
    for shape, (data, trickle) in SHAPES.items():
        with slow_clients(host, port, data, trickle=trickle):
            print(f"{CLIENTS} × {shape}: {probe(host, port, SECONDS)}", flush=True)
    uploader.join()
    print(*said)


if __name__ == "__main__":
    main()
