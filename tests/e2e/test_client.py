"""The client and a service, with a network between them that loses answers."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.main import app
from cli.output import ExitCode
from lookbook import Client, Job, Upload, UploadInterrupted
from tests.answering import RESET, ReceivedRequest, Reply, answering
from tests.conftest import SAMPLES, RunningService
from tests.faults.proxy import Cut, Proxies, Proxy


def test_a_submission_whose_answer_is_lost_is_stored_once(service: RunningService) -> None:
    def pass_on_and_lose_the_answer(request: ReceivedRequest) -> Reply:
        passed_on(request, service.url)
        return RESET

    with (
        answering(pass_on_and_lose_the_answer, lambda request: passed_on(request, service.url)) as network,
        Client(network.url, sleep=lambda _: None) as client,
        Client(service.url) as direct_client,
    ):
        job = client.submit_uploads([SAMPLES / "dress-green.jpg"], name="sent twice")
        assert [stored.id for stored in direct_client.jobs(q="sent twice")] == [job.id]
        assert len(network.requests) == 2
        assert job.wait().counts.succeeded == 1


def passed_on(request: ReceivedRequest, url: str) -> Reply:
    """Return the answer of the service to a request that a network has received."""
    names = ["content-type", "idempotency-key"]
    headers = {name: request.headers[name] for name in names if name in request.headers}
    answer = httpx.request(request.method, url + request.path, content=request.body, headers=headers)
    return Reply(answer.status_code, answer.content)


@pytest.fixture
def line(service: RunningService) -> Iterator[Proxy]:
    """A line to the service that can be cut."""
    proxies = Proxies()
    yield proxies.open(service.port)
    proxies.close()


def many_pictures(count: int) -> list[Upload]:
    """Return small pictures, each with another colour and name. The names are odd, but all of them can be stored."""
    names = ["짧은 치마.bmp", 'a"b\\c.bmp', "x" * 600, "../up.bmp", "100%25.bmp"]
    names += [f"coats/{number}.bmp" for number in range(count - len(names))]
    return [Upload(name, bmp(number)) for number, name in enumerate(names)]


def bmp(number: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (4, 4), (number % 256, number // 256, 40)).save(data, "BMP")
    return data.getvalue()


def cutting(line: Proxy, every: int, how: Cut = Cut.DROPPED, times: int = 10) -> Callable[[int, int], None]:
    """Return a callback of an upload that cuts the line whenever `every` more bytes are sent."""
    left = [(number + 1) * every for number in range(times)]

    def sent(done: int, total: int) -> None:
        if left and done >= left[0]:
            left.pop(0)
            line.cut(how)

    return sent


def test_many_pictures_over_a_line_that_breaks_ten_times_are_each_there_once(
    service: RunningService, line: Proxy
) -> None:
    files = many_pictures(1100)
    every = sum(file.size for file in files) // 11
    opened: list[Job] = []
    with Client(f"http://127.0.0.1:{line.port}", sleep=lambda _: None, retries=30) as client:
        job = client.submit_uploads(files, sent=cutting(line, every), opened=opened.append, name="torn")
    assert [job.id] == [opened[0].id]
    with Client(service.url) as direct:
        assert (direct.job(job.id).counts.total, direct.job(job.id).state.discovering) == (1100, False)
        names = Counter(direct.job(job.id).item_names())
        assert set(names.values()) == {1}
        direct.job(job.id).cancel()


def test_an_upload_that_broke_off_is_resumed_with_what_is_missing(service: RunningService, line: Proxy) -> None:
    files = many_pictures(700)
    half = sum(file.size for file in files) // 2
    with (
        Client(f"http://127.0.0.1:{line.port}", sleep=lambda _: None, retries=0) as client,
        pytest.raises(UploadInterrupted) as caught,
    ):
        client.submit_uploads(files, sent=cutting(line, half, Cut.REFUSED), name="broken off")
    with Client(service.url) as direct:
        assert direct.job(caught.value.job_id).state.discovering
        job = direct.resume_uploads(caught.value.job_id, files)
        assert (job.counts.total, job.state.discovering, job.name) == (700, False, "broken off")
        assert set(Counter(job.item_names()).values()) == {1}
        job.cancel()


def test_a_request_that_arrives_late_adds_nothing_twice_when_the_upload_is_resumed(service: RunningService) -> None:
    late: list[ReceivedRequest] = []

    def slow_network(request: ReceivedRequest) -> Reply:
        if not request.path.endswith("/items"):
            return passed_on(request, service.url)
        late.append(request)
        return RESET

    def network_that_catches_up(request: ReceivedRequest) -> Reply:
        reply = passed_on(request, service.url)
        # The late requests arrive after the client has asked which pictures are there.
        while "/export" in request.path and late:
            assert passed_on(late.pop(), service.url).status == 200
        return reply

    files = many_pictures(501)
    with (
        answering(slow_network) as network,
        Client(network.url, retries=0) as client,
        pytest.raises(UploadInterrupted) as caught,
    ):
        client.submit_uploads(files, name="late")
    assert late
    with answering(network_that_catches_up) as network, Client(network.url, sleep=lambda _: None) as client:
        job = client.resume_uploads(caught.value.job_id, files)
        assert (late, job.counts.total) == ([], len(files))
        assert set(Counter(job.item_names()).values()) == {1}
        job.cancel()


def test_urls_can_be_added_to_an_open_job_beside_files(service: RunningService) -> None:
    with Client(service.url) as client:
        job = client.open_job(name="mixed")
        job.add_uploads([SAMPLES / "dress-green.jpg"])
        job.add_items(["http://127.0.0.1:1/a.jpg", {"url": "http://127.0.0.1:1/b.jpg", "custom_id": "B"}])
        assert job.close().wait().counts.total == 3
        assert [item.custom_id for item in job.items()] == [None, None, "B"]
        assert (job.counts.succeeded, job.counts.failed) == (1, 2)


def test_the_command_line_resumes_an_upload(service: RunningService, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.bmp").write_bytes(bmp(number))
    with Client(service.url) as client:
        job = client.open_job(name="by hand")
        job.add_uploads([tmp_path / "1.bmp", tmp_path / "3.bmp"])
        runner = CliRunner(env={"LOOKBOOK_URL": service.url})
        done = runner.invoke(app, ["submit", str(tmp_path), "--resume", job.id, "--json"])
        assert done.exit_code == ExitCode.OK, done.output
        names = [json.loads(line)["source"]["name"] for line in done.stdout.splitlines()]
        assert sorted(names) == [f"{number}.bmp" for number in range(5)]
        refused = runner.invoke(app, ["submit", "https://shop.example/1.jpg", "--resume", job.id])
        assert (refused.exit_code, "only an upload of pictures" in refused.output) == (ExitCode.USAGE, True)
