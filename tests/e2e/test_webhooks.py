"""Webhooks of the whole service, received as docs/webhooks.md says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from core.settings import PROJECT
from tests.answering import Reply
from tests.conftest import SAMPLES, RunningService, until
from tests.e2e.pages.objects import assert_accessible
from tests.receiver import Receiver, receiver

__all__ = ["receiver"]


@pytest.fixture(scope="module")
def service(loopback_service: RunningService) -> RunningService:
    return loopback_service


@pytest.fixture(scope="module")
def secret(service: RunningService) -> str:
    command = [sys.executable, "-m", "cli", "webhooks", "secret"]
    environment = {**os.environ, "LOOKBOOK_HOME": str(service.home)}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def receive() -> Callable[[dict[str, str], bytes, str], int]:
    """The function of the example in docs/webhooks.md."""
    text = (PROJECT / "docs" / "webhooks.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/webhooks.md", "exec"), names)
    found: Callable[[dict[str, str], bytes, str], int] = names["receive"]
    return found


def submit(service: RunningService, receiver: Receiver, *pictures: Path) -> dict[str, Any]:
    files = [("images", (path.name, path.read_bytes())) for path in pictures]
    answer = httpx.post(f"{service.url}/v1/jobs", files=files, data={"webhook": json.dumps({"url": receiver.url})})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def deliveries(service: RunningService, job: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = httpx.get(service.url + job["links"]["deliveries"]).json()["data"]
    return rows


def test_the_webhook_of_an_ended_job_arrives_and_passes_verification(
    service: RunningService,
    secret: str,
    receiver: Receiver,
    receive: Callable[[dict[str, str], bytes, str], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = submit(service, receiver, SAMPLES / "t-shirt-red.jpg", SAMPLES / "coat-camel.jpg")
    until(lambda: any(row["status"] == "delivered" for row in deliveries(service, job)))
    (received,) = receiver.received
    assert receive(received.headers, received.body, secret) == 204
    assert receive(received.headers, received.body, secret) == 204
    assert capsys.readouterr().out.count(f"job.completed {job['id']}") == 1
    assert receive(received.headers, received.body.replace(b'"failed":0', b'"failed":1'), secret) == 401
    assert json.loads(received.body)["data"] == httpx.get(service.url + job["links"]["self"]).json()


def test_attempts_to_deliver_are_counted(service: RunningService, receiver: Receiver) -> None:
    def delivered() -> float:
        text = httpx.get(f"{service.url}/metrics").text
        return float(re.findall(r'^lookbook_webhook_attempts_total{outcome="delivered"} (.*)$', text, re.MULTILINE)[0])

    before = delivered()
    submit(service, receiver, SAMPLES / "dress-green.jpg")
    # Deliveries of earlier tests may be counted only now.
    until(lambda: delivered() >= before + 1)


def test_a_failed_delivery_is_repeated_automatically(service: RunningService, receiver: Receiver) -> None:
    receiver.replies = [Reply(500)]
    job = submit(service, receiver, SAMPLES / "dress-green.jpg")
    until(lambda: any(row["status"] == "delivered" for row in deliveries(service, job)))
    (row,) = deliveries(service, job)
    assert (row["attempts"], receiver.ids) == (2, [row["id"]] * 2)


def test_a_delivery_that_was_refused_can_be_sent_again_on_its_page(
    service: RunningService, receiver: Receiver, browser: Browser
) -> None:
    receiver.replies = [Reply(410)]
    job = submit(service, receiver, SAMPLES / "dress-green.jpg")
    page = browser.new_page()
    until(lambda: any(row["status"] == "disabled" for row in deliveries(service, job)))
    page.goto(f"{service.url}/jobs/{job['id']}/deliveries")
    delivery = page.locator("#deliveries > li")
    expect(delivery).to_contain_text("switched off")
    expect(delivery).to_contain_text("HTTP 410")
    assert_accessible(page)
    delivery.get_by_role("button", name="Send again").click()
    until(lambda: any(row["status"] == "delivered" for row in deliveries(service, job)))
    page.reload()
    expect(delivery).to_contain_text("delivered")
    page.get_by_role("link", name="←").click()
    page.wait_for_url(f"**/jobs/{job['id']}")
    page.close()


def test_the_error_of_a_database_without_tables_says_what_to_do(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli", "webhooks", "secret"]
    environment = {**os.environ, "LOOKBOOK_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "lookbook db upgrade" in done.stderr


def test_a_malformed_secret_is_refused_without_printing_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli", "webhooks", "secret"]
    environment = {**os.environ, "LOOKBOOK_HOME": str(tmp_path), "LOOKBOOK_WEBHOOK_SECRET": "whsec_tooshort"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "LOOKBOOK_WEBHOOK_SECRET" in done.stderr
    assert "tooshort" not in done.stderr
