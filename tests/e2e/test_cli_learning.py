"""Commands that trust, hint, search for look-alikes and teach, on a service with a folder of models of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from lookbook import Client
from lookbook.errors import LessonFailed
from tests.conftest import SAMPLES, RunningService
from tests.e2e.test_teaching_flow import service_with_own_models

__all__ = ["service_with_own_models"]

Run = Callable[..., Result]


@pytest.fixture
def run(service_with_own_models: RunningService) -> Run:
    def run_(*arguments: str) -> Result:
        return CliRunner(env={"LOOKBOOK_URL": service_with_own_models.url, "COLUMNS": "200"}).invoke(
            app, list(arguments)
        )

    return run_


@pytest.fixture(scope="module")
def client(service_with_own_models: RunningService) -> Iterator[Client]:
    with Client(service_with_own_models.url) as opened:
        yield opened


@pytest.fixture(scope="module")
def job_id(client: Client) -> str:
    """A finished job of all samples, 20 of which are reviewed as predicted."""
    job = client.submit_uploads(sorted(SAMPLES.iterdir())).wait()
    for item in list(job.items())[:20]:
        assert item.prediction is not None
        client.review(item, label=item.prediction.label.id)
    return job.id


def test_predictions_are_trusted_accepted_and_looked_at_again(run: Run, job_id: str) -> None:
    shown = run("trust", job_id)
    assert "all labels" in shown.stdout
    assert "estimated from 341 validation pictures of garments@4" in shown.stdout
    assert json.loads(run("trust", job_id, "--json").stdout)["reviews"] == 20
    assert all(line.startswith("itm_") for line in run("trust", job_id, "--next-reviews").stdout.split())
    accepted = run("accept", job_id, "--threshold", "0.5")
    assert "items are accepted by the policy" in accepted.stdout
    assert "a policy accepts" in run("trust", job_id).stdout
    assert run("unaccept", job_id).exit_code == 0
    assert json.loads(run("accept", job_id, "--by-label", "--json").stdout)["thresholds"]
    both = run("accept", job_id, "--by-label", "--threshold", "0.5")
    assert both.exit_code == 2
    assert "either --threshold or --by-label" in both.output


def test_hints_are_computed_and_listed(run: Run, job_id: str) -> None:
    assert "doubt" in run("hints", job_id, "--again").stdout
    assert {row["kind"] for row in json.loads(run("hints", job_id, "--json").stdout)["hints"]} >= {"doubt", "diverse"}


def test_look_alikes_of_an_item_and_of_a_file_are_listed(run: Run, client: Client, job_id: str) -> None:
    item = next(client.job(job_id).items())
    assert item.id not in run("similar", item.id, "--limit", "5").stdout
    found = json.loads(
        run("similar", str(SAMPLES / "coat-camel.jpg"), "--job", job_id, "--limit", "3", "--json").stdout
    )
    assert found["data"][0]["item"]["source"]["name"] == "coat-camel.jpg"
    assert found["data"][0]["similarity"] == pytest.approx(1.0, abs=0.01)


def test_own_labels_are_added_listed_replaced_and_removed(run: Run, tmp_path: Path) -> None:
    added = run("taxonomy", "add", "scarf", "--group", "extras", "--name", "ko=스카프", "--group-name", "en=Extras")
    assert "스카프" in added.stdout
    assert "Extras" in run("taxonomy").stdout
    wrong = run("taxonomy", "add", "hoodie", "--group", "extras", "--name", "Hoodie")
    assert wrong.exit_code == 2
    assert "expected LANGUAGE=NAME" in wrong.output
    written = tmp_path / "labels.json"
    written.write_text(run("taxonomy", "--json").stdout, "utf-8")
    assert "expected one of your labels (scarf)" in run("taxonomy", "remove", "hat").output
    assert "no labels of your own" in run("taxonomy", "remove", "scarf").output
    written.write_text('{"labels": [{"id": "belt", "group": "tops", "name": {"en": "Belt"}}]}')
    assert "Belt" in run("taxonomy", "set", str(written)).stdout
    written.write_text("[]")
    assert run("taxonomy", "set", str(written)).exit_code == 2
    run("taxonomy", "remove", "belt")


def test_reviews_teach_a_version_and_its_changes_are_shown(run: Run, job_id: str) -> None:
    taught = run("teach", job_id)
    assert taught.exit_code == 0, taught.output
    assert "20 reviews taught 10 labels" in taught.stdout
    assert "published garments-taught@" in taught.stdout
    version = taught.stdout.split("published ")[1].split(":")[0]
    changed = run("models", "changes", version, "--job", job_id)
    assert f"{version} would change" in changed.stdout
    assert "right then" in changed.stdout
    listed = run("lessons").stdout
    assert "rescore" in listed
    assert version in listed
    newest = json.loads(run("lessons", "--json").stdout)[0]["id"]
    assert json.loads(run("lessons", newest, "--json").stdout)["kind"] == "rescore"


def test_too_few_reviews_calibrate_nothing(run: Run, job_id: str) -> None:
    refused = run("models", "calibrate", "--job", job_id).exception
    assert isinstance(refused, LessonFailed)
    assert "at least 30 labelled pictures, got 20" in str(refused)
