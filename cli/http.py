"""Speaking to a running Lookbook over its HTTP API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from core.errors import LookbookError


class ServiceError(LookbookError):
    """The service refused or did not answer."""

    code = "service_error"


@contextmanager
def connect(url: str) -> Iterator[httpx.Client]:
    """A client for the service at `url`; connection trouble ends as a `ServiceError` that names it."""
    # Uploads may be long; what is bounded is how long nothing moves.
    with httpx.Client(base_url=url, timeout=httpx.Timeout(60.0, connect=5.0)) as http:
        try:
            yield http
        except httpx.TransportError as error:
            raise ServiceError(
                f"no answer from {url} ({error}); is it running (`make up`)? --url or LOOKBOOK_URL says where"
            ) from error


def body_of(response: httpx.Response) -> dict[str, Any]:
    """The answer's JSON object.

    Raises:
        ServiceError: the answer is an error; its own words are kept.
    """
    if response.is_error:
        try:
            problem = response.json()
        except ValueError:
            problem = {}
        detail = problem.get("detail") or response.reason_phrase
        raise ServiceError(f"{detail} ({problem.get('code', 'no code')}, HTTP {response.status_code})")
    body: dict[str, Any] = response.json()
    return body
