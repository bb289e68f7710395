"""deploy/kubernetes compared with the schemas of Kubernetes and with docker-compose.yml."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from core.messages import Queue
from core.settings import PROJECT, Settings
from tests.conftest import skip_without

FOLDER = PROJECT / "deploy" / "kubernetes"
VERSIONS = ("1.28.0", kubernetes_validate.latest_version())
"""The oldest and the newest version of Kubernetes that the manifests are checked for."""
KEDA = {
    "spec": {
        "scaleTargetRef",
        "minReplicaCount",
        "maxReplicaCount",
        "pollingInterval",
        "fallback",
        "advanced",
        "triggers",
    },
    "fallback": {"failureThreshold", "replicas", "behavior"},
    "metadata": {"serverAddress", "query", "threshold", "ignoreNullValues"},
}
"""Fields of a ScaledObject and of its Prometheus trigger that KEDA 2.17 documents and that make sense here.

`cooldownPeriod` is not among them: it applies only to workloads that KEDA scales to 0.
Sources: https://keda.sh/docs/2.17/reference/scaledobject-spec/ and https://keda.sh/docs/2.17/scalers/prometheus/
"""
WORKLOADS = {"migrate", "api", "worker", "worker-gpu", "ingest", "crawler", "maintenance", "beat"}


def build(folder: str = ".") -> list[dict[str, Any]]:
    """Return the manifests that `kubectl apply -k` would apply."""
    if shutil.which("kubectl") is None:
        skip_without("kubectl")
    command = ["kubectl", "kustomize", str(FOLDER / folder)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [document for document in yaml.safe_load_all(text) if document]


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    return build()


@pytest.fixture(scope="module")
def workloads(manifests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The specs of the pods, by name of the Deployment or Job."""
    kinds = {"Deployment", "Job"}
    return {m["metadata"]["name"]: m["spec"]["template"]["spec"] for m in manifests if m["kind"] in kinds}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text("utf-8"))["services"]
    return {name: service for name, service in services.items() if name in WORKLOADS}


def container(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod["containers"]
    return dict(found)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_conforms_to_the_schema_of_kubernetes(manifests: list[dict[str, Any]], version: str) -> None:
    for manifest in manifests:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_wrong_manifest_is_noticed(manifests: list[dict[str, Any]]) -> None:
    wrong = next(m for m in manifests if m["kind"] == "Deployment") | {"spec": {"replica": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_every_container_of_compose_has_a_workload_with_the_same_command_and_health_check(
    workloads: dict[str, Any], services: dict[str, Any]
) -> None:
    assert set(workloads) == set(services) == WORKLOADS
    for name, service in services.items():
        found = container(workloads[name])
        assert found["args"] == service["command"], name
        if name not in {"api", "migrate"}:
            for probe in ("livenessProbe", "startupProbe"):
                assert ["CMD", *found[probe]["exec"]["command"]] == service["healthcheck"]["test"], name
    assert container(workloads["api"])["livenessProbe"]["httpGet"]["path"] == "/healthz"
    queues = {q for pod in workloads.values() for word in container(pod)["args"] for q in word.split(",")}
    assert {queue.value for queue in Queue} <= queues


def test_every_container_has_the_environment_of_compose(
    manifests: list[dict[str, Any]], workloads: dict[str, Any], services: dict[str, Any]
) -> None:
    (settings,) = (m for m in manifests if m["kind"] == "ConfigMap")
    for name, service in services.items():
        found = container(workloads[name])
        assert found["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
        own = {variable["name"]: variable["value"] for variable in found.get("env", [])}
        # The image has models, and workers get others from the bucket. Compose mounts a folder of the host.
        expected = {key: value for key, value in service["environment"].items() if key != "LOOKBOOK_MODELS"}
        assert settings["data"] | own == expected, name


def test_every_secret_is_a_file_that_the_script_for_compose_writes(
    workloads: dict[str, Any], services: dict[str, Any]
) -> None:
    script = (PROJECT / "deploy" / "make_secrets.sh").read_text("utf-8")
    written = set(re.findall(r"^write (\w+)", script, re.MULTILINE))
    assert {name.lower() for name in Settings.secret_names()} <= written
    for name, pod in workloads.items():
        mounts = {mount["name"]: mount["mountPath"] for mount in container(pod)["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert mounts["secrets"] == "/run/secrets", name
        assert volumes["secrets"]["secret"]["secretName"] == "lookbook"


def test_pods_are_confined_and_limited(workloads: dict[str, Any]) -> None:
    for name, pod in workloads.items():
        found = container(pod)
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["automountServiceAccountToken"] is False, name
        confined = {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert found["securityContext"] == confined, name
        assert "memory" in found["resources"]["limits"], name


def test_pods_end_later_than_their_workers_need(workloads: dict[str, Any]) -> None:
    from worker.app import FINISH_SECONDS

    for name in ("worker", "worker-gpu", "ingest", "crawler", "maintenance"):
        assert workloads[name]["terminationGracePeriodSeconds"] >= 2 * FINISH_SECONDS, name
    assert container(workloads["api"])["lifecycle"]["preStop"]


def test_budgets_and_selectors_match_workloads(manifests: list[dict[str, Any]]) -> None:
    labels = [
        m["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
        for m in manifests
        if m["kind"] in {"Deployment", "Job"}
    ]
    budgets = [m for m in manifests if m["kind"] == "PodDisruptionBudget"]
    assert {b["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] for b in budgets} <= set(labels)
    assert len(budgets) == 3
    (service,) = (m for m in manifests if m["kind"] == "Service")
    assert service["spec"]["selector"]["app.kubernetes.io/name"] == "api"


def test_the_worker_for_gpus_goes_to_a_node_with_one(workloads: dict[str, Any]) -> None:
    pod = workloads["worker-gpu"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert container(pod)["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_the_images_are_those_that_the_dockerfile_builds(workloads: dict[str, Any], services: dict[str, Any]) -> None:
    images = {name: container(pod)["image"] for name, pod in workloads.items()}
    targets = {"lookbook-api:latest": "api", "lookbook:latest": "serve", "lookbook-gpu:latest": "gpu"}
    assert {name: targets[image] for name, image in images.items()} == {
        name: service["build"]["target"] for name, service in services.items()
    }


def test_keda_scales_the_workers_by_a_metric_that_the_api_has(workloads: dict[str, Any], tmp_path: Path) -> None:
    (scaled,) = build("keda")
    assert (scaled["apiVersion"], scaled["kind"]) == ("keda.sh/v1alpha1", "ScaledObject")
    spec = scaled["spec"]
    assert spec["scaleTargetRef"]["name"] in workloads
    assert spec["minReplicaCount"] > 0
    (trigger,) = spec["triggers"]
    assert trigger["type"] == "prometheus"
    # No package has the schema of KEDA.
    for found, name in ((spec, "spec"), (spec["fallback"], "fallback"), (trigger["metadata"], "metadata")):
        assert set(found) <= KEDA[name]
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    metric = re.search(r"lookbook_\w+", trigger["metadata"]["query"])
    assert metric
    assert f'"{metric.group()}"' in (PROJECT / "api" / "views" / "metrics.py").read_text("utf-8")
    promtool = shutil.which("promtool")
    if promtool is not None:
        rules = tmp_path / "rules.yml"
        rules.write_text(f"groups: [{{name: a, rules: [{{record: b, expr: '{trigger['metadata']['query']}'}}]}}]")
        command = [promtool, "check", "rules", str(rules)]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
