"""HTTP requests to one service: authentication, retries, problem details, pagination and streamed answers."""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import quote, urlsplit

import httpx

from lookbook.errors import Error, NotReached, ProblemError, UnexpectedAnswer, problem_error
from lookbook.retrying import RetryPolicy, retry_after

Query = Mapping[str, Any]
"""The query parameters of a URL: text, numbers and booleans. Those that are None are left out."""

PAGE_SIZE = 200
"""The largest page that the service allows."""
_REPEATABLE = {"GET", "PUT", "DELETE"}
"""Idempotent methods (RFC 9110): sending them twice has the same effect as sending them once."""


class Body(Protocol):
    """A request body. Each attempt iterates over it from the beginning."""

    content_type: str
    length: int

    def __iter__(self) -> Iterator[bytes]: ...


class Transport:
    """A pool of connections to one service. It is safe to use from several threads."""

    def __init__(
        self, url: str, key: str | None, *, retries: int, timeout: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        if key is not None and not (key.isascii() and key.isprintable()):
            raise Error("expected a key such as lb_…, got one with characters that an HTTP header cannot hold")
        self.url = url.rstrip("/")
        self.sleep = sleep
        self._retries = retries
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            # Uploads may take long, so only the time without any transfer is limited.
            timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
            # A proxy that environment variables name cannot reach the loopback of this machine.
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
        """Send a request and return the answer, which is a success or a 304.

        An `idempotency_key` makes a retry safe, because the service does the work only once. `repeatable` says that a
        retry is safe without one, as it is for GET, PUT and DELETE.

        Raises:
            ProblemError: the service refused, and a retry failed or makes no sense.
            NotReached: there was no answer, and a retry failed or is not safe.
        """
        all_headers = {**(headers or {})}
        if idempotency_key is not None:
            all_headers["Idempotency-Key"] = idempotency_key
        if body is not None:
            all_headers |= {"Content-Type": body.content_type, "Content-Length": str(body.length)}
        if repeatable is None:
            repeatable = method in _REPEATABLE or idempotency_key is not None

        def build() -> httpx.Request:
            content = None if body is None else iter(body)
            return self._http.build_request(
                method, path, params=_without_none(query), json=json, content=content, headers=all_headers
            )

        return self._send(build, RetryPolicy(self._retries if retries is None else retries, repeatable))

    def request_object(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Send a request like `request` and return the JSON object of the answer."""
        return json_object(self.request(method, path, **request))

    def pages(self, path: str, query: Query | None = None) -> Iterator[dict[str, Any]]:
        """Yield the elements of a list. Each page is requested when it is needed."""
        cursor: str | None = None
        while True:
            page = self.request_object("GET", path, query={"limit": PAGE_SIZE, **(query or {}), "cursor": cursor})
            if not isinstance(page.get("data"), list):
                raise UnexpectedAnswer(f"expected a list as data from {self.url}{path}, got {page!r:.80}")
            yield from page["data"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    @contextmanager
    def stream(self, path: str, query: Query | None = None) -> Iterator[Iterator[bytes]]:
        """Send a GET request and return the bytes of the answer as they arrive.

        Raises:
            ProblemError, NotReached: as in `request`, and NotReached if the answer breaks off.
        """
        policy = RetryPolicy(self._retries, repeatable=True)
        build = partial(self._http.build_request, "GET", path, params=_without_none(query))
        response = self._send(build, policy, stream=True)
        try:
            yield response.iter_bytes()
        except httpx.TransportError as error:
            raise _AnswerBrokeOff(f"the answer of {self.url} broke off ({error})") from error
        finally:
            response.close()

    def download(self, path: str, target: Path, query: Query | None = None) -> int:
        """Write an answer to the file `target` and return its size in bytes.

        `target` changes only after a full download. An answer that breaks off is requested again from the beginning.

        Raises:
            ProblemError, NotReached: as in `request`. `target` has not changed.
        """
        policy, attempt = RetryPolicy(self._retries, repeatable=True), 1
        while True:
            try:
                with atomic_write(target) as file, self.stream(path, query) as blocks:
                    return sum(file.write(block) for block in blocks)
            except _AnswerBrokeOff:
                pause = policy.after_no_response(attempt)
                if pause is None:
                    raise
            self.sleep(pause)
            attempt += 1

    def _send(self, build: Callable[[], httpx.Request], policy: RetryPolicy, *, stream: bool = False) -> httpx.Response:
        attempt = 1
        while True:
            failure: ProblemError | NotReached
            try:
                response = self._http.send(build(), stream=stream)
                if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
                    return response
                failure = _problem_of(response)
                pause = policy.after_response(response, attempt)
            except httpx.TransportError as error:
                failure = NotReached(f"{self.url} does not answer ({error or type(error).__name__})")
                failure.__cause__ = error
                pause = policy.after_no_response(attempt, error)
            if pause is None:
                raise failure
            self.sleep(pause)
            attempt += 1


class _AnswerBrokeOff(NotReached):
    """The connection was lost while the answer was being received."""


def job_path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def json_object(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        UnexpectedAnswer: the answer holds no JSON object.
    """
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        kind = response.headers.get("Content-Type", "no Content-Type")
        raise UnexpectedAnswer(f"expected a JSON object from {response.url}, got {kind}: is this a Lookbook service?")
    return body


def lines_of(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of an answer that arrives in blocks, without their line breaks."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        yield rest


@contextmanager
def atomic_write(target: Path) -> Iterator[IO[bytes]]:
    """Return a file that replaces `target` if the block succeeds, and is removed if it fails."""
    # The file is in the same folder, because a rename is atomic only within one file system.
    temporary = target.parent / f".{target.name}.{secrets.token_hex(4)}.part"
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _problem_of(response: httpx.Response) -> ProblemError:
    try:
        response.read()
        body = response.json()
    except ValueError:
        body = None
    finally:
        response.close()
    return problem_error(
        response.status_code,
        response.reason_phrase,
        body,
        request_id=response.headers.get("X-Request-ID"),
        retry_after=retry_after(response.headers),
    )


def _without_none(query: Query | None) -> dict[str, Any]:
    return {name: value for name, value in (query or {}).items() if value is not None}


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
