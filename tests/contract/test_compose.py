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
    from_files = {name.removesuffix("_file") for name in used if name.endswith("_file")}
    assert from_files == set(Settings.secret_names())
    assert {name for name in used if not name.endswith("_file")} <= set(Settings.model_fields)


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


def test_secrets_are_only_in_files_that_the_script_writes(compose: Any) -> None:
    script = (PROJECT / "deploy" / "make_secrets.sh").read_text("utf-8")
    given = {"metrics_key", "tls_certificate", "tls_key"}
    assert (
        set(re.findall(r"^write (\w+)", script, re.MULTILINE)) - {"redis_password"} == set(compose["secrets"]) - given
    )
    for name, service in compose["services"].items():
        named = set(re.findall(r"/run/secrets/(\w+)", str(service)))
        mounted = set(service.get("secrets", []))
        assert named <= mounted, name
        secret = re.compile(r"PASSWORD|SECRET|TOKEN")
        assert all(variable.endswith("_FILE") for variable in service.get("environment", {}) if secret.search(variable))
    files = {name: (PROJECT / name).read_text("utf-8").splitlines() for name in (".gitignore", ".dockerignore")}
    assert "/secrets/" in files[".gitignore"]
    assert {"secrets", ".env*"} <= set(files[".dockerignore"])


def test_nothing_is_served_without_a_key_and_only_tls_is_published_beyond_loopback(compose: Any) -> None:
    assert "NO_AUTH" not in (PROJECT / "docker-compose.yml").read_text("utf-8")
    assert "ports" not in compose["services"]["api"]
    published = {name: port for name, service in compose["services"].items() for port in service.get("ports", [])}
    assert [name for name, port in published.items() if "127.0.0.1:" not in port] == ["nginx-tls"]


def test_every_container_is_confined(compose: Any) -> None:
    for name, service in compose["services"].items():
        assert service["init"] is True, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"cpus", "mem_limit", "pids_limit"} <= set(service), name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        assert "/tmp" in service["tmpfs"], name


def test_the_example_of_env_names_all_variables_and_only_known_ones(compose: Any) -> None:
    lines = (PROJECT / ".env.example").read_text("utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    text = (PROJECT / "docker-compose.yml").read_text("utf-8")
    used = dict(re.findall(r"(?<!\$)\$\{(\w+):-([^}]*)\}", text))
    assert {name: example[name] for name in used} == used
    others = {name.removeprefix("LOOKBOOK_").lower(): value for name, value in example.items() if name not in used}
    assert {name: str(Settings.model_fields[name].default) for name in others} == {
        name: str(float(value)) if name == "retention_days" else value for name, value in others.items()
    }


def test_redis_has_the_acl_of_the_documentation() -> None:
    users = (PROJECT / "deploy" / "redis.acl").read_text("utf-8").splitlines()
    assert users[1] in (PROJECT / "docs" / "operations.md").read_text("utf-8").splitlines()


def test_services_wait_for_migrations_and_have_health_checks(compose: Any) -> None:
    services = compose["services"]
    for name in ("api", "worker", "worker-gpu", "ingest", "crawler", "maintenance", "beat"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"bucket", "migrate"}


def test_every_user_of_the_blob_store_has_its_url_and_credentials(compose: Any) -> None:
    services = compose["services"]
    (bucket,) = (word for word in services["bucket"]["command"] if word.startswith("/buckets/"))
    for name in ("api", "worker", "worker-gpu", "ingest", "crawler", "maintenance"):
        environment = services[name]["environment"]
        assert environment["LOOKBOOK_BLOBS"].split("/")[2] == bucket.removeprefix("/buckets/")
        assert environment["AWS_ENDPOINT_URL"] == "http://s3:7070"
        assert environment["AWS_ACCESS_KEY_ID"] == services["s3"]["environment"]["ROOT_ACCESS_KEY_ID"]
        assert environment["LOOKBOOK_S3_SECRET_KEY_FILE"] in str(services["s3"]["entrypoint"])
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
