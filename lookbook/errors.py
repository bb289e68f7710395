"""The errors of the client. All derive from `Error`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class Error(Exception):
    """Base class. The text says what was expected and what was received."""


class NotReached(Error):
    """The service did not answer, or its answer broke off."""


class UnexpectedAnswer(Error):
    """The answer is not one of a Lookbook service."""


class FileChanged(Error):
    """The size of a file changed while the file was being sent."""


class UploadInterrupted(Error):
    """An upload into an open job ended before all files had arrived. It can be resumed: `job_id` names the job."""

    def __init__(self, job_id: str, reason: Exception) -> None:
        super().__init__(f"the upload to {job_id} broke off, and can be resumed: {reason}")
        self.job_id = job_id


class NotPromoted(Error):
    """A worker cannot load the model version. The message says why. `production` has not changed."""


class WaitTimeout(Error):
    """The work did not end in time. It continues, and the caller may wait for it again."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """The problem with one field of a request."""

    pointer: str
    """JSON Pointer, such as `/crop/width`."""
    detail: str


class LessonFailed(Error):
    """A worker could not compute a lesson."""


class ProblemError(Error):
    """The service refused a request. The attributes are its problem details (RFC 9457)."""

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
        origin = f"{code}, HTTP {status}" if code else f"HTTP {status}: is this a Lookbook service?"
        super().__init__(f"{detail.removesuffix('.')} ({origin})")
        self.status = status
        self.code = code
        """A stable code in snake case. Empty if another service than Lookbook answered."""
        self.detail = detail
        self.errors = tuple(errors)
        self.request_id = request_id
        """The id under which the service logged the request."""
        self.retry_after = retry_after
        """Seconds after which a retry makes sense, if the service said so."""


def problem_error(
    status: int, reason: str, body: object, *, request_id: str | None, retry_after: float | None
) -> ProblemError:
    """Return the error that the JSON of an answer describes. Without problem details, its text is `reason`."""
    problem: Mapping[str, Any] = body if isinstance(body, dict) else {}
    errors = [FieldError(str(e.get("pointer", "")), str(e.get("detail", ""))) for e in problem.get("errors") or []]
    detail = str(problem.get("detail") or reason)
    code = str(problem.get("code") or "")
    return ProblemError(status, code, detail, errors=errors, request_id=request_id, retry_after=retry_after)
