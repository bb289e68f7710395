"""A server on loopback that misbehaves on demand and records every request."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

Answer = bytes | Callable[["Visit"], None]


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """Return a correct response. `content_encoding="gzip"` adds that header; `content_length=""` leaves it out."""
    fields = {"content-length": str(len(body))} | {name.replace("_", "-"): text for name, text in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {text}" for name, text in fields.items() if text)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return response(b"elsewhere", status, location=location)


class Visit:
    """A connection on which a request has arrived."""

    def __init__(self, connection: socket.socket, head: bytes, body: bytes, leaving: threading.Event) -> None:
        self.connection = connection
        self.method, self.path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        fields = [line.split(":", 1) for line in head.decode("latin-1").split("\r\n")[1:] if ":" in line]
        self.headers = {name.lower(): text.strip() for name, text in fields}
        self.body = body
        self._leaving = leaving

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def repeat(self, data: bytes, pause: float = 0.0) -> None:
        """Send `data` again and again, `pause` seconds apart, until the client disconnects."""
        while not self._leaving.wait(pause):
            self.send(data)

    def hang(self) -> None:
        """Send nothing more until the server stops."""
        self._leaving.wait()


class HostileServer:
    """Serves `answers` by path. An answer is bytes to send, or a function that takes over the connection.

    `connections` is the number of all connections; `visits` holds every request.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.visits: list[Visit] = []
        self.connections = 0
        self._tls = tls
        self._leaving = threading.Event()
        self._listener = socket.create_server((host, port))
        self.host, self.port = self._listener.getsockname()[:2]
        self.url = f"http{'s' if tls else ''}://{host}:{self.port}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def log(self) -> list[str]:
        return [f"{visit.method} {visit.path}" for visit in self.visits]

    def __enter__(self) -> HostileServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        # shutdown wakes accept(); close alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for thread in self._threads[1:]:
            thread.join()

    def _accept(self) -> None:
        while not self._leaving.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=[connection])
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        # Clients disconnect at any moment, because the tests make them give up.
        with connection, suppress(OSError):
            connection.settimeout(0.05)
            if self._tls is not None:
                connection.settimeout(5.0)
                connection = self._tls.wrap_socket(connection, server_side=True)
                connection.settimeout(0.05)
            with connection:
                while (visit := self._request(connection)) is not None:
                    self.visits.append(visit)
                    self._answer(visit)
                    if "close" in visit.headers.get("connection", ""):
                        return

    def _answer(self, visit: Visit) -> None:
        answer = self.answers.get(visit.path, response(b"", "404 Not Found"))
        visit.connection.settimeout(None)
        if isinstance(answer, bytes):
            visit.send(answer)
        else:
            answer(visit)
            raise ConnectionAbortedError("the function may have left the connection in any state")
        visit.connection.settimeout(0.05)

    def _request(self, connection: socket.socket) -> Visit | None:
        data = b""
        while b"\r\n\r\n" not in data:
            more = self._receive(connection)
            if not more:
                return None
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        visit = Visit(connection, head, b"", self._leaving)
        while len(body) < int(visit.headers.get("content-length", "0")):
            more = self._receive(connection)
            if not more:
                return None
            body += more
        visit.body = body
        return visit

    def _receive(self, connection: socket.socket) -> bytes:
        while not self._leaving.is_set():
            with suppress(TimeoutError):
                return connection.recv(65536)
        return b""


def headers_of(visit: Visit, *names: str) -> Mapping[str, str | None]:
    return {name: visit.headers.get(name) for name in names}
