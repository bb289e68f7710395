"""What the client raises: everything under one base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class Error(Exception):
    """Something went wrong; the text says what was expected and what came."""


class NotReached(Error):
    """The service did not answer, or stopped in the middle of its answer."""


class UnexpectedAnswer(Error):
    """What answered does not speak as Lookbook does."""


class FileChanged(Error):
    """A file was given another size while it was being sent."""


class WaitTimeout(Error):
    """What was waited for is not over yet; it goes on, and can be waited for again."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a request."""

    pointer: str
    """JSON Pointer, such as `/crop/width`."""
    detail: str


class ProblemError(Error):
    """The service refused: problem details as RFC 9457 has them."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            f"{detail} ({code}, HTTP {status})" if code else f"{detail} (HTTP {status}: is it a Lookbook?)"
        )
        self.status = status
        self.code = code
        """Stable, in snake case; empty if it was not Lookbook that answered."""
        self.detail = detail
        self.errors = tuple(errors)
        self.request_id = request_id
        """Under which the service logged the request."""
        self.retry_after = retry_after
        """Seconds after which trying again makes sense, if the service said so."""


def problem(
    status: int, reason: str, body: object, *, request_id: str | None, retry_after: float | None
) -> ProblemError:
    """The error that an answer's JSON tells of; one without problem details keeps its status and `reason`."""
    told: Mapping[str, Any] = body if isinstance(body, dict) else {}
    errors = [FieldError(str(e.get("pointer", "")), str(e.get("detail", ""))) for e in told.get("errors") or []]
    detail = str(told.get("detail") or reason)
    code = str(told.get("code") or "")
    return ProblemError(status, code, detail, errors=errors, request_id=request_id, retry_after=retry_after)
