"""Requests to one service: the key, retries, problem details, pages, streamed answers."""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

import httpx

from lookbook.errors import Error, NotReached, ProblemError, UnexpectedAnswer, problem
from lookbook.retrying import Retrying, retry_after

Query = Mapping[str, Any]
"""Parameters of a URL: text, numbers and truths; those that are None are left out."""

PAGE_SIZE = 200
"""The most that a list gives at once."""
_REPEATABLE = {"GET", "PUT", "DELETE"}
"""Sent twice, they do what they do once (RFC 9110)."""


class Body(Protocol):
    """What is sent: iterated anew by every attempt."""

    content_type: str
    length: int

    def __iter__(self) -> Iterator[bytes]: ...


class Transport:
    """One pool of connections; usable from several threads at once."""

    def __init__(
        self, url: str, key: str | None, *, retries: int, timeout: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        if key is not None and not (key.isascii() and key.isprintable()):
            raise Error("expected a key such as lb_…, got one with characters that no header can hold")
        self.url = url.rstrip("/")
        self.sleep = sleep
        self._retries = retries
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            # Uploads may be long; what is bounded is how long nothing moves.
            timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
            # A proxy of the environment does not lead to this machine's own loopback.
            trust_env=not _on_loopback(self.url),
        )

    def close(self) -> None:
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: object = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        repeatable: bool | None = None,
        retries: int | None = None,
    ) -> httpx.Response:
        """The answer, once it is a success or a 304.

        With an `idempotency_key` the service does once what it is asked twice, so that trying again is safe;
        `repeatable` says the same of requests that are so by their nature, as GET, PUT and DELETE are.

        Raises:
            ProblemError: the service refused, and trying again did not help or cannot.
            NotReached: there was no answer, and trying again did not help or is not safe.
        """
        wanted = {**(headers or {})}
        if idempotency_key is not None:
            wanted["Idempotency-Key"] = idempotency_key
        if body is not None:
            wanted |= {"Content-Type": body.content_type, "Content-Length": str(body.length)}
        if repeatable is None:
            repeatable = method in _REPEATABLE or idempotency_key is not None

        def build() -> httpx.Request:
            content = None if body is None else iter(body)
            return self._http.build_request(
                method, path, params=_given(query), json=json, content=content, headers=wanted
            )

        return self._send(build, Retrying(self._retries if retries is None else retries, repeatable))

    def object(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The JSON object that answers `request` (see there)."""
        return json_object(self.request(method, path, **request))

    def pages(self, path: str, query: Query | None = None) -> Iterator[dict[str, Any]]:
        """The elements of a list; a page is asked for when the one before is used up."""
        cursor: str | None = None
        while True:
            page = self.object("GET", path, query={"limit": PAGE_SIZE, **(query or {}), "cursor": cursor})
            if not isinstance(page.get("data"), list):
                raise UnexpectedAnswer(f"expected a list as data from {self.url}{path}, got {page!r:.80}")
            yield from page["data"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    @contextmanager
    def stream(self, path: str, query: Query | None = None) -> Iterator[Iterator[bytes]]:
        """An answer's bytes as they come.

        Raises:
            ProblemError, NotReached: as `request`; and NotReached when the answer breaks off.
        """
        retrying = Retrying(self._retries, repeatable=True)
        build = partial(self._http.build_request, "GET", path, params=_given(query))
        response = self._send(build, retrying, stream=True)
        try:
            yield response.iter_bytes()
        except httpx.TransportError as error:
            raise _BrokenOff(f"the answer of {self.url} broke off ({error})") from error
        finally:
            response.close()

    def download(self, path: str, target: Path, query: Query | None = None) -> int:
        """Write an answer to the file `target`, which changes only once all of it is there; how many bytes it has.

        What breaks off is asked for again from its beginning.

        Raises:
            ProblemError, NotReached: as `request`; `target` is as it was.
        """
        retrying, attempt = Retrying(self._retries, repeatable=True), 1
        while True:
            try:
                with replacing(target) as file, self.stream(path, query) as blocks:
                    return sum(file.write(block) for block in blocks)
            except _BrokenOff:
                pause = retrying.after_silence(attempt)
                if pause is None:
                    raise
            self.sleep(pause)
            attempt += 1

    def _send(self, build: Callable[[], httpx.Request], retrying: Retrying, *, stream: bool = False) -> httpx.Response:
        attempt = 1
        while True:
            failure: ProblemError | NotReached
            try:
                response = self._http.send(build(), stream=stream)
                if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
                    return response
                failure = _problem_of(response)
                pause = retrying.after_answer(response, attempt)
            except httpx.TransportError as error:
                failure = NotReached(f"no answer from {self.url} ({error or type(error).__name__})")
                failure.__cause__ = error
                pause = retrying.after_silence(attempt, error)
            if pause is None:
                raise failure
            self.sleep(pause)
            attempt += 1


class _BrokenOff(NotReached):
    """The answer had begun."""


def json_object(response: httpx.Response) -> dict[str, Any]:
    """An answer's JSON object.

    Raises:
        UnexpectedAnswer: it has none.
    """
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        kind = response.headers.get("Content-Type", "no Content-Type")
        raise UnexpectedAnswer(f"expected a JSON object from {response.url}, got {kind}: is it a Lookbook?")
    return body


@contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """A file that takes `target`'s place when all went well, and is gone when not."""
    # In the same folder, for a rename is atomic only within one file system.
    made = target.parent / f".{target.name}.{secrets.token_hex(4)}.part"
    try:
        with made.open("xb") as file:
            yield file
        made.replace(target)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def _problem_of(response: httpx.Response) -> ProblemError:
    try:
        response.read()
        body = response.json()
    except ValueError:
        body = None
    finally:
        response.close()
    return problem(
        response.status_code,
        response.reason_phrase,
        body,
        request_id=response.headers.get("X-Request-ID"),
        retry_after=retry_after(response.headers),
    )


def _given(query: Query | None) -> dict[str, Any]:
    return {name: value for name, value in (query or {}).items() if value is not None}


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
