"""The body of a request as the application reads it. What is wrong with it is an HTTP error, not an error of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gunicorn.http.errors import NoMoreData, ParseException
from werkzeug.exceptions import BadRequest, RequestTimeout

from api.connections.client_socket import ClientTooSlow
from api.connections.refusals import REQUEST_TIMEOUT


class RequestBody:
    """gunicorn's `wsgi.input`.

    Every method raises BadRequest if the body is shorter than its Content-Length or if its chunks break off or are
    malformed, and RequestTimeout if it arrives too slowly.
    """

    def __init__(self, body: Any, length: int | None) -> None:
        """Read `body`, which has `length` bytes by its Content-Length. None: it is sent in chunks."""
        self._body = body
        self._length = length
        self._received = 0

    def read(self, size: int | None = None) -> bytes:
        return self._checked(self._body.read, size)

    def readline(self, size: int | None = None) -> bytes:
        return self._checked(self._body.readline, size)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _checked(self, read: Callable[[int | None], bytes], size: int | None) -> bytes:
        try:
            data = read(size)
        except ClientTooSlow as error:
            raise RequestTimeout(REQUEST_TIMEOUT.detail) from error
        except (NoMoreData, ConnectionError) as error:
            raise BadRequest("The body broke off: the connection ended before the body did.") from error
        except ParseException as error:
            raise BadRequest(f"The chunks of the body are malformed (RFC 9112, section 7.1): {error}.") from error
        self._received += len(data)
        if not data and size != 0 and self._length is not None and self._received < self._length:
            raise BadRequest(
                f"The body broke off: expected {self._length:,} bytes by its Content-Length, got {self._received:,}."
            )
        return data
