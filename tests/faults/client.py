"""A careful client: it repeats failed requests, and looks up what became of a request that got no answer."""

from __future__ import annotations

import io
import threading
import zipfile
from http import HTTPStatus
from typing import Any

import httpx

from tests.faults.ledger import FINISHED, Ledger, Submission
from tests.faults.shelf import Shelf

ANSWER_SECONDS = 30.0
"""A request without an answer for this long counts as lost."""
PAUSE_SECONDS = 0.2
"""Seconds between two attempts."""
_TRY_LATER = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE, HTTPStatus.TOO_MANY_REQUESTS}
"""The only statuses that the service may answer while a part of it is broken. They ask the client to try again."""


class GaveUp(Exception):
    """The campaign ended, or the service did not recover."""


class Client:
    """An HTTP client of the API for one thread."""

    def __init__(self, url: str, ledger: Ledger, shelf: Shelf, ended: threading.Event) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=ANSWER_SECONDS)
        self._ledger = ledger
        self._shelf = shelf
        self._ended = ended

    def close(self) -> None:
        self._http.close()

    def submit(self, submission: Submission, wait_seconds: int = 0) -> None:
        """Submit until the service has certainly stored the submission.

        Raises:
            GaveUp: the campaign ended first.
        """
        while True:
            answer = self._send(submission, wait_seconds)
            if answer is not None and self._read_answer(submission, answer):
                break
            if submission.read_by_worker:
                # The same Idempotency-Key keeps the service from storing it twice.
                continue
            # The service may have stored it although the answer was lost, so the client looks for it before it repeats.
            submission.job_id = self._find(submission)
            if submission.job_id:
                break
        self._ledger.record_accepted(submission)

    def _send(self, submission: Submission, wait_seconds: int) -> httpx.Response | None:
        headers = {"Prefer": f"wait={wait_seconds}"}
        if submission.single:
            files = [("image", (submission.name, submission.pictures[0].data, "application/octet-stream"))]
            return self._ask("POST", "/v1/classifications", files=files, headers=headers)
        if submission.read_by_worker:
            headers["Idempotency-Key"] = submission.name
            if submission.source == "crawl":
                body = {"name": submission.name, "crawl": self._crawl(submission)}
                return self._ask("POST", "/v1/jobs", json=body, headers=headers)
            data = self._archive(submission) if submission.source == "archive" else self._manifest(submission)
            file = [(submission.source, (submission.name, data))]
            return self._ask("POST", "/v1/jobs", files=file, data={"name": submission.name}, headers=headers)
        files = [
            ("images", (f"{picture.number}.jpg", picture.data, "application/octet-stream"))
            for picture in submission.pictures
        ]
        return self._ask("POST", "/v1/jobs", files=files, data={"name": submission.name}, headers=headers)

    def _archive(self, submission: Submission) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for place, picture in enumerate(submission.pictures):
                # ZipInfo has a fixed date, so every attempt sends the same bytes; other bytes with the same key fail.
                archive.writestr(zipfile.ZipInfo(f"{place}/{picture.number}.jpg"), picture.data)
        return file.getvalue()

    def _manifest(self, submission: Submission) -> bytes:
        return "\n".join(["url", *(self._shelf.put(picture) for picture in submission.pictures)]).encode()

    def _crawl(self, submission: Submission) -> dict[str, Any]:
        sitemap = self._shelf.open_shop(submission.name, submission.pictures)
        # Longer than any clock jump, because a crawl's time limit counts from its start.
        return {"start_urls": [sitemap], "limits": {"minutes": 24 * 60}}

    def _read_answer(self, submission: Submission, answer: httpx.Response) -> bool:
        """Take the job's id from an answer; return False if there is none.

        The answer to a single picture that cannot be opened is its error.
        """
        if answer.is_success:
            submission.job_id = answer.json()["job_id" if submission.single else "id"]
            return True
        problem, picture = answer.json(), submission.pictures[0]
        if problem["code"] == "request_in_progress" and submission.read_by_worker:
            self._ledger.record_refusal(problem["code"])
            self._ended.wait(PAUSE_SECONDS)
            return False
        if not submission.single or problem["code"] != picture.error:
            self._ledger.record_broken(
                "answers are clear", f"{submission.name}: {answer.status_code} {answer.text[:300]}"
            )
        return False

    def _find(self, submission: Submission) -> str:
        """Return the id of the job of that name, or an empty string if the service does not have it."""
        query = {"q": submission.name, **({"source": "classification"} if submission.single else {})}
        rows = self.ask_until_answered("GET", "/v1/jobs", params=query).json()["data"]
        found = [row["id"] for row in rows if row["name"] == submission.name]
        return str(found[0]) if found else ""

    def poll(self, submission: Submission) -> None:
        """Read a job and record what the service says of it, if the service answers at the moment."""
        headers = {"If-None-Match": submission.etag} if submission.etag else {}
        answer = self._ask("GET", f"/v1/jobs/{submission.job_id}", headers=headers)
        if answer is None or answer.status_code == HTTPStatus.NOT_MODIFIED:
            return
        if answer.is_success:
            self._ledger.record_answer(submission, answer.json(), answer.headers.get("ETag", ""))
        else:
            self._ledger.record_broken(
                "nothing is lost", f"{submission.name}: {answer.status_code} {answer.text[:300]}"
            )

    def cancel(self, submission: Submission) -> None:
        """Cancel a job. A finished job stays as it is."""
        submission.cancel_asked = True
        answer = self.ask_until_answered("POST", f"/v1/jobs/{submission.job_id}/cancel")
        if answer.status_code not in (HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT):
            self._ledger.record_broken("answers are clear", f"cancel {submission.name}: {answer.text[:300]}")

    def retry(self, submission: Submission) -> None:
        """Ask the service to retry the failed items of a job."""
        submission.retried = True
        answer = self.ask_until_answered("POST", f"/v1/jobs/{submission.job_id}/retry")
        if answer.status_code not in (HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT):
            self._ledger.record_broken("answers are clear", f"retry {submission.name}: {answer.text[:300]}")
        # A retried job starts again, so its earlier state is no longer compared with later ones.
        submission.job, submission.etag = None, ""

    def is_finished(self, submission: Submission) -> bool:
        """Return whether a job is known to be finished; False if the service does not answer at the moment."""
        answer = self._ask("GET", f"/v1/jobs/{submission.job_id}")
        return answer is not None and answer.is_success and answer.json()["status"] in FINISHED

    def items(self, submission: Submission) -> list[dict[str, Any]]:
        """Return all items of a job, in order."""
        found: list[dict[str, Any]] = []
        query: dict[str, str] = {"limit": "200"}
        while True:
            page = self.ask_until_answered("GET", f"/v1/jobs/{submission.job_id}/items", params=query).json()
            found += page["data"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    def ask_until_answered(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Repeat a request until the service answers it.

        Raises:
            GaveUp: the campaign ended first.
        """
        while (answer := self._ask(method, path, **request)) is None:
            pass
        return answer

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response | None:
        """Send a request once. Return None, after a pause, if the client has to try again."""
        if self._ended.is_set():
            raise GaveUp
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            self._ledger.record_refusal(type(error).__name__)
        else:
            if answer.status_code not in _TRY_LATER:
                return answer
            self._ledger.record_refusal(str(answer.status_code))
        self._ended.wait(PAUSE_SECONDS)
        return None
