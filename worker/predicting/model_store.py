"""Model artifacts in the bucket of the installation, from which workers on other hosts get them (docs/adr/0038).

Every file of an artifact is stored under its SHA-256. The manifest names these digests, and the database names the
digest of the manifest. A worker can therefore check everything that it gets against the version that was registered.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

import structlog

from classifier.artifact import INPUT, LABELS, MANIFEST, Artifact, find_artifact
from core.errors import ArtifactInvalid, BlobMissing, ModelUnknown
from core.settings import Settings
from core.trust import count_validation
from core.types import ModelRef
from db.blobs.opening import open_bucket
from db.blobs.store import BlobStore
from db.model_versions import NewModelVersion

log = structlog.get_logger(__name__)


def open_model_store(settings: Settings) -> BlobStore | None:
    """Return the part of the bucket that holds models. None if the installation has no bucket.

    It has a prefix of its own, because the purger must never remove a file of a model that is also somebody's picture.
    """
    return open_bucket(settings, "models") if settings.blobs else None


def store_artifact(store: BlobStore, artifact: Artifact) -> bool:
    """Put an artifact into the store. Return False if it is there already.

    Raises:
        BlobStoreUnavailable, StorageFull: The store does not take it.
    """
    with suppress(BlobMissing):
        store.read(artifact.digest)
        return False
    manifest = artifact.folder / MANIFEST
    for name in json.loads(manifest.read_bytes())["files"]:
        store.put((artifact.folder / name).read_bytes())
    # The manifest comes last: a version whose manifest is in the store is complete.
    store.put(manifest.read_bytes())
    return True


def fetch_artifact(store: BlobStore, ref: ModelRef, digest: str, models: Path) -> Artifact:
    """Get the artifact with this digest from the store, and return it from the folder `models`, where it stays.

    Raises:
        ModelUnknown: The store does not have it.
        ArtifactInvalid: Its manifest names files outside its folder, or is not one of `ref`.
        BlobStoreUnavailable, StorageFull: The store does not answer, or this machine has no room.
    """
    folder = models / ref.name / ref.version
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder.parent) as temporary:
        # The parent of an artifact has the name of its model.
        unfinished = Path(temporary) / ref.name / ref.version
        try:
            _write(store, digest, unfinished)
        except BlobMissing as error:
            raise ModelUnknown(f"no artifact {ref} with the digest {digest} in the bucket: {error.detail}") from error
        Artifact.open(unfinished)
        found = find_fetched(ref, digest, models)
        # If another worker of this host was faster, it may use its folder already.
        if found is None:
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
    log.info("model_fetched", model=str(ref), digest=digest)
    return Artifact.open(folder)


def open_registered(settings: Settings, ref: ModelRef, registered: str | None) -> Artifact:
    """Return an artifact from the folder of models. If it is not there, get the registered one from the bucket.

    `registered` is the digest under which the database knows it. None: it does not.

    Raises:
        ModelUnknown: neither this machine nor the bucket has it.
        ArtifactInvalid: the files do not match the manifest, or not the registered version.
        BlobStoreUnavailable, StorageFull: it cannot be got from the bucket.
    """
    try:
        artifact = find_artifact(settings.models, ref)
    except ModelUnknown:
        store = open_model_store(settings)
        if store is None or registered is None:
            raise
        fetched = settings.fetched_models_folder
        artifact = find_fetched(ref, registered, fetched) or fetch_artifact(store, ref, registered, fetched)
    if registered not in (None, artifact.digest):
        raise ArtifactInvalid(
            f"{artifact.folder}: expected the files that were registered as {ref} (SHA-256 {registered} of "
            f"{MANIFEST}), got others ({artifact.digest}); publish them as a new version"
        )
    return artifact


def describe(artifact: Artifact) -> NewModelVersion:
    """Return the description of an artifact that the database stores."""
    return NewModelVersion(
        ref=artifact.ref,
        digest=artifact.digest,
        taxonomy=json.loads((artifact.folder / LABELS).read_text("utf-8")),
        input=json.loads((artifact.folder / INPUT).read_text("utf-8")),
        metrics=artifact.metrics,
        card=artifact.card,
        validation=_validation(artifact),
    )


def _validation(artifact: Artifact) -> dict[str, list[list[int]]] | None:
    """Return how far the predictions of an artifact are right on its validation pictures. None: it does not say."""
    reference = artifact.reference()
    if reference is None:
        return None
    ids = [label.id for label in artifact.taxonomy.labels]
    return count_validation(reference.validation_scores, reference.validation_labels, ids)


def find_fetched(ref: ModelRef, digest: str, models: Path) -> Artifact | None:
    """Return the artifact with this digest if this machine got it before, otherwise None."""
    with suppress(ModelUnknown, ArtifactInvalid):
        artifact = find_artifact(models, ref)
        if artifact.digest == digest:
            return artifact
    return None


def _write(store: BlobStore, digest: str, folder: Path) -> None:
    manifest = store.read(digest)
    files: dict[str, Any] = json.loads(manifest)["files"]
    for name, entry in files.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ArtifactInvalid(f"{MANIFEST}: expected names of files in the artifact, got {name!r}")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.read(entry["sha256"]))
    (folder / MANIFEST).write_bytes(manifest)
