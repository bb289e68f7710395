"""Jobs of a running service, submitted and awaited as tests need them."""

from __future__ import annotations

from typing import Any

import httpx

from tests.conftest import until


def run_job(http: httpx.Client, headers: dict[str, str] | None = None, **request: Any) -> dict[str, Any]:
    """Submit a job and return it as it is after its end.

    Args:
        http: A client whose base URL is the service.
        headers: Further headers of the request.
        request: The body, as the other arguments of httpx.Client.post.
    """
    answer = http.post("/v1/jobs", headers={"Prefer": "wait=30", **(headers or {})}, **request)
    assert answer.is_success, answer.text
    job: dict[str, Any] = answer.json()

    def has_ended() -> bool:
        job.update(http.get(job["links"]["self"]).raise_for_status().json())
        return job["status"] in {"completed", "failed"}

    # Prefer: wait answers after 30 s at most, also while a slow machine still works on the job.
    until(has_ended)
    return job
