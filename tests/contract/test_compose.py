"""docker-compose.yml compared with the Compose specification, the settings and the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from cli.main import app
from core.messages import Queue
from core.settings import PROJECT, Settings


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((PROJECT / "docker-compose.yml").read_text("utf-8"))


def test_the_file_conforms_to_the_compose_specification() -> None:
    checker = str(Path(sys.executable).parent / "check-jsonschema")
    command = [checker, "--builtin-schema", "vendor.compose-spec", str(PROJECT / "docker-compose.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_is_a_setting(compose: Any) -> None:
    variables = {name for service in compose["services"].values() for name in service.get("environment", {})}
    used = {name.removeprefix("LOOKBOOK_").lower() for name in variables if name.startswith("LOOKBOOK_")}
    assert used >= {"home", "database_url", "redis_url", "blobs", "host", "runtime"}
    assert used <= set(Settings.model_fields)


def test_every_command_exists_and_every_queue_has_a_worker(compose: Any) -> None:
    root = typer.main.get_command(app)
    queues: set[str] = set()
    for service in compose["services"].values():
        command = service.get("command", [])
        if command[:1] != ["lookbook"]:
            continue
        found: Any = root
        for word in command[1:]:
            if word.startswith("-"):
                break
            found = found.commands[word]
        options = {option for parameter in found.params for option in parameter.opts}
        assert {word for word in command if word.startswith("--")} <= options
        if "--queues" in command:
            queues |= set(command[command.index("--queues") + 1].split(","))
    assert queues == {queue.value for queue in Queue}


def test_the_file_contains_no_password_and_publishes_only_on_loopback(compose: Any) -> None:
    text = (PROJECT / "docker-compose.yml").read_text("utf-8")
    assert re.findall(r"PASSWORD[^\n]*", text)
    assert all(":?" in line for line in re.findall(r"(?:_PASSWORD: |_KEY: |lookbook:)[^\n]*\$\{[^\n]*", text))
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_services_wait_for_migrations_and_have_health_checks(compose: Any) -> None:
    services = compose["services"]
    for name in ("api", "worker", "worker-gpu", "ingest", "maintenance", "beat"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    for name in ("postgres", "redis", "s3", "api", "worker", "worker-gpu", "ingest", "maintenance"):
        assert "healthcheck" in services[name]


def test_every_user_of_the_blob_store_has_its_url_and_credentials(compose: Any) -> None:
    services = compose["services"]
    store = services["s3"]["environment"]
    (bucket,) = (word for word in services["bucket"]["command"] if word.startswith("/buckets/"))
    for name in ("api", "worker", "worker-gpu", "ingest", "maintenance"):
        environment = services[name]["environment"]
        assert environment["LOOKBOOK_BLOBS"].split("/")[2] == bucket.removeprefix("/buckets/")
        assert environment["AWS_ENDPOINT_URL"] == "http://s3:7070"
        assert environment["AWS_ACCESS_KEY_ID"] == store["ROOT_ACCESS_KEY_ID"]
        assert environment["AWS_SECRET_ACCESS_KEY"] == store["ROOT_SECRET_ACCESS_KEY"]
        assert services[name]["depends_on"]["s3"]["condition"] == "service_healthy"


def test_the_gpu_worker_reserves_a_device_under_its_profile(compose: Any) -> None:
    worker = compose["services"]["worker-gpu"]
    assert worker["profiles"] == ["gpu"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"


def test_the_stages_that_compose_builds_are_in_the_dockerfile(compose: Any) -> None:
    stages = set(re.findall(r"^FROM .* AS (\w+)$", (PROJECT / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    targets = {service["build"]["target"] for service in compose["services"].values() if "build" in service}
    assert targets <= stages
