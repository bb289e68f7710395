"""The client against a small server: when it repeats requests, after which pause, and with what."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from core.sources.names import display_name
from lookbook import Client, FileChanged, NotReached, ProblemError, UnexpectedAnswer, Upload, WaitTimeout, pictures_in
from lookbook.multipart import MultipartBody
from lookbook.open_uploads import batches_to_send
from lookbook.options import Rectangle
from lookbook.retrying import FIRST_PAUSE, LONGEST_PAUSE, pause
from tests.answering import CRAWL, JOB, JOB_OVER, RESET, AnsweringServer, Reply, answering

ACCEPTED = Reply(202, JOB, {"ETag": '"1"', "Retry-After": "2"})
BUSY = Reply(503, {"code": "saturated", "detail": "try again", "status": 503}, {"Retry-After": "3"})


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that the client asked for; no test really sleeps."""
    return []


def client_of(server: AnsweringServer, pauses: list[float], retries: int = 6) -> Client:
    return Client(server.url, "lb_1_secret", retries=retries, sleep=pauses.append)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("one.jpg", "two.jpg")]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    return paths


def test_a_busy_service_is_asked_again_after_the_pause_that_it_demands(
    pictures: list[Path], pauses: list[float]
) -> None:
    with answering(BUSY, ACCEPTED) as server, client_of(server, pauses) as client:
        job = client.submit_uploads(pictures, name="two", metadata={"season": "가을"})
    assert job.id == "job_1"
    assert pauses == [3.0]
    first, second = server.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] != ""
    assert first.body == second.body
    assert first.headers["authorization"] == "Bearer lb_1_secret"
    assert b'{"season": "\xea\xb0\x80\xec\x9d\x84"}' in first.body


def test_a_submission_is_repeated_with_the_same_key_after_a_reset_connection(
    pictures: list[Path], pauses: list[float]
) -> None:
    with answering(RESET, ACCEPTED) as server, client_of(server, pauses) as client:
        client.submit_uploads(pictures)
        client.submit_uploads(pictures)
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert keys[0] == keys[1] != keys[2]
    (slept,) = pauses
    assert FIRST_PAUSE / 2 <= slept <= FIRST_PAUSE


def test_a_request_is_repeated_when_its_answer_breaks_off(pauses: list[float]) -> None:
    with answering(Reply(200, JOB, cut=20), Reply(200, JOB)) as server, client_of(server, pauses) as client:
        assert client.job("job_1").name == "two"
    assert len(pauses) == 1


def test_a_retry_of_failed_items_is_not_repeated_after_a_lost_answer(pauses: list[float]) -> None:
    with answering(Reply(200, JOB_OVER), RESET) as server, client_of(server, pauses) as client:
        job = client.job("job_1")
        with pytest.raises(NotReached, match=server.url):
            job.retry()
    assert pauses == []


def test_a_refused_request_is_not_repeated_and_its_error_keeps_all_details(pauses: list[float]) -> None:
    body = {
        "status": 422,
        "code": "invalid_request",
        "detail": "top_k: expected at least 1",
        "errors": [{"pointer": "/top_k", "detail": "expected at least 1"}],
    }
    with (
        answering(Reply(422, body, {"X-Request-ID": "req-7"})) as server,
        client_of(server, pauses) as client,
        pytest.raises(ProblemError, match="expected at least 1") as refusal,
    ):
        client.submit_items(["https://shop.example/1.jpg"], top_k=0)
    error = refusal.value
    assert (error.status, error.code, error.request_id) == (422, "invalid_request", "req-7")
    assert [(field.pointer, field.detail) for field in error.errors] == [("/top_k", "expected at least 1")]
    assert len(server.requests) == 1


def test_the_client_gives_up_after_its_retries_and_raises_the_last_answer(pauses: list[float]) -> None:
    with (
        answering(BUSY) as server,
        client_of(server, pauses, retries=2) as client,
        pytest.raises(ProblemError) as refusal,
    ):
        client.job("job_1")
    assert refusal.value.retry_after == 3.0
    assert len(server.requests) == 3


def test_the_client_raises_instead_of_pausing_for_too_long(pauses: list[float]) -> None:
    limited = Reply(429, {"code": "rate_limited", "detail": "tomorrow"}, {"Retry-After": "86400"})
    with answering(limited) as server, client_of(server, pauses) as client, pytest.raises(ProblemError) as refusal:
        client.job("job_1")
    assert refusal.value.retry_after == 86400
    assert pauses == []


def test_retry_after_may_be_a_date(pauses: list[float]) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    with (
        answering(Reply(429, {}, {"Retry-After": soon}), Reply(200, JOB)) as server,
        client_of(server, pauses) as client,
    ):
        client.job("job_1")
    assert 0 < pauses[0] <= 60


def test_the_client_waits_while_its_first_attempt_is_still_in_progress(pauses: list[float]) -> None:
    running = Reply(409, {"code": "in_progress", "detail": "the first is still running"}, {"Retry-After": "1"})
    with answering(RESET, running, running, running, ACCEPTED) as server, client_of(server, pauses) as client:
        assert client.submit_items(["https://shop.example/1.jpg"]).id == "job_1"
    assert pauses[1] == 1.0
    assert pauses[3] >= 2.0


def test_pauses_double_until_the_longest_and_vary_by_half() -> None:
    for attempt, whole in enumerate([FIRST_PAUSE, 1.0, 2.0, 4.0, 8.0, LONGEST_PAUSE, LONGEST_PAUSE], start=1):
        drawn = [pause(attempt) for _ in range(100)]
        assert whole / 2 <= min(drawn) < max(drawn) <= whole


def test_waiting_sends_the_etag_and_reports_only_changes(pauses: list[float]) -> None:
    unchanged = Reply(304, b"", {"Retry-After": "4"})
    done = Reply(200, JOB_OVER, {"ETag": '"2"'})
    reported: list[str] = []
    with answering(ACCEPTED, unchanged, unchanged, done) as server, client_of(server, pauses) as client:
        job = client.submit_items(["https://shop.example/1.jpg", "https://shop.example/2.jpg"])
        assert job.wait(progress=lambda job: reported.append(job.status)) is job
    assert reported == ["queued", "completed"]
    assert pauses == [2.0, 4.0, 4.0]
    assert [request.headers.get("if-none-match") for request in server.requests] == [None, '"1"', '"1"', '"1"']
    assert (job.over, job.counts.succeeded) == (True, 2)


def test_waiting_ends_with_its_timeout(pauses: list[float]) -> None:
    with answering(ACCEPTED) as server, client_of(server, pauses) as client:
        job = client.job("job_1")
        with pytest.raises(WaitTimeout, match="job_1 is still queued after 0 s"):
            job.wait(timeout=0)


def test_lists_request_each_page_only_when_it_is_needed(pauses: list[float]) -> None:
    pages = [Reply(200, {"data": [JOB, JOB], "next_cursor": "abc"}), Reply(200, {"data": [JOB], "next_cursor": None})]
    with answering(*pages) as server, client_of(server, pauses) as client:
        rows = client.jobs(status="running")
        next(rows)
        assert len(server.requests) == 1
        assert len(list(rows)) == 2
    assert [request.path for request in server.requests] == [
        "/v1/jobs?limit=200&status=running",
        "/v1/jobs?limit=200&status=running&cursor=abc",
    ]


def test_an_export_starts_again_when_its_answer_breaks_off(tmp_path: Path, pauses: list[float]) -> None:
    table = b"id,label\n" + b"itm_1,dress\n" * 100_000
    target = tmp_path / "predictions.csv"
    with (
        answering(Reply(200, JOB), Reply(200, table, cut=100_000), Reply(200, table)) as server,
        client_of(server, pauses) as client,
    ):
        assert client.job("job_1").export(target) == len(table)
    assert target.read_bytes() == table
    assert server.requests[-1].path == "/v1/jobs/job_1/export?format=csv"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_export_does_not_change_the_file(tmp_path: Path, pauses: list[float]) -> None:
    target = tmp_path / "predictions.jsonl"
    target.write_text("yesterday's")
    with (
        answering(Reply(200, JOB), Reply(200, b"x" * 1000, cut=10)) as server,
        client_of(server, pauses, retries=1) as client,
        pytest.raises(NotReached, match="broke off"),
    ):
        client.job("job_1").export(target)
    assert target.read_text() == "yesterday's"
    assert list(tmp_path.iterdir()) == [target]


def test_unknown_members_of_a_newer_service_are_kept(pauses: list[float]) -> None:
    with answering(Reply(200, {**JOB, "mood": "good"})) as server, client_of(server, pauses) as client:
        job = client.job("job_1")
    assert job.state.raw["mood"] == "good"
    assert job.state.created_at == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("body", [b"<html>", {"id": "job_1"}, {**JOB, "counts": 7}, [JOB]])
def test_an_answer_that_is_no_job_raises_an_error(body: object, pauses: list[float]) -> None:
    with (
        answering(Reply(200, body)) as server,
        client_of(server, pauses) as client,
        pytest.raises(UnexpectedAnswer),
    ):
        client.job("job_1")


def test_a_list_without_data_raises_an_error(pauses: list[float]) -> None:
    with (
        answering(Reply(200, {"jobs": []})) as server,
        client_of(server, pauses) as client,
        pytest.raises(UnexpectedAnswer, match="expected a list"),
    ):
        list(client.jobs())


def test_the_error_names_an_unreachable_service(pauses: list[float]) -> None:
    with (
        Client("http://127.0.0.1:9", sleep=pauses.append) as client,
        pytest.raises(NotReached, match=r"127\.0\.0\.1:9"),
    ):
        client.job("job_1")
    assert len(pauses) == 6


def test_url_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    with answering(Reply(200, JOB)) as server:
        monkeypatch.setenv("LOOKBOOK_URL", server.url + "/")
        monkeypatch.setenv("LOOKBOOK_KEY", "lb_2_other")
        with Client(sleep=pauses.append) as client:
            client.job("a/../b")
    assert server.requests[0].headers["authorization"] == "Bearer lb_2_other"
    assert server.requests[0].path == "/v1/jobs/a%2F..%2Fb"


def test_a_picture_can_be_given_as_a_file_bytes_or_a_url(pictures: list[Path], pauses: list[float]) -> None:
    item: dict[str, Any] = {
        **dict.fromkeys(("custom_id", "image", "crop", "duplicate_of", "prediction", "review", "error")),
        "id": "itm_1",
        "metadata": {},
        "regions": [],
        "job_id": "job_1",
        "position": 0,
        "status": "succeeded",
        "source": {"name": "one.jpg"},
    }
    pending = {**item, "status": "pending"}
    rectangle: Rectangle = {"x": 1, "y": 2, "width": 3, "height": 4}
    with (
        answering(Reply(202, pending, {"Retry-After": "1"}), Reply(200, item)) as server,
        client_of(server, pauses) as client,
    ):
        assert client.classify(pictures[0], regions=[{"name": "top", "box": rectangle}]).status == "succeeded"
        client.classify(b"bytes", crop=rectangle)
        client.classify("https://shop.example/1.jpg", crop=rectangle)
    file, poll, raw, url = server.requests
    assert b'name="image"; filename="one.jpg"' in file.body
    assert json.dumps([{"name": "top", "box": rectangle}]).encode() in file.body
    assert file.headers["prefer"] == "wait=30"
    assert (poll.method, poll.path) == ("GET", "/v1/items/itm_1")
    assert raw.body == b"bytes"
    assert raw.path.startswith("/v1/classifications?crop=%7B")
    assert json.loads(url.body) == {"url": "https://shop.example/1.jpg", "crop": rectangle}
    assert pauses == [1.0]


def test_a_streamed_form_has_its_announced_length(tmp_path: Path) -> None:
    file = tmp_path / 'a "quoted"\nname.jpg'
    file.write_bytes(b"picture")
    body = MultipartBody({"name": "Herbst – 가을"}, "images", [file, str(file), Upload("b/c.jpg", b"bytes")])
    progress: list[tuple[int, int]] = []
    body.on_sent = lambda sent, total: progress.append((sent, total))
    whole = b"".join(body)
    assert len(whole) == body.length
    assert b'filename="a %22quoted%22%0Aname.jpg"' in whole
    assert b'filename="b/c.jpg"' in whole
    assert progress[-1] == (body.length, body.length)
    assert b"".join(body) == whole


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_the_error_names_a_file_that_changes_while_it_is_sent(tmp_path: Path, size: int) -> None:
    file = tmp_path / "growing.jpg"
    file.write_bytes(b"x" * 1_000_000)
    body = MultipartBody({}, "images", [file])
    file.write_bytes(b"x" * size)
    with pytest.raises(FileChanged, match=r"growing\.jpg had 1,000,000 bytes"):
        list(body)


def test_pictures_of_a_folder_are_named_by_their_paths_in_it(tmp_path: Path) -> None:
    for name in ("b.PNG", "coats/1.jpg", "coats/notes.txt", "a.jpg/inside.webp"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [upload.name for upload in pictures_in(tmp_path)] == ["a.jpg/inside.webp", "b.PNG", "coats/1.jpg"]


def test_a_crawl_request_contains_only_the_given_options() -> None:
    with answering(Reply(202, {**JOB, "source": "crawl", "crawl": CRAWL})) as server, Client(server.url) as client:
        job = client.crawl("https://shop.example/", query="coat", limits={"pages": 5, "depth": None}, name="Shop")
        again = client.crawl(since=job)
    assert [json.loads(request.body) for request in server.requests] == [
        {"name": "Shop", "crawl": {"start_urls": ["https://shop.example/"], "query": "coat", "limits": {"pages": 5}}},
        {"crawl": {"since": "job_1"}},
    ]
    crawl = again.state.crawl
    assert crawl is not None
    assert (crawl.pages.done, crawl.left_out, crawl.waiting_on[0].until.second) == (2, {"logo": 2}, 10)


def test_the_urls_of_a_crawl_are_read_page_by_page() -> None:
    met = {"kind": "page", "state": "done", "reason": None, "status": 200, "depth": 0, "referrer": None}
    times = {"item_id": None, "found_at": "2026-01-31T12:00:00.000Z", "settled_at": None}
    first = {"data": [{"url": "https://shop.example/", **met, **times}], "next_cursor": "c"}
    second = {"data": [{"url": "https://shop.example/2", **met, **times}], "next_cursor": None}
    with answering(Reply(200, JOB), Reply(200, first), Reply(200, second)) as server, Client(server.url) as client:
        assert [row.url for row in client.job("job_1").urls(state="done")] == [
            "https://shop.example/",
            "https://shop.example/2",
        ]
    assert server.requests[2].path == "/v1/jobs/job_1/urls?limit=200&state=done&cursor=c"


@pytest.mark.parametrize("name", ["a.jpg", "x" * 500, "x" * 501, f"{'폴더/' * 300}치마.jpg"])
def test_a_file_is_recognised_by_the_name_under_which_the_service_stores_it(name: str) -> None:
    assert batches_to_send([Upload(name, b"picture")], [display_name(name)]) == []


def numbered_pictures(count: int) -> list[Upload]:
    return [Upload(f"{number}.bmp", b"picture") for number in range(count)]


def test_a_request_keeps_its_key_when_an_upload_is_resumed() -> None:
    files = numbered_pictures(250)
    first, second, third = batches_to_send(files)
    assert [len(batch.files) for batch in (first, second, third)] == [100, 100, 50]
    resumed = batches_to_send(files, [file.name for file in second.files])
    assert [batch.key("job_1") for batch in resumed] == [first.key("job_1"), third.key("job_1")]
    assert len({batch.key(job) for batch in (first, second, third) for job in ("job_1", "job_2")}) == 6


def test_a_request_of_which_some_files_have_arrived_otherwise_gets_another_key() -> None:
    files = numbered_pictures(100)
    whole, rest = batches_to_send(files)[0], batches_to_send(files, ["7.bmp"])[0]
    assert [file.name for file in rest.files] == [file.name for file in files if file.name != "7.bmp"]
    assert rest.key("job_1") != whole.key("job_1")


def test_files_of_one_name_are_sent_as_often_as_they_are_missing() -> None:
    files = [*numbered_pictures(100), *numbered_pictures(100)]
    resumed = batches_to_send(files, [file.name for file in numbered_pictures(100)])
    assert [batch.place for batch in resumed] == [1]
    assert len({batch.key("job_1") for batch in batches_to_send(files)}) == 2
    assert batches_to_send(files, [file.name for file in files]) == []


def test_files_may_be_added_to_a_job_twice() -> None:
    added = [batches_to_send(numbered_pictures(1), upload=upload)[0] for upload in ("a", "b")]
    assert added[0].key("job_1") != added[1].key("job_1")
