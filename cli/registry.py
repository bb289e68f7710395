"""Register the artifacts of a folder in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from classifier.artifact import list_artifacts
from core.clock import utc_now
from core.errors import ArtifactInvalid
from core.settings import Settings
from core.types import ModelRef
from db import model_versions
from db.database import Database
from worker.predicting.model_store import describe, open_model_store, store_artifact


def register_models(
    settings: Settings, database: Database, leave_out: Callable[[ArtifactInvalid], object] | None = None
) -> list[ModelRef]:
    """Register every artifact of `settings.models`. Artifacts that are registered already do not change.

    If the installation has a bucket, the artifacts are stored there first, so that workers on other hosts get them.

    `leave_out` is called for each invalid artifact, which is not registered.

    Raises:
        ArtifactInvalid: an artifact is invalid, and `leave_out` is None.
        BlobStoreUnavailable, StorageFull: the bucket does not take an artifact.
    """
    artifacts = list_artifacts(settings.models, leave_out)
    store = open_model_store(settings)
    if store is not None:
        for artifact in artifacts:
            store_artifact(store, artifact)
    with database.writing() as session:
        for artifact in artifacts:
            model_versions.register(session, describe(artifact), utc_now())
    return [artifact.ref for artifact in artifacts]


def replace_missing_production(database: Database, present: Sequence[ModelRef]) -> ModelRef | None:
    """Promote another version if the artifact of `production` is not among those `present`.

    Only for an installation on one machine: elsewhere another machine may have the artifact. The newest version of the
    same name is preferred, then the newest of any name. Return the promoted version, or None if nothing changed.
    """
    with database.writing() as session:
        aliases = model_versions.list_aliases(session)
        available = {str(ref) for ref in present}
        if not available or aliases.get(model_versions.PRODUCTION) in available | {None}:
            return None
        missing = ModelRef.parse(aliases[model_versions.PRODUCTION])
        rows = [row for row in model_versions.list_all(session) if row.ref in available]
        newest = next((row for row in rows if row.name == missing.name), rows[0])
        model_versions.promote(session, newest)
        return ModelRef(newest.name, newest.version)
