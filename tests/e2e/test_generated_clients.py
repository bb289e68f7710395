"""Clients that generators make from the OpenAPI document work against the running service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.settings import PROJECT
from tests.conftest import SAMPLES, RunningService

CLIENTS = PROJECT / "tests" / "clients"
PROGRAMS = PROJECT / ".venv-clients" / "bin"
"""The generators and the packages that their clients need (requirements/clients.txt)."""
NODE_PACKAGES = CLIENTS / "node_modules"
PICTURES = [SAMPLES / name for name in ("t-shirt-red.jpg", "jacket-denim.jpg")]


@pytest.fixture(scope="module")
def document(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_text(httpx.get(f"{service.url}/openapi.json", trust_env=False).text, "utf-8")
    return path


def run(*command: object, folder: Path, **environment: str) -> str:
    """Run a command, and return what it prints on standard output."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words[0]}: {done.stdout}\n{done.stderr}"
    return done.stdout


def node_tool(name: str) -> Path:
    """Return a tool of tests/clients/package.json, which `make test` installs if this machine has npm."""
    if shutil.which("node") is None or not (NODE_PACKAGES / ".bin" / name).exists():
        pytest.skip("Node.js with the packages of tests/clients/package.json is missing")
    return NODE_PACKAGES / ".bin" / name


def check_report(report: dict[str, Any]) -> None:
    """Check what a generated client has read: the items of its job, an export, a thumbnail and a label."""
    assert report["names"] == [path.name for path in PICTURES]
    lines = report["csv"].lstrip("\ufeff").splitlines()
    assert [name for name in report["names"] if any(name in line for line in lines[1:])] == report["names"]
    assert report["thumbnail"] == "ffd8"
    assert report["single"] == "t-shirt"


def test_the_document_is_valid(document: Path) -> None:
    assert "OK" in run(PROGRAMS / "openapi-spec-validator", document, folder=PROJECT)


def test_redocly_finds_nothing(document: Path) -> None:
    found = run(
        node_tool("redocly"), "lint", document, "--format=json", folder=PROJECT, REDOCLY_SUPPRESS_UPDATE_NOTICE="true"
    )
    report = json.loads(found[found.index("{") :])
    assert report["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}, report["problems"]


def test_a_client_of_openapi_python_client_submits_files_and_reads_all(
    service: RunningService, document: Path, tmp_path: Path
) -> None:
    config = CLIENTS / "openapi-python-client.yaml"
    made = ("generate", "--path", document, "--config", config, "--output-path", tmp_path / "made", "--meta", "none")
    run(PROGRAMS / "openapi-python-client", *made, folder=tmp_path)
    (tmp_path / "made").rename(tmp_path / "lookbook_client")
    script = CLIENTS / "with_openapi_python_client.py"
    used = run(PROGRAMS / "python", script, service.url, *PICTURES, folder=tmp_path, PYTHONPATH=str(tmp_path))
    check_report(json.loads(used))


def test_a_strictly_typed_client_of_openapi_typescript_submits_files_and_reads_all(
    service: RunningService, document: Path, tmp_path: Path
) -> None:
    run(node_tool("openapi-typescript"), document, "-o", tmp_path / "schema.ts", folder=tmp_path)
    for name in ("with_openapi_fetch.ts", "tsconfig.json", "package.json"):
        shutil.copy(CLIENTS / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE_PACKAGES)
    run(node_tool("tsc"), "--project", "tsconfig.json", folder=tmp_path)
    names = [path.name for path in PICTURES]
    check_report(json.loads(run("node", "with_openapi_fetch.js", service.url, *names, folder=tmp_path)))


def test_openapi_generator_accepts_the_document(document: Path, tmp_path: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("openapi-generator needs Java, which is missing")
    run(
        PROGRAMS / "openapi-generator-cli",
        "generate",
        "-i",
        document,
        "-g",
        "python",
        "-o",
        tmp_path / "made",
        folder=tmp_path,
    )
    uploads = (tmp_path / "made" / "openapi_client" / "api" / "jobs_api.py").read_text("utf-8")
    assert "def create_upload_job(" in uploads
    script = "import openapi_client; print(openapi_client.JobsApi.upload_items.__name__)"
    assert run(PROGRAMS / "python", "-c", script, folder=tmp_path / "made", PYTHONPATH=".").strip() == "upload_items"
