"""`lookbook up`: it starts, restarts dead processes, refuses wrong settings, and ends cleanly."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from core.settings import PROJECT
from tests.conftest import SAMPLES, RunningService, find_process, suspended_worker, until

Start = Callable[..., RunningService]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[RunningService] = []

    def start_(home: Path = tmp_path / "home", **environment: str) -> RunningService:
        running.append(RunningService(home, **environment))
        return running[-1]

    yield start_
    for service in running:
        if service.process.poll() is None:
            service.stop()
        service.close()


def children(service: RunningService) -> list[psutil.Process]:
    return psutil.Process(service.process.pid).children(recursive=True)


def post_one(service: RunningService, wait: int) -> httpx.Response:
    """Submit a picture, and wait up to so many seconds for its prediction."""
    return httpx.post(
        f"{service.url}/v1/classifications",
        content=(SAMPLES / "t-shirt-red.jpg").read_bytes(),
        headers={"Content-Type": "image/jpeg", "Prefer": f"wait={wait}"},
        timeout=60,
    )


def submit_one(service: RunningService) -> str:
    """Submit a picture that cannot be classified now, and return the path of its item."""
    answer = post_one(service, 0)
    assert answer.json()["status"] == "pending"
    return answer.headers["Location"]


def is_done(service: RunningService, path: str) -> bool:
    return bool(httpx.get(service.url + path).json()["status"] in {"succeeded", "completed"})


def check_that_stopping_leaves_no_process(service: RunningService, number: signal.Signals) -> None:
    family = children(service)
    assert len(family) >= 5
    service.process.send_signal(number)
    assert service.process.wait(60) == 0
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []


def test_the_maintenance_worker_has_the_lowest_priority(service: RunningService) -> None:
    process = {" ".join(child.cmdline()[3:]): child for child in children(service)}
    maintenance = process["worker --queues maintenance --concurrency 2"]
    # The worker sets its niceness itself, and the service does not wait until it is ready.
    until(lambda: maintenance.nice() > process["api"].nice() == process["worker"].nice())


def test_the_data_folder_is_closed_to_other_users(service: RunningService) -> None:
    assert post_one(service, 30).json()["status"] == "succeeded"
    paths = [service.home, *service.home.rglob("*")]
    assert {path.name for path in paths} >= {"lookbook.db", "blobs", "logs"}
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


def test_a_second_service_on_the_same_folder_is_refused(start: Start, service: RunningService) -> None:
    second = start(service.home)
    assert f"process {service.process.pid}" in second.wait_for_line("another `lookbook up`")
    assert second.process.wait(30) == 1
    assert httpx.get(f"{service.url}/readyz").status_code == 200


def test_a_second_service_on_another_folder_and_port_works_and_ctrl_c_leaves_none_of_its_processes(
    start: Start, service: RunningService, tmp_path: Path
) -> None:
    other = start(tmp_path / "other")
    other.wait_for_line("ready")
    assert httpx.get(f"{other.url}/v1/jobs").json()["data"] == []
    assert httpx.get(f"{service.url}/readyz").status_code == 200
    check_that_stopping_leaves_no_process(other, signal.SIGINT)
    assert httpx.get(f"{service.url}/readyz").status_code == 200


def refusal(home: Path, **environment: str) -> str:
    """Return the standard error of `lookbook up` when it does not start."""
    command = [sys.executable, "-m", "cli", "up"]
    environment = {**os.environ, "LOOKBOOK_HOME": str(home), **environment}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_the_error_names_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        message = refusal(tmp_path, LOOKBOOK_PORT=str(port))
    assert f"cannot listen on 127.0.0.1:{port}" in message
    assert "LOOKBOOK_PORT" in message


def test_listening_for_other_machines_without_keys_is_refused(tmp_path: Path) -> None:
    assert "--no-auth" in refusal(tmp_path, LOOKBOOK_HOST="0.0.0.0")


def test_the_error_names_a_wrong_setting(tmp_path: Path) -> None:
    assert "LOOKBOOK_RUNTIME='abacus'" in refusal(tmp_path, LOOKBOOK_RUNTIME="abacus")


def test_a_dead_worker_is_reported_and_restarted_and_its_work_continues(service: RunningService) -> None:
    with suspended_worker(service) as worker:
        item = submit_one(service)
        worker.kill()
    service.wait_for_line("worker died (signal SIGKILL)")
    until(lambda: is_done(service, item))


def test_a_dead_redis_is_restarted_and_its_messages_are_sent_again(service: RunningService) -> None:
    with suspended_worker(service):
        item = submit_one(service)
        find_process(service, "redis-server").kill()
    service.wait_for_line("redis died")
    until(lambda: is_done(service, item))


def test_a_job_from_before_a_kill_is_finished_after_the_next_start_which_sigterm_ends(start: Start) -> None:
    service = start()
    service.wait_for_line("ready")
    files = [("images", (path.name, path.read_bytes())) for path in sorted(SAMPLES.iterdir())]
    with suspended_worker(service):
        job = httpx.post(f"{service.url}/v1/jobs", files=files).json()
    family = children(service)
    service.process.kill()
    # The killed service could not stop its processes. On Linux the kernel does it.
    _, alive = psutil.wait_procs(family, timeout=30)
    if sys.platform == "linux":
        assert alive == []
    for orphan in alive:
        orphan.kill()
    again = start()
    again.wait_for_line("ready")
    until(lambda: is_done(again, job["links"]["self"]))
    counts = httpx.get(again.url + job["links"]["self"]).json()["counts"]
    assert (counts["total"], counts["succeeded"]) == (26, 26)
    check_that_stopping_leaves_no_process(again, signal.SIGTERM)
