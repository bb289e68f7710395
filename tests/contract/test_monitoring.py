"""Alert rules, the dashboard and the documentation of the metrics agree with each other and with the code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from core import metrics
from core.settings import PROJECT
from tests.conftest import skip_without

RULES = PROJECT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = PROJECT / "deploy" / "grafana" / "dashboards" / "lookbook.json"
PAGE = (PROJECT / "docs" / "operations.md").read_text("utf-8")
VIEW = (PROJECT / "api" / "views" / "metrics.py").read_text("utf-8")


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    binary = shutil.which("promtool")
    if binary is None:
        skip_without("promtool")
    return subprocess.run([binary, *arguments], capture_output=True, text=True, check=False)


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def names_in(text: str) -> set[str]:
    """Return the metrics that a text names, without the suffixes of histograms."""
    found = re.findall(r"lookbook_[a-z_]+", text)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


def served() -> set[str]:
    """Return the metrics that the code has."""
    counted = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in metrics.REGISTRY.collect()
    }
    in_the_view = {re.sub(r"_dead_letters$", "_dead_letters_total", name) for name in names_in(VIEW)}
    return counted | in_the_view


def test_promtool_accepts_the_rules() -> None:
    checked = promtool("check", "rules", str(RULES))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_healthy_service_raises_no_alert_and_each_fault_its_own(tmp_path: Path) -> None:
    tests = tmp_path / "alerts.yml"
    tests.write_text((PROJECT / "tests" / "contract" / "alerts.yml").read_text("utf-8").replace("RULES", str(RULES)))
    checked = promtool("test", "rules", str(tests))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_has_a_runbook_line_and_every_line_an_alert() -> None:
    section = PAGE.partition("## Alerts")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `(Lookbook\w+)` \| [^|]+ \| [^|]*`[^|]+`[^|]*\|$", section, re.MULTILINE)
    assert sorted(lines) == sorted(rule["alert"] for rule in rules())


@pytest.mark.parametrize("text", [*queries(), *(rule["expr"] for rule in rules())])
def test_a_query_names_only_metrics_that_exist(text: str) -> None:
    assert names_in(text) <= served()


def test_the_documentation_lists_every_metric_and_no_other() -> None:
    section = PAGE.partition("## Metrics")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `(lookbook_\w+)", section, re.MULTILINE)
    assert sorted(documented) == sorted(served())


def test_the_dashboard_uses_the_data_source_that_is_provisioned() -> None:
    (source,) = yaml.safe_load((PROJECT / "deploy/grafana/datasources/prometheus.yml").read_text("utf-8"))[
        "datasources"
    ]
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    assert {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"} == {source["uid"]}
    assert len({panel["id"] for panel in panels}) == len(panels)
