"""Run every example of the documents against one running service.

One bash runs the `sh` blocks of a document line by line, and one namespace runs its `python` blocks. The test fails if
a line fails. `NOT_RUN` lists the lines that cannot run here, with the reason.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.settings import PROJECT
from lookbook import Client, Job
from lookbook.options import RegionOption
from tests.answering import Reply, answering
from tests.artifacts import publish_again
from tests.conftest import SAMPLES, RunningService, ready_service, suspended_worker
from tests.e2e import preloaded_commands
from tests.shop import running_shop

DOCUMENTS = (
    "README.md",
    "docs/http-api.md",
    "docs/exports.md",
    "docs/similar.md",
    "docs/map.md",
    "docs/hints.md",
    "docs/trust.md",
    "docs/keys.md",
    "docs/client.md",
    "docs/cli.md",
    "docs/crawling.md",
    "docs/catalogs.md",
    "docs/datasets.md",
    "docs/webhooks.md",
    # It promotes a taught version, which all later jobs use.
    "docs/teaching.md",
)

ELSEWHERE = {
    "docs/operations.md": "describes other machines, buckets and containers; other tests cover what can be tried here",
    "docs/training.md": "needs a dataset and minutes: tests/integration/test_training.py and others",
    "docs/training-data.md": "needs a dataset and minutes: tests/unit/test_training_data.py",
    "docs/training-runs.md": "needs an interrupted run: tests/integration/test_training_runs.py",
    "docs/capacity.md": "installs TensorFlow for a GPU: tests/integration/test_gpu_benchmark.py measures without one",
    "docs/backbones.md": "measures for minutes: tests/integration/test_networks.py and test_backbone_training.py",
    "docs/recipes/comparison.md": "takes an hour",
    "docs/recipes/garments-distilled.md": "trains two models: tests/integration/test_distillation.py",
    "docs/judging.md": "needs a folder of photographs: tests/integration/test_model_publishing.py and others",
}
"""Documents whose examples are not run here, with the reason."""

NOT_RUN = {
    "make up": "starts a second service: tests/e2e/test_up.py",
    "make test": "runs this test",
    "pip install -r requirements/render.txt": "installs packages: these are among those of the tests",
    "pip install ./lookbook": "installs a package: tests/e2e/test_packages.py",
    "playwright install chromium": "downloads a browser",
    "LOOKBOOK_RENDER=auto lookbook up": "starts a second service: tests/integration/test_rendering.py draws pages",
    "python -m benchmarks.looking_first --validation garments/validation --train garments/train": "needs photographs",
    "python -m benchmarks.looking_first --validation garments/validation": "needs photographs",
    "lookbook models calibrate --job {learned_job}": "needs wrong predictions: tests/integration/test_lessons.py",
    "lookbook train --data searched --name searched": "takes minutes: tests/e2e/test_crawling.py trains on one",
}
"""Lines that are not run, with the reason."""

WRITTEN_URL = "http://127.0.0.1:8000"
"""URL of the service in the documents."""
WRITTEN_SHOP = "https://shop.example"
"""URL of the server in the documents that has pictures and receives webhooks."""
WRITTEN_STORE = "https://store.example"
"""URL of the shop that the documents crawl."""
REGIONS_MODEL = "looks"
"""The model of the documents that takes regions."""
LINE_SECONDS = 120.0
"""Longest time that one line may take."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    home = tmp_path_factory.mktemp("service")
    models = home / "models"
    shutil.copytree(PROJECT / "models", models)
    publish_again(models, REGIONS_MODEL, view="garment")
    with ready_service(home, LOOKBOOK_MODELS=str(models), LOOKBOOK_FETCH_ALLOW="127.0.0.0/8") as running:
        yield running


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """Yield the URL of a server that answers every request with a picture."""
    picture = Reply(200, (SAMPLES / "coat-camel.jpg").read_bytes(), {"Content-Type": "image/jpeg"})
    with answering(picture) as server:
        yield server.url


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """Yield the URL of a shop with pages."""
    with running_shop(seed=7, products=12) as running:
        yield running.address_url("next")


@pytest.fixture(scope="module")
def key(service: RunningService) -> str:
    """Return a key with all scopes. The examples make keys, and then every request needs one."""
    with Client(service.url) as client:
        return client.create_key("examples", ["admin"]).key


@pytest.fixture
def folder(service: RunningService, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the examples run, with the files that they name."""
    shutil.copytree(SAMPLES, tmp_path / "samples" / "pictures")
    shutil.make_archive(str(tmp_path / "catalog"), "zip", SAMPLES)
    shutil.copy(PROJECT / "recipes" / "sites" / "shopping-search.yaml", tmp_path / "my-shop.yaml")
    shutil.copy(PROJECT / "tests" / "unit" / "crawler" / "pages" / "cards.html", tmp_path / "saved.html")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOKBOOK_FETCH_ALLOW", "127.0.0.0/8")
    monkeypatch.setenv("LOOKBOOK_URL", service.url)
    monkeypatch.setenv("LOOKBOOK_KEY", key)
    monkeypatch.setenv("LOOKBOOK_HOME", str(service.home))
    return tmp_path


class ExampleObjects:
    """Makes the objects that placeholders in the examples stand for, when an example needs them."""

    def __init__(self, service: RunningService, key: str) -> None:
        self._service = service
        self._key = key
        self._client = Client(service.url, key)

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def fill(self, line: str) -> Iterator[str]:
        """Yield the line with its placeholders replaced by objects that have the needed state during the block."""
        if "{running_job}" in line or re.search(r"jobs/\{id\}/cancel", line):
            with suspended_worker(self._service):
                yield re.sub(r"\{running_job\}|\{id\}", self._submit_job().id, line)
            return
        for pattern, make in self._makers():
            if re.search(pattern, line):
                line = make(line)
        yield line

    def _makers(self) -> Iterator[tuple[str, Callable[[str], str]]]:
        yield r"\{delivery_id\}", self._fill_in_delivery
        yield r"\{share_id\}", self._fill_in_share
        yield r"\{webhook_job\}", lambda line: line.replace("{webhook_job}", self._webhook_job().id)
        yield r"\{open\}", lambda line: line.replace("{open}", self._post("/v1/jobs", open=True))
        yield r"\{preview\}", lambda line: line.replace("{preview}", self._post("/v1/previews", url=WRITTEN_SHOP))
        yield r"\{ended_job\}", lambda line: line.replace("{ended_job}", self._ended_job)
        yield r"\{learned_job\}", lambda line: line.replace("{learned_job}", self.learned_job)
        yield r"\{failed_job\}", lambda line: line.replace("{failed_job}", self._failed_job().id)
        yield (
            r"\{reviewed_job\}",
            lambda line: line.replace("{reviewed_job}", self._client.item(self._reviewed_item_id()).job_id),
        )
        yield r"DELETE .*jobs/\{id\}/acceptance", lambda line: line.replace("{id}", self._accepted_job().id)
        yield r"jobs/\{id\}/retry", lambda line: line.replace("{id}", self._failed_job().id)
        yield r"jobs/\{id\}", lambda line: line.replace("{id}", self._submit_job().wait().id)
        yield r"jobs=\{id\}", lambda line: line.replace("{id}", self._submit_job().wait().id)
        yield r"DELETE .*items/\{id\}/review", lambda line: line.replace("{id}", self._reviewed_item_id())
        yield r"items/\{id\}", lambda line: line.replace("{id}", self._item_id())
        yield r"items/\{look\}", lambda line: line.replace("{look}", self._look_id())
        yield r"key_01k…", lambda line: line.replace("key_01k…", self._client.create_key("to be revoked").id)
        yield r"\{item\} --undo", lambda line: line.replace("{item}", self._reviewed_item_id())
        yield r"\{item\}", lambda line: line.replace("{item}", self._item_id())
        yield r"keys/\{id\}", lambda line: line.replace("{id}", self._client.create_key("to be revoked").id)
        yield r"models/\{name\}", lambda line: line.replace("{name}", next(self._client.models()).name)

    def _submit_job(self, **options: Any) -> Job:
        return self._client.submit_uploads([SAMPLES / "dress-green.jpg"], **options)

    def _post(self, path: str, **body: Any) -> str:
        """Send a request that creates something, and return its id."""
        headers = {"Authorization": f"Bearer {self._key}"}
        answer = httpx.post(f"{self._service.url}{path}", json=body, headers=headers)
        return str(answer.raise_for_status().json()["id"])

    @cached_property
    def _ended_job(self) -> str:
        """A job of all samples, which has a map and hints."""
        job = self._client.submit_uploads(sorted(SAMPLES.iterdir())).wait()
        job.make_map()
        job.compute_hints()
        return job.id

    @cached_property
    def learned_job(self) -> str:
        """The id of a job of all samples, twenty of which have reviews."""
        job = self._client.submit_uploads(sorted(SAMPLES.iterdir())).wait()
        for item in list(job.items())[:20]:
            assert item.prediction is not None
            self._client.review(item, item.prediction.label.id)
        return job.id

    def _accepted_job(self) -> Job:
        job = self._submit_job().wait()
        job.accept(0.9)
        return job

    def _failed_job(self) -> Job:
        return self._client.submit_items(["http://shop.invalid/coat.jpg"]).wait()

    def _item_id(self) -> str:
        return next(self._submit_job().wait().items()).id

    def _look_id(self) -> str:
        top: RegionOption = {"name": "top", "box": {"x": 100, "y": 100, "width": 500, "height": 400}}
        return self._client.classify(SAMPLES / "coat-camel.jpg", model=REGIONS_MODEL, regions=[top]).id

    def _reviewed_item_id(self) -> str:
        return self._client.review(self._item_id(), "dress").item_id

    def _webhook_job(self) -> Job:
        return self._submit_job(webhook={"url": "http://127.0.0.1:9/hook"}).wait()

    def _fill_in_share(self, line: str) -> str:
        job = self._submit_job().wait()
        return line.replace("{share_id}", job.share().id).replace("{id}", job.id)

    def _fill_in_delivery(self, line: str) -> str:
        job = self._webhook_job()
        return line.replace("{delivery_id}", next(job.deliveries()).id).replace("{id}", job.id)


@pytest.fixture
def example_objects(service: RunningService, key: str) -> Iterator[ExampleObjects]:
    objects = ExampleObjects(service, key)
    yield objects
    objects.close()


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the socket of a process that has imported the `lookbook` commands."""
    path = tmp_path_factory.mktemp("commands") / "socket"
    command = [sys.executable, "-m", "tests.e2e.preloaded_commands", "serve", str(path)]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield path
    process.terminate()
    process.communicate()


class Shell:
    """One bash process. Variables that a line sets are available to later lines."""

    PROLOGUE = f"""
        curl() {{
            local key=(-H "Authorization: Bearer $LOOKBOOK_KEY")
            [[ "$*" == *Authorization:* ]] && key=()
            command curl -sS --fail-with-body "${{key[@]}}" "$@"
        }}
        lookbook() {{ {shlex.join([sys.executable, "-IS", preloaded_commands.__file__, "run"])} "$COMMANDS" "$@"; }}
    """

    def __init__(self, folder: Path, commands: Path) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "COMMANDS": str(commands)},
        )
        self.run(self.PROLOGUE)

    def run(self, line: str) -> str:
        """Run the line, which must succeed, and return its output."""
        assert self._process.stdin is not None
        # With pipefail, a pipe fails if any part of it fails. The line's standard input is empty.
        self._process.stdin.write(f"set -o pipefail\n{{ {line}\n}} < /dev/null\nprintf '\\n%s\\n' \"exit code $?\"\n")
        self._process.stdin.flush()
        late = threading.Timer(LINE_SECONDS, os.killpg, (self._process.pid, signal.SIGKILL))
        late.start()
        try:
            return self._answer(line)
        finally:
            late.cancel()

    def _answer(self, line: str) -> str:
        assert self._process.stdout is not None
        printed: list[str] = []
        while not (found := re.fullmatch(r"exit code (\d+)\n", text := self._process.stdout.readline())):
            assert text, f"{line}\nended the shell:\n{''.join(printed)}"
            printed.append(text)
        assert found.group(1) == "0", f"{line}\nended with exit code {found.group(1)}:\n{''.join(printed)}"
        return "".join(printed)

    def close(self) -> None:
        self._process.communicate()


def blocks(document: str) -> Iterator[tuple[str, str]]:
    text = (PROJECT / document).read_text("utf-8")
    for found in re.finditer(r"^```(sh|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield found.group(1), found.group(2)


def lines(block: str) -> Iterator[str]:
    """Yield the commands of a block. A command has several lines if a quotation or a backslash continues it."""
    pending = ""
    for text in block.splitlines():
        pending += text
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:
            pending += "\n"
            continue
        if words:
            yield pending
        pending = ""
    assert not pending, f"a command does not end: {pending}"


def command(line: str) -> str:
    """Return a line without its comment."""
    return " ".join(shlex.split(line, comments=True))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_examples_of_a_document_work(
    document: str,
    service: RunningService,
    shop: str,
    store: str,
    folder: Path,
    commands: Path,
    example_objects: ExampleObjects,
) -> None:
    shell, names = Shell(folder, commands), dict[str, Any]()
    try:
        for language, block in blocks(document):
            here = block.replace(WRITTEN_URL, service.url).replace(WRITTEN_SHOP, shop).replace(WRITTEN_STORE, store)
            if language == "python":
                if "{learned_job}" in here:
                    here = here.replace("{learned_job}", example_objects.learned_job)
                exec(compile(here, f"{document}: {block.strip().splitlines()[0]}", "exec"), names)
                continue
            for line in lines(here.replace(".venv/bin/lookbook", "lookbook")):
                if command(line) not in NOT_RUN:
                    with example_objects.fill(line) as filled:
                        left = re.findall(r"\{\w+\}", filled)
                        assert left == [], f"no maker for the placeholders in {line!r}"
                        shell.run(filled)
    finally:
        shell.close()
        for client in (value for value in names.values() if isinstance(value, Client)):
            client.close()


def test_every_document_with_examples_is_run_or_listed_as_not_run() -> None:
    written = {command(line) for document in DOCUMENTS for _, block in blocks(document) for line in lines(block)}
    assert NOT_RUN.keys() <= written
    pages = {str(path.relative_to(PROJECT)) for path in [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]}
    assert {page for page in pages if any(blocks(page))} == {*DOCUMENTS, *ELSEWHERE}
    assert set(DOCUMENTS) & ELSEWHERE.keys() == set()
