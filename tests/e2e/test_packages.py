"""The distributions: the client alone, and the whole service outside the checkout. Both are built without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.settings import PROJECT
from lookbook import Client
from tests.conftest import SAMPLES, RunningService

HTTPX_PACKAGES = ("anyio", "certifi", "h11", "httpcore", "httpx", "idna", "sniffio", "typing_extensions")
"""httpx, and what it needs."""

USE_CLIENT = """
import json, sys
import lookbook
item = lookbook.Client(sys.argv[1]).classify(sys.argv[2])
print(json.dumps({"label": item.prediction.label.id, "file": lookbook.__file__}))
"""


class ServiceElsewhere(RunningService):
    """A service that is started in another folder than the checkout."""

    folder = Path("/")


def install(source: Path, target: Path) -> Path:
    """Build the distribution in a folder, install it into `target` without its dependencies, and return `target`."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir"]
    subprocess.run([*pip, *offline, "--target", str(target), str(source)], check=True, cwd=target.parent)
    return target


def run(target: Path, *arguments: str) -> str:
    """Run Python in another folder than the checkout with what is installed in `target`, and return its output."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(target)},
        cwd=target.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def add_httpx(target: Path) -> None:
    """Add httpx and what it needs to an installation, as links to the packages of this environment."""
    for name in HTTPX_PACKAGES:
        found = find_spec(name)
        if found is not None and found.origin is not None:
            source = Path(found.origin).parent if found.submodule_search_locations else Path(found.origin)
            (target / source.name).symlink_to(source)


def requirements_of(target: Path) -> list[str]:
    (distribution,) = distributions(path=[str(target)])
    return distribution.requires or []


def project_of(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    return project


def test_the_client_alone_installs_needs_only_httpx_and_classifies(service: RunningService, tmp_path: Path) -> None:
    target = install(PROJECT / "lookbook", tmp_path / "client")
    assert requirements_of(target) == ["httpx>=0.28"]
    add_httpx(target)
    # With -S, Python does not look into the site-packages of the environment.
    answer = json.loads(run(target, "-S", "-c", USE_CLIENT, service.url, str(SAMPLES / "dress-green.jpg")))
    assert answer["label"] == "dress"
    assert Path(answer["file"]).is_relative_to(target)


def test_both_distributions_have_the_same_version_and_ask_for_the_same_httpx() -> None:
    whole, client = map(project_of, (PROJECT, PROJECT / "lookbook"))
    assert client["version"] == whole["version"]
    assert client["requires-python"] == whole["requires-python"]
    served = (PROJECT / "requirements" / "serve.in").read_text("utf-8").splitlines()
    assert set(client["dependencies"]) <= set(served)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(PROJECT, tmp_path_factory.mktemp("installed") / "whole")


def test_the_whole_declares_its_dependencies_and_prints_its_version(whole: Path) -> None:
    required = requirements_of(whole)
    assert {"openvino>=2026.4", "celery>=5.7", "httpx>=0.28"} <= set(required)
    assert not any(name.startswith(("hatchling", "editables")) for name in required)
    assert run(whole, "-m", "cli", "--version").startswith("lookbook 0.")


def test_the_whole_runs_outside_the_checkout(whole: Path, tmp_path: Path) -> None:
    running = ServiceElsewhere(tmp_path / "home", PYTHONPATH=str(whole))
    try:
        running.wait_for_line("ready")
        with Client(running.url) as client:
            prediction = client.classify(SAMPLES / "dress-green.jpg").prediction
        with httpx.Client(base_url=running.url, trust_env=False) as http:
            pages = [http.get(path).status_code for path in ("/", "/docs", "/new", "/static/css/account.css")]
            recipes = {recipe["name"] for recipe in http.get("/v1/recipes").json()["data"]}
    finally:
        running.stop()
    assert prediction is not None
    assert prediction.label.id == "dress"
    assert pages == [200] * 4
    assert recipes == {path.stem for path in (PROJECT / "recipes" / "sites").glob("*.yaml")}
