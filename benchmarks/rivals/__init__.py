"""Compare the service with LitServe, which many people deploy today, on the same model in one run.

The rivals answer from memory. They store nothing, lose everything when they die, and fail a whole batch for one bad
picture.
"""

from __future__ import annotations

import http.client
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks.pictures import fresh, make_pictures
from benchmarks.run import spread
from benchmarks.service import running_service
from benchmarks.throughput import service_rate
from classifier.artifact import list_artifacts
from core.settings import PROJECT

HERE = Path(__file__).parent
VENV = HERE / ".venv"
SIZE = 400
ROUNDS = 3
RIVALS = {
    "LitServe, Keras": ("serve_keras.py", (), 800),
    "LitServe, OpenVINO f32": ("serve_openvino.py", ("f32",), 1000),
    "LitServe, OpenVINO int8": ("serve_openvino.py", ("int8",), 2000),
}
"""Script, arguments after the port, and number of pictures in a round."""
LOOKBOOK, LOOKBOOK_PICTURES = "Lookbook", 4000
IN_FLIGHT = 64
PRECISION = "int8"
"""The fastest precision that was checked to keep the model's labels."""
START_SECONDS = 90.0


def run(progress: Progress) -> dict[str, Any]:
    """Return pictures per second of each server, and how many times as fast the service is. They run in turn."""
    task = progress.add_task("rivals", total=(len(RIVALS) + 1) * ROUNDS)
    _install()
    artifact = list_artifacts(PROJECT / "models")[-1]
    rates: dict[str, list[float]] = {name: [] for name in (LOOKBOOK, *RIVALS)}
    with tempfile.TemporaryDirectory() as folder:
        pictures = make_pictures(Path(folder), SIZE)
        for number in range(ROUNDS):
            for name, (script, arguments, count) in RIVALS.items():
                with _serving(script, [str(artifact.folder)], arguments) as port:
                    flood(port, fresh(pictures, 2 * IN_FLIGHT, f"warm up {number}"))
                    rates[name].append(flood(port, fresh(pictures, count, f"{name} {number}")))
                progress.advance(task)
            with running_service(LOOKBOOK_PRECISION=PRECISION) as service:
                service.finished(service.submit(fresh(pictures, 200, f"warm up {number}"), "warm up"))
                files = fresh(pictures, LOOKBOOK_PICTURES, f"service {number}")
                rates[LOOKBOOK].append(service_rate(service, files, "rivals")[0])
            progress.advance(task)
    ratios = {name: spread([a / b for a, b in zip(rates[LOOKBOOK], rates[name], strict=True)]) for name in RIVALS}
    return {
        "model": str(artifact.ref),
        "precision": PRECISION,
        "in_flight": IN_FLIGHT,
        "rates": {name: spread(values) for name, values in rates.items()},
        "times_as_fast": ratios,
    }


def flood(port: int, files: Sequence[bytes]) -> float:
    """Return pictures per second while `IN_FLIGHT` requests are always under way.

    Raises:
        RuntimeError: a request was refused.
    """
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    refused: list[int] = []
    for data in files:
        waiting.put(data)

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            try:
                data = waiting.get_nowait()
            except queue.Empty:
                connection.close()
                return
            body, content_type = _multipart(data)
            connection.request("POST", "/predict", body, {"Content-Type": content_type})
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.client.OK:
                refused.append(answer.status)

    threads = [threading.Thread(target=client) for _ in range(IN_FLIGHT)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refused:
        raise RuntimeError(f"{len(refused)} of {len(files)} requests were refused: HTTP {sorted(set(refused))}")
    return len(files) / (time.perf_counter() - started)


def _multipart(data: bytes) -> tuple[bytes, str]:
    head = 'Content-Disposition: form-data; name="request"; filename="p.jpg"\r\nContent-Type: image/jpeg'
    body = f"--picture\r\n{head}\r\n\r\n".encode() + data + b"\r\n--picture--\r\n"
    return body, "multipart/form-data; boundary=picture"


def _install() -> None:
    if VENV.is_dir():
        return
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(HERE / "requirements.txt")], check=True)


@contextmanager
def _serving(script: str, before: Sequence[str], after: Sequence[str]) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [str(VENV / "bin" / "python"), str(HERE / script), *before, str(port), *after]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_until_healthy(port, process)
        yield port
    finally:
        # LitServe's worker processes do not end with its main process.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_healthy(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.2)
    raise RuntimeError(f"the rival was not ready within {START_SECONDS:g} s")
