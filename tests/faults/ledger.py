"""What the campaign knows: what was submitted, how it stands, and every promise that was seen broken."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.pictures import Picture

TERMINAL = {"completed", "canceled", "failed"}
_SHOWN = 20
"""Broken promises of one kind beyond these are only counted."""


@dataclass(slots=True, eq=False)
class Submission:
    """One job, or one picture that somebody waits for, and what the service has said of it so far."""

    name: str
    """No other has it: what got no answer is found by it."""
    pictures: Sequence[Picture]
    source: str
    """That of the job: classification, uploads, archive, manifest or crawl."""
    job_id: str = ""
    job: dict[str, Any] | None = None
    etag: str = ""
    cancel_asked: bool = False
    retried: bool = False
    """Whether its failed items were to be tried again."""

    @property
    def single(self) -> bool:
        return self.source == "classification"

    @property
    def read_by_worker(self) -> bool:
        """Whether its items are only found by and by, and it is sent with an `Idempotency-Key`."""
        return self.source in {"archive", "manifest", "crawl"}

    @property
    def terminal(self) -> bool:
        return self.job is not None and self.job["status"] in TERMINAL

    @property
    def broken(self) -> int:
        """How many of its pictures cannot be opened."""
        return sum(picture.error is not None for picture in self.pictures)


@dataclass(slots=True)
class Ledger:
    """Shared by all threads of a campaign."""

    submissions: list[Submission] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    """Answers, and missing answers, after which the client had to try again."""
    _broken: dict[str, list[str]] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accepted(self, submission: Submission) -> None:
        with self._lock:
            self.submissions.append(submission)

    def all(self) -> list[Submission]:
        with self._lock:
            return list(self.submissions)

    def open(self) -> list[Submission]:
        return [submission for submission in self.all() if not submission.terminal]

    def refused(self, why: str) -> None:
        with self._lock:
            self.refusals[why] += 1

    def broken(self, promise: str, detail: str) -> None:
        """A promise was seen broken."""
        with self._lock:
            self._counts[promise] += 1
            shown = self._broken.setdefault(promise, [])
            if len(shown) < _SHOWN:
                shown.append(detail)

    def counts(self) -> dict[str, int]:
        """How often each promise was broken."""
        with self._lock:
            return dict(self._counts)

    def report(self) -> list[str]:
        """A line for each broken promise, and the first details."""
        with self._lock:
            lines = []
            for promise, shown in self._broken.items():
                lines += [f"{promise}: {self._counts[promise]}", *(f"  {detail}" for detail in shown)]
            return lines

    def saw(self, submission: Submission, job: dict[str, Any], etag: str) -> None:
        """Compare what the service says of a job with what it said before."""
        counts, name = job["counts"], submission.name
        if counts["total"] != counts["pending"] + counts["succeeded"] + counts["failed"] + counts["canceled"]:
            self.broken("counts add up", f"{name}: {counts}")
        # What is canceled is read no further.
        fewer = submission.read_by_worker and (job["discovering"] or submission.cancel_asked)
        if counts["total"] != len(submission.pictures) and not (fewer and counts["total"] < len(submission.pictures)):
            self.broken("counts add up", f"{name}: {len(submission.pictures)} pictures were sent, {counts}")
        if job["status"] in TERMINAL and counts["pending"]:
            self.broken("nothing is pending in a job that is over", f"{name}: {job['status']} with {counts}")
        if job["status"] == "canceled" and not submission.cancel_asked:
            self.broken("only what was canceled is canceled", f"{name}: nobody asked for it")
        if job["status"] == "failed":
            self.broken("no job fails", f"{name}: {job['error']}")
        before = submission.job
        if before is not None:
            self._compare(submission, before, job)
        submission.job, submission.etag = job, etag

    def _compare(self, submission: Submission, before: dict[str, Any], job: dict[str, Any]) -> None:
        for count in ("succeeded", "failed", "canceled"):
            if job["counts"][count] < before["counts"][count]:
                detail = f"{submission.name}: {before['counts']}, then {job['counts']}"
                self.broken("what is done stays done", detail)
        if submission.terminal and (job["status"], job["counts"]) != (before["status"], before["counts"]):
            detail = f"{submission.name}: {before['status']} {before['counts']}, then {job['status']} {job['counts']}"
            self.broken("what is over stays over", detail)
