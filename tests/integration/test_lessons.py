"""Lessons: what a worker computes from reviews and stored vectors, and who may ask for it.

The vectors are those of the validation pictures that the default model brings. No picture is stored for them, so
nothing here could open one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from api.app import LookbookApp
from broker.client import Broker
from classifier.artifact import Artifact, find_artifact, list_artifacts
from classifier.reference import Reference
from core.clock import utc_now
from core.messages import Queue
from core.settings import Settings
from core.types import ModelRef
from core.vectors import encode
from db import model_versions
from db.blobs.local import LocalBlobStore
from db.database import Database
from db.steps import lessons, rerunning, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.recording import NewPrediction, Outcome
from db.steps.submitting import NewItem, NewJob
from db.tables import Item, JobSource, LessonStatus, Prediction, Scope, Vector
from db.views.item_pages import ItemFilter
from tests.artifacts import publish_with_precisions
from tests.conftest import RunningRedis
from tests.integration.apps import bearer, body_of, refused, serving
from tests.integration.builders import (
    POLICY,
    WORKER,
    a_blob,
    a_key,
    a_model,
    delete_job,
    queued,
    record_chunk,
    review,
)
from worker.decoding.decoder import DecoderLimits
from worker.decoding.pool import DecoderPool
from worker.leases import HeldLeases
from worker.lessons.giver import LessonGiver
from worker.predicting.model_store import describe
from worker.predicting.models import ModelCache
from worker.stages.classifying import ClassifyStage

PICTURES = 120
HAT, SHOES = "hat", "shoes"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the default model."""
    folder = tmp_path_factory.mktemp("models")
    publish_with_precisions(folder)
    return folder


@pytest.fixture
def taught_settings(settings: Settings, models: Path, tmp_path: Path) -> Settings:
    shutil.copytree(models, tmp_path / "models")
    return settings.with_changes(models=tmp_path / "models")


@pytest.fixture
def app(taught_settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(taught_settings, database) as made:
        yield made


@pytest.fixture(scope="module")
def artifact(models: Path) -> Artifact:
    return list_artifacts(models)[-1]


@pytest.fixture(scope="module")
def reference(artifact: Artifact) -> Reference:
    found = artifact.reference()
    assert found is not None
    return found


@pytest.fixture
def giver(database: Database, taught_settings: Settings) -> LessonGiver:
    return LessonGiver(database, taught_settings)


@pytest.fixture
def job_id(database: Database, artifact: Artifact, reference: Reference) -> str:
    return a_classified_job(database, artifact, reference, range(PICTURES))


def a_classified_job(
    database: Database, artifact: Artifact, reference: Reference, numbers: range, owner: str | None = None
) -> str:
    """Create a job whose pictures have the vectors and the scores of validation pictures of the model."""
    labels = artifact.taxonomy.labels
    policy = POLICY.__class__(size=len(numbers), window=2, deadlines=POLICY.deadlines)
    with database.writing() as session:
        version = model_versions.register(session, describe(artifact), utc_now())
        new = NewJob("vectors", JobSource.UPLOADS, version, key_id=owner)
        items = [NewItem(f"{number}.jpg", a_blob(f"vector {number}")) for number in numbers]
        job, messages = submitting.create_with_chunks(session, new, items, policy, utc_now())
        outcomes = {}
        for number in numbers:
            scores = reference.validation_scores[number].astype(float)
            label = labels[int(scores.argmax())]
            vector = encode(reference.validation_embeddings[number].astype(np.float32))
            prediction = NewPrediction(scores.tolist(), label.id, label.group, float(scores.max()), vector)
            outcomes[a_blob(f"vector {number}").sha256, ""] = Outcome(new_prediction=prediction)
        while messages:
            messages += record_chunk(session, messages.pop(0), outcomes, policy=policy).next_chunks
    return job.id


def true_labels(artifact: Artifact, reference: Reference, count: int = PICTURES) -> dict[int, str | None]:
    """Return the true labels of the job's items, by position."""
    ids = artifact.taxonomy.label_ids
    return {number: ids[int(label)] for number, label in enumerate(reference.validation_labels[:count])}


def ask(client: FlaskClient, giver: LessonGiver, **members: Any) -> dict[str, Any]:
    """Create a lesson, let the worker compute it, and return it."""
    answer = client.post("/v1/lessons", json=members)
    assert answer.status_code == 202, answer.text
    assert body_of(answer)["status"] == "queued"
    giver.run_pending()
    return body_of(client.get(answer.headers["Location"]))


def test_reviews_teach_a_version_that_is_an_ordinary_artifact(
    client: FlaskClient,
    giver: LessonGiver,
    job_id: str,
    artifact: Artifact,
    reference: Reference,
    database: Database,
    taught_settings: Settings,
) -> None:
    review(database, job_id, true_labels(artifact, reference))
    lesson = ask(client, giver, kind="teach", jobs=[job_id])
    assert (lesson["status"], lesson["published"], lesson["error"]) == ("completed", "garments-taught@1", None)
    taught = lesson["taught"]
    assert taught["reviews"] == PICTURES
    assert taught["accuracy"] > 0.8
    low, high = taught["intervals"]["accuracy"]
    assert low <= taught["accuracy"] <= high
    assert {row["id"] for row in taught["labels"]} == set(artifact.taxonomy.label_ids)
    assert [point["reviews"] for point in taught["curve"]] == [24, 48, 96]
    assert taught["advice"][0]["more"] == 50
    published = find_artifact(taught_settings.models, ModelRef("garments-taught", "1"))
    assert published.metrics["precisions"]["int8"]["pictures"] > 100
    described = body_of(client.get("/v1/models/garments-taught/1"))
    assert described["aliases"] == []
    assert described["metrics"]["taught"]["from"] == str(artifact.ref)
    # The second lesson starts from the first version, and publishes under the same name.
    again = ask(client, giver, kind="teach", jobs=[job_id], model="garments-taught@1")
    assert again["published"] == "garments-taught@2"


def test_own_labels_are_taught_beside_those_of_the_model(
    client: FlaskClient, giver: LessonGiver, job_id: str, artifact: Artifact, reference: Reference, database: Database
) -> None:
    own = [
        {"id": "footwear", "group": "accessories", "name": {"ko": "신발류"}},
        {"id": "rare", "group": "tops", "name": {"en": "R"}},
    ]
    assert client.put("/v1/taxonomy", json={"labels": own}).status_code == 200
    labels = true_labels(artifact, reference)
    renamed = {number: "footwear" if label == SHOES else label for number, label in labels.items()}
    first = next(number for number, label in renamed.items() if label == "t-shirt")
    review(database, job_id, renamed | {first: "rare"})
    lesson = ask(client, giver, kind="teach", jobs=[job_id])
    rows = {row["id"]: row for row in lesson["taught"]["labels"]}
    assert rows["footwear"]["recall"] > 0.8
    assert rows["footwear"]["kept"] == 0
    assert rows["t-shirt"]["kept"] > 100
    # Its training pictures would contradict the reviews.
    assert lesson["taught"]["replaced"] == [SHOES]
    assert SHOES not in rows
    # One reviewed picture teaches no label.
    assert "rare" not in rows
    assert lesson["taught"]["left_out"]["too_few_reviews"] >= 1
    named = body_of(client.get("/v1/labels?model=garments-taught@1"))["labels"]
    assert {row["id"]: row["names"]["ko"] for row in named}["footwear"] == "신발류"


def test_pictures_for_which_no_label_fits_are_counted_or_become_a_label(
    client: FlaskClient, giver: LessonGiver, job_id: str, artifact: Artifact, reference: Reference, database: Database
) -> None:
    labels = true_labels(artifact, reference)
    hats = [number for number, label in labels.items() if label == HAT]
    own = [{"id": "other", "group": "tops", "name": {"en": "Other"}}]
    assert client.put("/v1/taxonomy", json={"labels": own}).status_code == 200
    review(database, job_id, {**labels, **dict.fromkeys(hats)})
    left_out = ask(client, giver, kind="teach", jobs=[job_id], keep_labels=False)["taught"]
    too_few = left_out["left_out"].get("too_few_reviews", 0)
    assert (left_out["rejected"], left_out["reviews"]) == (len(hats), PICTURES - len(hats) - too_few)
    assert 0 < left_out["rejected_confidence"] < 1
    as_other = ask(client, giver, kind="teach", jobs=[job_id], keep_labels=False, rejected_as="other")["taught"]
    if len(hats) >= 5:
        assert {row["id"]: row["reviews"] for row in as_other["labels"]}["other"] == len(hats)
    assert as_other["rejected_confidence"] is None
    answer = client.post("/v1/lessons", json={"kind": "teach", "jobs": [job_id], "rejected_as": "nothing"})
    assert refused(answer, 422, "unknown_label")


def test_a_version_says_what_it_would_change_before_it_is_used(
    client: FlaskClient, giver: LessonGiver, job_id: str, artifact: Artifact, reference: Reference, database: Database
) -> None:
    same = ask(client, giver, kind="rescore", model=str(artifact.ref), jobs=[job_id])["rescored"]
    assert (same["items"], same["without_vector"]) == (PICTURES, 0)
    # Vectors are float16, so a label may change whose score is next to equal.
    assert same["changed"] <= 1
    labels = true_labels(artifact, reference)
    own = [{"id": "kicks", "group": "accessories", "name": {"en": "Kicks"}}]
    assert client.put("/v1/taxonomy", json={"labels": own}).status_code == 200
    review(database, job_id, {number: "kicks" if label == SHOES else label for number, label in labels.items()})
    taught = ask(client, giver, kind="teach", jobs=[job_id], keep_labels=False)
    later = a_classified_job(database, artifact, reference, range(PICTURES, PICTURES + 60))
    review(database, later, {0: true_labels(artifact, reference, PICTURES + 1)[PICTURES]})
    found = ask(client, giver, kind="rescore", model=taught["published"])["rescored"]
    assert found["items"] == PICTURES + 60
    flow = next(row for row in found["flows"] if row["after"] == "kicks")
    assert flow["before"] == SHOES
    shoes = {item["id"] for item in body_of(client.get(f"/v1/jobs/{job_id}/items?limit=200&predicted={SHOES}"))["data"]}
    assert shoes & set(flow["items"])
    assert found["right_after"] > found["right_before"]
    assert (found["reviewed"], found["new_reviewed"]) == (PICTURES + 1, 1)
    assert sum(row["count"] for row in found["flows"]) == found["changed"]


def test_reviews_calibrate_a_version_which_changes_no_label(
    client: FlaskClient,
    giver: LessonGiver,
    job_id: str,
    artifact: Artifact,
    reference: Reference,
    database: Database,
    taught_settings: Settings,
) -> None:
    review(database, job_id, true_labels(artifact, reference))
    lesson = ask(client, giver, kind="calibrate", jobs=[job_id])
    assert (lesson["status"], lesson["error"]) == ("completed", None)
    name, _, number = lesson["published"].partition("@")
    assert (name, int(number)) == (artifact.ref.name, int(artifact.ref.version) + 1)
    calibrated = lesson["calibrated"]
    published = find_artifact(taught_settings.models, ModelRef(name, number))
    assert published.metrics["temperature"] == calibrated["temperature"]
    found = ask(client, giver, kind="rescore", model=lesson["published"], jobs=[job_id])["rescored"]
    assert (found["items"], found["changed"] <= 1) == (PICTURES, True)


def test_a_lesson_that_cannot_be_learned_fails_and_says_why(
    client: FlaskClient, giver: LessonGiver, job_id: str, database: Database
) -> None:
    lesson = ask(client, giver, kind="teach", jobs=[job_id], keep_labels=False)
    assert lesson["status"] == "failed"
    assert "got 0 usable reviews of 0 labels" in lesson["error"]
    review(database, job_id, {0: HAT, 1: SHOES})
    with database.writing() as session:
        for row in session.scalars(select(Vector)):
            session.delete(row)
    lesson = ask(client, giver, kind="teach", jobs=[job_id])
    assert "2 no_vector" in lesson["error"]


def test_models_without_an_embedding_are_refused(client: FlaskClient, database: Database) -> None:
    with database.writing() as session:
        job = submitting.create(session, NewJob("old", JobSource.UPLOADS, a_model(session)), [], utc_now())
    for kind in ("teach", "rescore"):
        answer = client.post("/v1/lessons", json={"kind": kind, "jobs": [job.id], "model": "test@1"})
        assert refused(answer, 409, "lesson_refused")
        assert "the model test@1 has no embedding output" in answer.get_json()["detail"]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"kind": "teach", "jobs": []}, "at least one job"),
        ({"kind": "rescore"}, "expected `model`"),
        ({"kind": "learn", "jobs": ["x"]}, "kind"),
        ({"kind": "teach", "jobs": ["x"], "name": "../a"}, "name"),
    ],
)
def test_lessons_that_make_no_sense_are_refused(client: FlaskClient, members: dict[str, Any], words: str) -> None:
    answer = client.post("/v1/lessons", json=members)
    assert refused(answer, 422, "invalid_request")
    assert words in answer.get_json()["detail"]


def test_owners_teach_from_their_own_jobs_under_names_of_their_own(
    client: FlaskClient,
    giver: LessonGiver,
    artifact: Artifact,
    reference: Reference,
    database: Database,
) -> None:
    (owner, first), (_, second) = (a_key(database, Scope.SUBMIT, Scope.READ) for _ in range(2))
    job_id = a_classified_job(database, artifact, reference, range(PICTURES), owner)
    review(database, job_id, true_labels(artifact, reference))
    members = {"kind": "teach", "jobs": [job_id]}
    assert refused(client.post("/v1/lessons", json=members, headers=bearer(second)), 404, "unknown_job")
    # A new version of a shared name would concern everybody who uses the name.
    answer = client.post("/v1/lessons", json=members | {"name": "garments"}, headers=bearer(first))
    assert refused(answer, 403, "name_taken")
    created = client.post("/v1/lessons", json=members, headers=bearer(first))
    giver.run_pending()
    path = created.headers["Location"]
    assert body_of(client.get(path, headers=bearer(first)))["published"] == "garments-taught@1"
    assert refused(client.get(path, headers=bearer(second)), 404, "unknown_lesson")
    assert body_of(client.get("/v1/lessons", headers=bearer(second)))["data"] == []
    everything = client.post(
        "/v1/lessons", json={"kind": "rescore", "model": "garments-taught@1"}, headers=bearer(second)
    )
    giver.run_pending()
    found = body_of(client.get(everything.headers["Location"], headers=bearer(second)))
    assert (found["jobs"], found["rescored"]["items"]) == ([], 0)


def test_a_lesson_goes_on_elsewhere_when_its_worker_dies_and_fails_after_the_second(
    client: FlaskClient, job_id: str, database: Database, artifact: Artifact
) -> None:
    path = client.post("/v1/lessons", json={"kind": "rescore", "model": str(artifact.ref), "jobs": [job_id]}).headers[
        "Location"
    ]
    now = utc_now()
    with database.writing() as session:
        assert lessons.take(session, now) is not None
        assert lessons.take(session, now) is None
    later = now + lessons.LEASE
    with database.writing() as session:
        assert lessons.take(session, later) is not None
    with database.writing() as session:
        assert lessons.take(session, later + lessons.LEASE) is None
    body = body_of(client.get(path))
    assert (body["status"], body["error"]) == (LessonStatus.FAILED.value, "2 workers ended while they computed it")


def test_unfinished_lessons_of_one_owner_are_limited(client: FlaskClient, job_id: str, artifact: Artifact) -> None:
    members = {"kind": "rescore", "model": str(artifact.ref), "jobs": [job_id]}
    for _ in range(lessons.MAX_UNFINISHED):
        assert client.post("/v1/lessons", json=members).status_code == 202
    assert refused(client.post("/v1/lessons", json=members), 409, "lesson_refused")


def test_deleted_jobs_teach_nothing(
    client: FlaskClient, giver: LessonGiver, job_id: str, database: Database, artifact: Artifact, reference: Reference
) -> None:
    review(database, job_id, true_labels(artifact, reference))
    path = client.post("/v1/lessons", json={"kind": "teach", "jobs": [job_id]}).headers["Location"]
    delete_job(database, job_id)
    giver.run_pending()
    assert "got 0 usable reviews" in body_of(client.get(path))["error"]


def test_copies_of_a_picture_and_shots_of_a_product_are_one_group(
    job_id: str, database: Database, artifact: Artifact, reference: Reference
) -> None:
    from db.views.lessons import read_reviewed
    from worker.lessons.examples import groups_of

    review(database, job_id, dict.fromkeys(range(6), HAT))
    with database.writing() as session:
        items = list(session.scalars(select(Item).where(Item.job_id == job_id).order_by(Item.position).limit(6)))
        items[1].duplicate_of = items[0].id
        for item in (items[2], items[3]):
            item.product_id = "p1"
    with database.reading() as session:
        groups = groups_of(read_reviewed(session, [job_id])).tolist()
    assert groups == [0, 0, 2, 2, 4, 5]


def test_a_taught_version_classifies_from_stored_vectors_without_opening_a_picture(
    client: FlaskClient,
    giver: LessonGiver,
    job_id: str,
    artifact: Artifact,
    reference: Reference,
    database: Database,
    taught_settings: Settings,
    broker: Broker,
    redis: RunningRedis,
) -> None:
    review(database, job_id, true_labels(artifact, reference))
    published = ask(client, giver, kind="teach", jobs=[job_id])["published"]
    told = ask(client, giver, kind="rescore", model=published, jobs=[job_id])["rescored"]
    policy = ChunkPolicy.of(taught_settings)
    with database.writing() as session:
        version = model_versions.resolve(session, published)
        items = rerunning.read_items(session, job_id, ItemFilter(), None, PICTURES, with_regions=False)
        new = NewJob("again", JobSource.RERUN, version, rerun_of=job_id)
        job, messages = submitting.create_with_chunks(session, new, items, policy, utc_now())
    limits = DecoderLimits(30, 2**32)
    decoders = DecoderPool(LocalBlobStore(taught_settings.blobs_folder), 1, limits, 8, artifact.input.byte_count)
    models = ModelCache(taught_settings)
    stage = ClassifyStage(database, broker, models, decoders, HeldLeases(database, WORKER, policy), policy)
    while messages:
        for message in messages:
            stage.work_on(message)
        messages = queued(redis, Queue.BULK)
    decoders.close()
    models.close()
    # The bytes of no picture are stored, so opening one would have failed its item.
    body = body_of(client.get(f"/v1/jobs/{job.id}"))
    assert (body["counts"]["succeeded"], body["counts"]["failed"]) == (PICTURES, 0)
    found = body_of(client.get(f"/v1/jobs/{job_id}/compare?with={job.id}"))
    with database.reading() as session:
        assert session.scalar(select(func.count()).where(Vector.model_version_id == version.id)) == PICTURES
        pairs = session.execute(
            select(Prediction.blob_sha256, Prediction.label).where(Prediction.model_version_id != version.id)
        )
        before = {row.blob_sha256: row.label for row in pairs}
        after = session.execute(
            select(Prediction.blob_sha256, Prediction.label).where(Prediction.model_version_id == version.id)
        )
        assert sum(before[row.blob_sha256] != row.label for row in after) == told["changed"]
    assert found["only_here"] == found["only_there"] == 0
