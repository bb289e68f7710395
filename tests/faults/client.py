"""A client as a careful user would write one: it tries again, and finds out what became of what got no answer."""

from __future__ import annotations

import io
import threading
import zipfile
from http import HTTPStatus
from typing import Any

import httpx

from tests.faults.ledger import TERMINAL, Ledger, Submission
from tests.faults.shelf import Shelf

ANSWER_SECONDS = 30.0
"""After this long without an answer it counts as lost."""
PAUSE_SECONDS = 0.2
"""Between one attempt and the next."""
_NOT_NOW = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE, HTTPStatus.TOO_MANY_REQUESTS}
"""Answers that ask to try again: whatever is broken meanwhile, it has to be one of these."""


class GaveUp(Exception):
    """The campaign is over, or the service did not come back."""


class Client:
    """One connection to the API, for one thread."""

    def __init__(self, url: str, ledger: Ledger, shelf: Shelf, over: threading.Event) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=ANSWER_SECONDS)
        self._ledger = ledger
        self._shelf = shelf
        self._over = over

    def close(self) -> None:
        self._http.close()

    def submit(self, submission: Submission, wait_seconds: int = 0) -> None:
        """Submit until the service is known to have it.

        Raises:
            GaveUp: the campaign ended before.
        """
        while True:
            answer = self._send(submission, wait_seconds)
            if answer is not None and self._understood(submission, answer):
                break
            if submission.read_by_worker:
                # With the same key it is not stored twice.
                continue
            # It may have been stored all the same, so it is looked for before it is sent once more.
            submission.job_id = self._find(submission)
            if submission.job_id:
                break
        self._ledger.accepted(submission)

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
                # The same each time, or it would be another request with the same key.
                archive.writestr(zipfile.ZipInfo(f"{place}/{picture.number}.jpg"), picture.data)
        return file.getvalue()

    def _manifest(self, submission: Submission) -> bytes:
        return "\n".join(["url", *(self._shelf.put(picture) for picture in submission.pictures)]).encode()

    def _crawl(self, submission: Submission) -> dict[str, Any]:
        sitemap = self._shelf.open_shop(submission.name, submission.pictures)
        # Longer than any clock jumps: how long a crawl may take is counted from its beginning.
        return {"start_urls": [sitemap], "limits": {"minutes": 24 * 60}}

    def _understood(self, submission: Submission, answer: httpx.Response) -> bool:
        """Whether the answer says which job it is; a picture that cannot be opened is answered with its error."""
        if answer.is_success:
            submission.job_id = answer.json()["job_id" if submission.single else "id"]
            return True
        problem, picture = answer.json(), submission.pictures[0]
        if problem["code"] == "request_in_progress" and submission.read_by_worker:
            self._ledger.refused(problem["code"])
            self._over.wait(PAUSE_SECONDS)
            return False
        if not submission.single or problem["code"] != picture.error:
            self._ledger.broken("answers are clear", f"{submission.name}: {answer.status_code} {answer.text[:300]}")
        return False

    def _find(self, submission: Submission) -> str:
        """The id of the job of that name, or an empty string if the service does not have it."""
        query = {"q": submission.name, **({"source": "classification"} if submission.single else {})}
        rows = self.certain("GET", "/v1/jobs", params=query).json()["data"]
        found = [row["id"] for row in rows if row["name"] == submission.name]
        return str(found[0]) if found else ""

    def look(self, submission: Submission) -> None:
        """See how a job stands, if the service answers just now."""
        headers = {"If-None-Match": submission.etag} if submission.etag else {}
        answer = self._ask("GET", f"/v1/jobs/{submission.job_id}", headers=headers)
        if answer is None or answer.status_code == HTTPStatus.NOT_MODIFIED:
            return
        if answer.is_success:
            self._ledger.saw(submission, answer.json(), answer.headers.get("ETag", ""))
        else:
            self._ledger.broken("nothing is lost", f"{submission.name}: {answer.status_code} {answer.text[:300]}")

    def cancel(self, submission: Submission) -> None:
        """Cancel a job; one that is over by then stays as it is."""
        submission.cancel_asked = True
        answer = self.certain("POST", f"/v1/jobs/{submission.job_id}/cancel")
        if answer.status_code not in (HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT):
            self._ledger.broken("answers are clear", f"cancel {submission.name}: {answer.text[:300]}")

    def retry(self, submission: Submission) -> None:
        """Have the failed items of a job tried again."""
        submission.retried = True
        answer = self.certain("POST", f"/v1/jobs/{submission.job_id}/retry")
        if answer.status_code not in (HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT):
            self._ledger.broken("answers are clear", f"retry {submission.name}: {answer.text[:300]}")
        # Whatever was read before says nothing of what is to come.
        submission.job, submission.etag = None, ""

    def is_over(self, submission: Submission) -> bool:
        """Whether a job is terminal, if the service answers just now."""
        answer = self._ask("GET", f"/v1/jobs/{submission.job_id}")
        return answer is not None and answer.is_success and answer.json()["status"] in TERMINAL

    def items(self, submission: Submission) -> list[dict[str, Any]]:
        """All items of a job, in order."""
        found: list[dict[str, Any]] = []
        query: dict[str, str] = {"limit": "200"}
        while True:
            page = self.certain("GET", f"/v1/jobs/{submission.job_id}/items", params=query).json()
            found += page["data"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    def certain(self, method: str, path: str, **request: Any) -> httpx.Response:
        """An answer, however long it takes.

        Raises:
            GaveUp: the campaign ended before there was one.
        """
        while (answer := self._ask(method, path, **request)) is None:
            pass
        return answer

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response | None:
        """One attempt; None, after a pause, if there was no answer or one that asks to try again."""
        if self._over.is_set():
            raise GaveUp
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            self._ledger.refused(type(error).__name__)
        else:
            if answer.status_code not in _NOT_NOW:
                return answer
            self._ledger.refused(str(answer.status_code))
        self._over.wait(PAUSE_SECONDS)
        return None
