"""The socket of a client, with deadlines. A thread that waits for a client lends its turn to other requests."""

from __future__ import annotations

import errno
import re
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from api.connections.turns import Turns

if TYPE_CHECKING:
    from socket import _SendableFile

PATIENCE_SECONDS = 20.0
"""How long a client may keep us waiting for a head, or for a body or an answer at its slowest rate.

The values here are those of Apache's mod_reqtimeout (`header=20-40,MinRate=500 body=20,MinRate=500`)."""
BYTES_PER_SECOND = 500
"""The slowest rate of a body or an answer: every 500 bytes allow one more second of waiting."""
SILENCE_SECONDS = 60.0
"""Longest wait for the next byte of a body or an answer, however fast it was before (nginx: client_body_timeout)."""
LINGER_SECONDS, LINGER_SILENCE_SECONDS = 30.0, 5.0
"""For how long a client may go on sending after the answer, and its longest silence meanwhile (nginx: lingering_time
and lingering_timeout)."""
MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a head that are read ahead. gunicorn refuses larger heads."""

START_BYTES = 4 * 1024
"""Bytes of a body that are read ahead. Shorter bodies are complete before a thread sees them.

At the slowest rate they take 8 of the seconds that a client may take for a head."""

_END_OF_HEAD = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,19})[ \t]*(?:\r|$)")
_BLOCK = 64 * 1024


class ClientTooSlow(ConnectionResetError):
    """A client sent or received less than the slowest rate allows. gunicorn closes the connection without a message."""


class ClientSocket(socket.socket):
    """A connected socket that gunicorn uses like a blocking one.

    The operating system's socket never blocks: this class waits with `poll`, so that it knows how long it has waited.
    Time that the application spends between two calls does not count against the client.
    """

    def __init__(
        self, accepted: socket.socket, address: str, turns: Turns, forget: Callable[[ClientSocket], None]
    ) -> None:
        """Take over the connection `accepted` from an IP address. `forget` is called when it is closed."""
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        super().settimeout(0.0)
        self.address = address
        self.turns = turns
        self._forget = forget
        self._limit: float | None = None
        self._read_ahead = bytearray()
        self._ended = False
        self._begin_request()

    def _begin_request(self) -> None:
        self._waited = 0.0
        self._moved = 0
        self._waits_since: float | None = None
        self._wanted: int | None = None
        """Bytes to read ahead, known at the end of the head."""

    def settimeout(self, value: float | None) -> None:
        self._limit = value

    def gettimeout(self) -> float | None:
        return self._limit

    def setblocking(self, flag: bool) -> None:
        self._limit = None if flag else 0.0

    def end(self) -> None:
        """End the connection. Who uses it reads its end and closes it."""
        with suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)

    def linger(self) -> None:
        """End the answers, and read and ignore what the client still sends, until it ends its side as well.

        If unread data were left at the close, the kernel would reset the connection, and a client that sends its whole
        request before it reads would lose the answer (RFC 9112, section 9.6).
        """
        deadline = time.monotonic() + LINGER_SECONDS
        with suppress(OSError):
            self.shutdown(socket.SHUT_WR)
            while (seconds := deadline - time.monotonic()) > 0 and self._is_readable(seconds):
                if not super().recv(_BLOCK):
                    return

    def _is_readable(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self, select.POLLIN)
        with self.turns.lent():
            return bool(poll.poll(min(seconds, LINGER_SILENCE_SECONDS) * 1000))

    def close(self) -> None:
        super().close()
        self._forget(self)

    def slowness(self, now: float) -> float:
        """Return the share of its patience that the client has used at a time.monotonic(): 1.0 is too much."""
        since = self._waits_since
        waiting = now - since if since is not None else 0.0
        return (self._waited + waiting) / (PATIENCE_SECONDS + self._moved / BYTES_PER_SECOND)

    def begin_idle(self) -> None:
        """Start to measure the time between two requests. It counts as waiting, so that idle connections end first."""
        self._begin_request()
        self._waits_since = time.monotonic()

    def has_request(self) -> bool:
        """Return whether a part of the next request, or the end of the connection, has arrived."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        return bool(poll.poll(0))

    def begin_head(self) -> None:
        """Start to measure the time that the client takes for the head of a request."""
        self._begin_request()
        self._waits_since = time.monotonic()

    def read_head(self) -> bool:
        """Read ahead what has arrived, and return whether a thread should take over.

        That is so when the start of the body has followed the head, at the end of the connection, and for a head that
        is too large.
        """
        try:
            data = super().recv(_BLOCK)
            self._ended = not data
            self._read_ahead += data
        except BlockingIOError:
            pass
        except OSError:
            self._ended = True
        if self._ended or self._has_start():
            self._begin_request()
            return True
        return False

    def _has_start(self) -> bool:
        if self._wanted is None:
            end = self._read_ahead.find(_END_OF_HEAD)
            if end < 0:
                return len(self._read_ahead) > MAX_HEAD_BYTES
            self._wanted = end + len(_END_OF_HEAD) + _body_start(bytes(self._read_ahead[:end]).lower())
        return len(self._read_ahead) >= self._wanted or self._read_ahead.endswith(_LAST_CHUNK)

    @property
    def began_head(self) -> bool:
        """Whether bytes were read ahead that no thread has taken."""
        return bool(self._read_ahead)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Return the next bytes, b"" at the end of the connection.

        Raises:
            ClientTooSlow: the client keeps us waiting longer than it may.
        """
        if self._read_ahead:
            data = bytes(self._read_ahead[:bufsize])
            del self._read_ahead[:bufsize]
        elif self._ended:
            return b""
        else:
            data = self._received(bufsize, flags)
        self._moved += len(data)
        return data

    def _received(self, bufsize: int, flags: int) -> bytes:
        while True:
            try:
                return super().recv(bufsize, flags)
            except BlockingIOError:
                self._wait(select.POLLIN)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of `data`.

        Raises:
            ClientTooSlow: the client receives more slowly than it may.
        """
        with memoryview(data).cast("B") as rest:
            sent = 0
            while sent < len(rest):
                try:
                    count = super().send(rest[sent:], flags)
                except BlockingIOError:
                    self._wait(select.POLLOUT)
                    continue
                sent += count
                self._moved += count

    def sendfile(self, file: _SendableFile, offset: int = 0, count: int | None = None) -> int:
        """Send `count` bytes of a file from `offset`, as `sendall` sends bytes. Return how many were sent."""
        file.seek(offset)
        sent = 0
        while data := file.read(_BLOCK if count is None else min(_BLOCK, count - sent)):
            self.sendall(data)
            sent += len(data)
        return sent

    def _wait(self, event: int) -> None:
        """Wait until the socket is ready for `event`."""
        seconds = PATIENCE_SECONDS + self._moved / BYTES_PER_SECOND - self._waited
        seconds = min(seconds, SILENCE_SECONDS, SILENCE_SECONDS if self._limit is None else self._limit)
        poll = select.poll()
        poll.register(self, event)
        self._waits_since = began = time.monotonic()
        try:
            with self.turns.lent():
                ready = poll.poll(max(0.0, seconds) * 1000)
        finally:
            self._waits_since = None
            self._waited += time.monotonic() - began
        if not ready:
            raise ClientTooSlow(errno.ECONNRESET, "the client was too slow")


def _body_start(head: bytes) -> int:
    """Return how much of a body to wait for after a head in lower case. gunicorn checks the head itself."""
    if b"\r\nexpect:" in head:
        # The client sends the body after the answer 100 (Continue), which a thread gives.
        return 0
    if b"\r\ntransfer-encoding:" in head:
        return START_BYTES
    length = _LENGTH.search(head)
    return min(int(length[1]), START_BYTES) if length else 0
