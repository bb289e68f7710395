"""A worker on a host without the artifact of a model gets it from the bucket, and checks every byte of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from classifier.artifact import MANIFEST, list_artifacts
from cli.registry import register_models
from core.errors import ArtifactInvalid, ModelUnknown
from core.settings import Settings
from db.blobs.opening import open_blob_store
from db.database import Database
from db.model_versions import registered_digest
from tests.conftest import RunningS3
from worker.predicting.model_store import fetch_artifact, open_model_store, store_artifact
from worker.predicting.models import ModelCache

ARTIFACT = list_artifacts(Settings().models)[-1]


@pytest.fixture
def host(settings: Settings, s3: RunningS3, tmp_path: Path) -> Settings:
    """The settings of a host with a bucket and without models."""
    return settings.with_changes(blobs=f"s3://{s3.make_bucket()}/pictures", models=tmp_path / "no models")


def test_a_worker_loads_a_model_that_another_host_has_registered(host: Settings, database: Database) -> None:
    register_models(host.with_changes(models=Settings().models), database)
    models = ModelCache(host, lambda ref: registered_digest(database, ref))
    try:
        with models.using(ARTIFACT.ref) as model:
            assert model.artifact.digest == ARTIFACT.digest
            assert model.artifact.folder.is_relative_to(host.home)
    finally:
        models.close()


def test_a_fetched_model_stays_and_is_stored_only_once(host: Settings) -> None:
    store = open_model_store(host)
    assert store is not None
    assert store_artifact(store, ARTIFACT)
    assert not store_artifact(store, ARTIFACT)
    folder = host.fetched_models_folder
    first = fetch_artifact(store, ARTIFACT.ref, ARTIFACT.digest, folder)
    assert fetch_artifact(store, ARTIFACT.ref, ARTIFACT.digest, folder) == first
    assert [path.name for path in folder.glob("*/*")] == [ARTIFACT.ref.version]


def test_deleting_a_picture_with_the_bytes_of_a_models_file_keeps_the_model(host: Settings) -> None:
    store, pictures = open_model_store(host), open_blob_store(host)
    assert store is not None
    store_artifact(store, ARTIFACT)
    plot = (ARTIFACT.folder / "card.md").read_bytes()
    pictures.delete([pictures.put(plot)])
    assert fetch_artifact(store, ARTIFACT.ref, ARTIFACT.digest, host.fetched_models_folder).card == plot.decode()


def test_a_model_that_is_in_no_bucket_is_unknown(host: Settings) -> None:
    store = open_model_store(host)
    assert store is not None
    with pytest.raises(ModelUnknown, match="in the bucket"):
        fetch_artifact(store, ARTIFACT.ref, ARTIFACT.digest, host.fetched_models_folder)
    assert list(host.fetched_models_folder.glob("*/*")) == []


def test_a_manifest_that_names_a_file_elsewhere_is_refused(host: Settings) -> None:
    store = open_model_store(host)
    assert store is not None
    for name in ("../../escaped", "/tmp/escaped"):
        digest = store.put(b'{"files": {"%s": {"sha256": "%s"}}}' % (name.encode(), b"0" * 64))
        with pytest.raises(ArtifactInvalid, match="names of files in the artifact"):
            fetch_artifact(store, ARTIFACT.ref, digest, host.fetched_models_folder)


def test_damaged_bytes_of_a_model_are_not_loaded(host: Settings) -> None:
    store = open_model_store(host)
    assert store is not None
    store_artifact(store, ARTIFACT)
    digest = ARTIFACT.digest
    bucket = S3Store.from_url(f"{host.blobs}/models", client_options={"allow_http": True})
    obstore.put(bucket, f"{digest[:2]}/{digest}", b"damaged")
    with pytest.raises(ModelUnknown, match="had another SHA-256"):
        fetch_artifact(store, ARTIFACT.ref, digest, host.fetched_models_folder)
    # The next `lookbook db upgrade` mends the bucket.
    assert store_artifact(store, ARTIFACT)
    assert fetch_artifact(store, ARTIFACT.ref, digest, host.fetched_models_folder).digest == digest


def test_a_changed_copy_on_a_host_is_replaced(host: Settings, database: Database) -> None:
    register_models(host.with_changes(models=Settings().models), database)
    copy = host.fetched_models_folder / ARTIFACT.ref.name / ARTIFACT.ref.version
    shutil.copytree(ARTIFACT.folder, copy)
    (copy / MANIFEST).write_text("{}")
    models = ModelCache(host, lambda ref: registered_digest(database, ref))
    models.load(ARTIFACT.ref)
    models.close()
    assert (copy / MANIFEST).read_bytes() == (ARTIFACT.folder / MANIFEST).read_bytes()
