"""Random sequences of requests about one open job: the API always agrees with a simple model of the job."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

# Other tests cover every line that these requests reach.
pytestmark = pytest.mark.no_cover

SEQUENCES, STEPS = 25, 10
URLS = st.lists(st.sampled_from(["http://127.0.0.1/a.jpg", "https://shop.example/b.jpg", "ftp://x", ""]), max_size=3)
DETAILS = ["summary", "reviews", "shares", "deliveries", "products", "marks", "urls", "export?format=csv"]
BODIES: dict[str, Any] = {
    "shares": {},
    "export": {"items": ["itm_unknown"], "format": "csv"},
}


class OpenJob(RuleBasedStateMachine):
    """A client of one job. No worker runs, so items end only by their errors or by canceling."""

    client: FlaskClient

    def __init__(self) -> None:
        super().__init__()
        answer = self.client.post("/v1/jobs", json={"open": True, "name": "Autumn"})
        assert answer.status_code == 202
        self.path = f"/v1/jobs/{answer.json['id']}"  # type: ignore[index]
        self.urls: list[str] = []
        self.is_open, self.is_deleted = True, False

    def send(self, method: str, path: str, **body: Any) -> Any:
        answer = self.client.open(f"{self.path}{path}", method=method, **body)
        assert answer.status_code < 500, (method, path, body, answer.text)
        if self.is_deleted:
            assert answer.status_code == 404, (method, path, answer.status_code)
        return answer

    @rule(urls=URLS, position=st.none() | st.integers(0, 4))
    def add(self, urls: list[str], position: int | None) -> None:
        query = "" if position is None else f"?position={position}"
        answer = self.send("POST", f"/items{query}", json={"items": [{"url": url} for url in urls]})
        fits = position is None or position == len(self.urls)
        if answer.status_code == 200:
            assert urls
            assert self.is_open
            assert fits
            self.urls += urls
        else:
            assert answer.status_code in {404, 409, 422}
            assert self.is_deleted or not urls or not self.is_open or not fits, answer.text

    @rule()
    def close(self) -> None:
        assert self.send("POST", "/close").status_code in {202, 404}
        self.is_open = False

    @rule()
    def cancel(self) -> None:
        if self.send("POST", "/cancel").status_code == 202:
            self.is_open = False

    @rule()
    def retry(self) -> None:
        self.send("POST", "/retry")

    @rule()
    def delete(self) -> None:
        if self.send("DELETE", "").status_code == 204:
            assert not self.is_open
            self.is_deleted = True

    @rule(what=st.sampled_from(DETAILS))
    def read(self, what: str) -> None:
        self.send("GET", f"/{what}")

    @rule(what=st.sampled_from(sorted(BODIES)))
    def change(self, what: str) -> None:
        self.send("POST", f"/{what}", json=BODIES[what])

    @invariant()
    def the_job_has_the_items_that_were_added(self) -> None:
        answer = self.send("GET", "")
        if self.is_deleted:
            return
        counts = answer.json["counts"]
        assert counts["total"] == len(self.urls)
        assert sum(counts[state] for state in ("pending", "succeeded", "failed", "canceled")) == len(self.urls)
        assert (answer.json["open_until"] is not None) == self.is_open
        items = self.send("GET", "/items?limit=200").json["data"]
        assert [item["source"]["url"] or "" for item in items] == self.urls


def test_any_sequence_of_requests_about_a_job_is_answered_as_its_state_allows(client: FlaskClient) -> None:
    OpenJob.client = client
    run_state_machine_as_test(
        OpenJob,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
