"""The client and a service, with a network between them that loses answers."""

from __future__ import annotations

import httpx

from lookbook import Client
from tests.answering import RESET, ReceivedRequest, Reply, answering
from tests.conftest import SAMPLES, RunningService


def test_a_submission_whose_answer_is_lost_is_stored_once(service: RunningService) -> None:
    def pass_on(request: ReceivedRequest) -> Reply:
        passed_on = ["content-type", "idempotency-key"]
        headers = {name: request.headers[name] for name in passed_on if name in request.headers}
        answer = httpx.request(request.method, service.url + request.path, content=request.body, headers=headers)
        return Reply(answer.status_code, answer.content)

    def pass_on_and_lose_the_answer(request: ReceivedRequest) -> Reply:
        pass_on(request)
        return RESET

    with (
        answering(pass_on_and_lose_the_answer, pass_on) as network,
        Client(network.url, sleep=lambda _: None) as client,
        Client(service.url) as direct_client,
    ):
        job = client.submit_uploads([SAMPLES / "dress-green.jpg"], name="sent twice")
        assert [stored.id for stored in direct_client.jobs(q="sent twice")] == [job.id]
        assert len(network.requests) == 2
        assert job.wait().counts.succeeded == 1
