"""Several models in running workers: promotion, unloading, one worker per GPU, and a hanging device."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, expect
from typer.testing import CliRunner, Result

from broker.client import Broker
from cli.main import app
from core.settings import PROJECT, Settings
from core.types import ModelRef
from lookbook import NotPromoted
from tests.artifacts import publish_again
from tests.conftest import SAMPLES, RunningRedis, RunningService, until
from tests.e2e.pages.objects import ModelPage
from worker.predicting.models import EXIT_DEVICE_STUCK, ModelCache


def test_a_promoted_version_is_loaded_before_jobs_use_it_without_a_restart(tmp_path: Path, browser: Browser) -> None:
    first = publish_again(tmp_path / "models")
    environment = {"LOOKBOOK_HOME": str(tmp_path / "home"), "LOOKBOOK_MODELS": str(tmp_path / "models")}
    service = RunningService(tmp_path / "home", LOOKBOOK_MODELS=str(tmp_path / "models"))
    try:
        service.wait_for_line("ready")
        run = CliRunner(env={**environment, "LOOKBOOK_URL": service.url, "COLUMNS": "200"}).invoke
        before = classifying(service)
        second = publish_again(tmp_path / "models")
        assert (str(first.ref), str(second.ref)) == ("garments@1", "garments@2")
        unknown = run(app, ["models", "promote", "garments@2"])
        assert "expected one of garments@1" in str(unknown.exception)
        assert run(app, ["db", "upgrade"]).exit_code == 0
        answer = httpx.post(f"{service.url}/v1/models/garments/promote", json={"version": "2"})
        assert answer.status_code == 202
        waiting = {"promoted": False, "workers": 1, "waiting_for": [before["worker"]]}
        assert answer.json() == waiting | {"failures": []}
        assert classify(service)["prediction"]["model"] == "garments@1"
        away = refused_while_its_files_are_missing(service, run, second.folder)
        promoted = run(app, ["models", "promote", "garments@2"])
        assert "production is garments@2" in promoted.output, promoted.output
        assert classify(service)["prediction"]["model"] == "garments@2"
        after = classifying(service)
        assert after["worker"] == before["worker"]
        assert set(after["models"]) == {"garments@1", "garments@2"}
        listed = run(app, ["models"])
        assert "garments@2  production" in listed.output
        assert "candidate" not in listed.output
        away.rename(second.folder.with_name("3"))
        publish_again(tmp_path / "models")
        assert run(app, ["db", "upgrade"]).exit_code == 0
        promote_on_its_page(browser, f"{service.url}/models/garments/4")
        assert classify(service)["prediction"]["model"] == "garments@4"
    finally:
        service.stop()


def refused_while_its_files_are_missing(service: RunningService, run: Callable[..., Result], folder: Path) -> Path:
    """Promote a further version whose files are gone. The answers say so, and `production` stays what it is.

    Return the place where the files are now. Back in theirs, a worker may load them and forget an older version.
    """
    third = publish_again(folder.parents[1])
    assert run(app, ["db", "upgrade"]).exit_code == 0
    away = third.folder.rename(folder.parents[1] / "away")
    refused = run(app, ["models", "promote", str(third.ref), "--patience", "8"])
    assert isinstance(refused.exception, NotPromoted)
    worker = classifying(service)["worker"]
    assert f"{worker}: no artifact {third.ref}" in str(refused.exception)
    body = httpx.post(f"{service.url}/v1/models/garments/promote", json={"version": third.ref.version}).json()
    assert [(failure["worker"], body["promoted"]) for failure in body["failures"]] == [(worker, False)]
    assert classify(service)["prediction"]["model"] == "garments@1"
    return away


def promote_on_its_page(browser: Browser, url: str) -> None:
    """Promote a version that no worker has loaded yet, as a person does."""
    page = browser.new_page()
    page.goto(url)
    model = ModelPage(page)
    model.promote()
    expect(model.promotion).to_contain_text("Waiting for")
    expect(model.promotion).to_have_text("New jobs now use this version.", timeout=30_000)
    expect(page.locator("#aliases")).to_have_text("production")
    expect(page.get_by_role("button", name="Use for new jobs")).to_be_hidden()
    page.close()


def classifying(service: RunningService) -> dict[str, Any]:
    """Return the description of the worker that classifies."""
    workers = httpx.get(f"{service.url}/readyz").json()["workers"]
    (found,) = [worker for worker in workers if "interactive" in worker["queues"]]
    return dict(found)


def classify(service: RunningService) -> dict[str, dict[str, str]]:
    picture = (SAMPLES / "dress-green.jpg").read_bytes()
    answer = httpx.post(f"{service.url}/v1/classifications", files={"image": picture}, timeout=30)
    body: dict[str, dict[str, str]] = answer.raise_for_status().json()
    return body


@pytest.fixture
def three_models(tmp_path: Path) -> Iterator[tuple[ModelCache, list[ModelRef]]]:
    refs = [publish_again(tmp_path / "models").ref for _ in range(3)]
    models = ModelCache(Settings(models=tmp_path / "models", home=tmp_path, loaded_models=2))
    yield models, refs
    models.close()


def loaded(models: ModelCache) -> list[ModelRef]:
    return [model.artifact.ref for model in models.loaded()]


def test_the_least_recently_used_model_is_unloaded(three_models: tuple[ModelCache, list[ModelRef]]) -> None:
    models, (first, second, third) = three_models
    for ref in (first, second, first, third):
        models.load(ref)
    assert loaded(models) == [first, third]


def test_a_model_in_use_is_not_unloaded(three_models: tuple[ModelCache, list[ModelRef]]) -> None:
    models, (first, second, third) = three_models
    with models.using(first), models.using(second):
        models.load(third)
        assert {first, second} <= set(loaded(models))
    assert len(loaded(models)) == 2


STUCK = """
import sys, threading
import numpy as np
import worker.predicting.models
from classifier.artifact import list_artifacts
from classifier.runtime import Answers
from core.settings import Settings

class Stuck:
    name, device, precision, batch_sizes, slots, has_express_slot = "openvino", "CPU", "f32", (1,), 1, False
    shape = (4, 4, 3)
    def infer(self, batch, *, lone=False):
        if batch.any():
            threading.Event().wait()
        return Answers(np.zeros((len(batch), 10), np.float32))
    def close(self):
        pass

worker.predicting.models.open_runtime = lambda *_: Stuck()
models = worker.predicting.models.ModelCache(Settings(lease_seconds=1))
threading.Thread(target=models.watch, daemon=True).start()
with models.using(list_artifacts(Settings().models)[-1].ref) as model:
    model.batcher.submit(np.ones((4, 4, 3), np.uint8), "job", interactive=True).result()
"""


def test_a_hanging_device_ends_its_process() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_DEVICE_STUCK, done.stderr
    assert "device_stuck" in done.stdout


GPUS = """
import sys
from core.settings import Settings
from cli.devices import run_one_per_gpu
run_one_per_gpu(Settings.read(), ["0", "1"], ["--queues", "bulk", "--concurrency", "1"])
"""


def test_each_gpu_gets_a_worker_that_sees_only_this_gpu(tmp_path: Path, redis: RunningRedis) -> None:
    environment = {**os.environ, "LOOKBOOK_HOME": str(tmp_path), "LOOKBOOK_REDIS_URL": redis.url}
    subprocess.run([sys.executable, "-m", "cli", "db", "upgrade"], cwd=PROJECT, env=environment, check=True)
    running = subprocess.Popen([sys.executable, "-c", GPUS], cwd=PROJECT, env=environment)
    broker = Broker.connect(Settings(home=tmp_path, redis_url=redis.url))
    try:
        until(lambda: len(broker.list_live_workers()) == 2)
        family = psutil.Process(running.pid).children()
        assert sorted(p.environ()["CUDA_VISIBLE_DEVICES"] for p in family) == ["0", "1"]
    finally:
        broker.close()
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
