"""The campaign's records: what was submitted, its last known state, and every broken promise."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.pictures import Picture

FINISHED = {"completed", "canceled", "failed"}
_MAX_DETAILS = 20
"""Details that are kept of one broken promise. Further cases are only counted."""


@dataclass(slots=True, eq=False)
class Submission:
    """One job, or one picture whose client waits for the answer, and its last known state."""

    name: str
    """Unique, so that the client can find a submission that got no answer."""
    pictures: Sequence[Picture]
    source: str
    """The job's source: classification, uploads, archive, manifest or crawl."""
    job_id: str = ""
    job: dict[str, Any] | None = None
    etag: str = ""
    cancel_asked: bool = False
    retried: bool = False
    """Whether the client asked for a retry of its failed items."""

    @property
    def single(self) -> bool:
        return self.source == "classification"

    @property
    def read_by_worker(self) -> bool:
        """Whether a worker finds its items after the submission. These submissions have an `Idempotency-Key`."""
        return self.source in {"archive", "manifest", "crawl"}

    @property
    def finished(self) -> bool:
        return self.job is not None and self.job["status"] in FINISHED

    @property
    def broken(self) -> int:
        """The number of its pictures that cannot be opened."""
        return sum(picture.error is not None for picture in self.pictures)


@dataclass(slots=True)
class Ledger:
    """The records that all threads of a campaign share."""

    submissions: list[Submission] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    """How often the client had to try again, by status or by the kind of missing answer."""
    _broken: dict[str, list[str]] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record_accepted(self, submission: Submission) -> None:
        with self._lock:
            self.submissions.append(submission)

    def all(self) -> list[Submission]:
        with self._lock:
            return list(self.submissions)

    def unfinished(self) -> list[Submission]:
        return [submission for submission in self.all() if not submission.finished]

    def record_refusal(self, why: str) -> None:
        with self._lock:
            self.refusals[why] += 1

    def record_broken(self, promise: str, detail: str) -> None:
        """Count a broken promise and keep its detail."""
        with self._lock:
            self._counts[promise] += 1
            details = self._broken.setdefault(promise, [])
            if len(details) < _MAX_DETAILS:
                details.append(detail)

    def counts(self) -> dict[str, int]:
        """Return how often each promise was broken."""
        with self._lock:
            return dict(self._counts)

    def report(self) -> list[str]:
        """Return a line for each broken promise, followed by its details."""
        with self._lock:
            lines = []
            for promise, details in self._broken.items():
                lines += [f"{promise}: {self._counts[promise]}", *(f"  {detail}" for detail in details)]
            return lines

    def record_answer(self, submission: Submission, job: dict[str, Any], etag: str) -> None:
        """Keep what the service says of a job, and record every promise that it breaks."""
        counts, name = job["counts"], submission.name
        if counts["total"] != counts["pending"] + counts["succeeded"] + counts["failed"] + counts["canceled"]:
            self.record_broken("counts add up", f"{name}: {counts}")
        # A worker stops reading a source when its job is canceled.
        fewer = submission.read_by_worker and (job["discovering"] or submission.cancel_asked)
        if counts["total"] != len(submission.pictures) and not (fewer and counts["total"] < len(submission.pictures)):
            self.record_broken("counts add up", f"{name}: {len(submission.pictures)} pictures were sent, {counts}")
        if job["status"] in FINISHED and counts["pending"]:
            self.record_broken("nothing is pending in a finished job", f"{name}: {job['status']} with {counts}")
        if job["status"] == "canceled" and not submission.cancel_asked:
            self.record_broken("only canceled jobs are canceled", f"{name}: the client did not cancel it")
        if job["status"] == "failed":
            self.record_broken("no job fails", f"{name}: {job['error']}")
        before = submission.job
        if before is not None:
            self._compare(submission, before, job)
        submission.job, submission.etag = job, etag

    def _compare(self, submission: Submission, before: dict[str, Any], job: dict[str, Any]) -> None:
        for count in ("succeeded", "failed", "canceled"):
            if job["counts"][count] < before["counts"][count]:
                detail = f"{submission.name}: {before['counts']}, then {job['counts']}"
                self.record_broken("finished items stay finished", detail)
        if submission.finished and (job["status"], job["counts"]) != (before["status"], before["counts"]):
            detail = f"{submission.name}: {before['status']} {before['counts']}, then {job['status']} {job['counts']}"
            self.record_broken("ended jobs do not change", detail)
