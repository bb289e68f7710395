"""The command line's crawl commands against a small server. tests/e2e/ has the tests against the real one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from cli.output import ExitCode
from tests.answering import CRAWL, JOB, JOB_OVER, AnsweringServer, Reply, answering

PING = Reply(200, {"status": "ok"})
ITEMS = Reply(200, {"data": [], "next_cursor": None})
SUMMARY = {
    "counts": JOB_OVER["counts"],
    "labels": [],
    "groups": [],
    "errors": [],
    "reviewed": 0,
    "rejected": 0,
    "agreed": 0,
    "duplicates": 0,
    "confidence_histogram": [0] * 20,
}


def run(server: AnsweringServer, *arguments: str) -> Result:
    return CliRunner(env={"LOOKBOOK_URL": server.url, "COLUMNS": "200"}).invoke(app, list(arguments))


def ended_crawl(**changes: Any) -> dict[str, Any]:
    """Return a crawl job that has ended."""
    return {**JOB_OVER, "source": "crawl", "crawl": CRAWL | changes}


def test_options_of_a_crawl_are_sent_as_given() -> None:
    queued = Reply(202, {**JOB, "source": "crawl", "crawl": CRAWL})
    with answering(PING, queued) as server:
        done = run(
            server,
            *("crawl", "https://shop.example/", "https://shop.example/feed", "--recipe", "mine", "--query", "coat"),
            *("--max-pages", "5", "--max-pictures", "6", "--depth", "0", "--minutes", "7", "--host", "img.example"),
            *("--name", "Shop", "--no-wait"),
        )
    assert (done.exit_code, done.stdout) == (ExitCode.OK, "job_1\n")
    sent = json.loads(server.requests[1].body)
    assert sent == {
        "name": "Shop",
        "model": "production",
        "crawl": {
            "start_urls": ["https://shop.example/", "https://shop.example/feed"],
            "recipe": "mine",
            "query": "coat",
            "limits": {"pages": 5, "pictures": 6, "depth": 0, "minutes": 7, "hosts": ["img.example"]},
        },
    }


def test_the_outcome_of_a_crawl_is_printed_and_a_broken_off_crawl_has_exit_code_3() -> None:
    changes = {"new": 1, "changed": 2, "unchanged": 3, "gone": 4}
    answer = ended_crawl(verdict="broken_off", since="job_0", changes=changes)
    with answering(PING, Reply(202, answer), ITEMS, Reply(200, SUMMARY)) as server:
        done = run(server, "crawl", "--since", "job_0")
    assert done.exit_code == ExitCode.ITEMS_FAILED
    assert "pages: 3 seen, 1 queued, 2 done\n" in done.stdout
    assert "left out: 2 logo\n" in done.stdout
    assert "since job_0: 1 new, 2 changed, 3 unchanged, 4 gone\n" in done.stdout
    assert "job_1: the crawl stopped before it was finished" in done.stderr


def test_a_crawl_that_ended_because_of_the_quota_says_so_in_words() -> None:
    with answering(PING, Reply(202, ended_crawl(verdict="quota_exceeded")), ITEMS, Reply(200, SUMMARY)) as server:
        done = run(server, "crawl", "https://shop.example/")
    assert done.exit_code == ExitCode.ITEMS_FAILED
    assert "job_1: the key's monthly quota of pictures was used up before the crawl was finished" in done.stderr


def test_a_crawl_that_found_nothing_has_exit_code_1_and_prints_the_reason() -> None:
    error = {"code": "cookie_wall", "detail": "expected pages, got a question", "retryable": False}
    answer = {**ended_crawl(verdict="cookie_wall"), "status": "failed", "error": error}
    with answering(PING, Reply(202, answer), ITEMS, Reply(200, SUMMARY)) as server:
        done = run(server, "crawl", "https://shop.example/")
    assert done.exit_code == ExitCode.ERROR
    assert "job_1 failed: expected pages, got a question (cookie_wall)" in done.stderr


def test_each_url_is_printed_on_one_line_without_control_characters() -> None:
    row = {
        "url": "https://shop.example/[red]\u001b[2J",
        "kind": "page",
        "state": "failed",
        "reason": {"code": "fetch_failed", "detail": "answered 500"},
        "status": 500,
        "depth": 1,
        "referrer": None,
        "item_id": None,
        "found_at": "2026-01-31T12:00:00.000Z",
        "settled_at": None,
    }
    with answering(PING, Reply(200, ended_crawl()), Reply(200, {"data": [row], "next_cursor": None})) as server:
        done = run(server, "urls", "job_1", "--state", "failed", "--kind", "page")
    assert (
        done.stdout
        == "failed             page     500  https://shop.example/[red]\ufffd[2J  fetch_failed: answered 500\n"
    )
    assert "kind=page&state=failed" in server.requests[2].path


@pytest.mark.parametrize(
    "arguments",
    [["crawl"], ["crawl", "https://shop.example/", "--max-pages", "0"], ["urls", "job_1", "--state", "lost"]],
)
def test_wrong_arguments_of_crawls_have_exit_code_2(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, [*arguments, "--url", "http://127.0.0.1:9"])
    assert done.exit_code == ExitCode.USAGE
