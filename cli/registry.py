"""Register the artifacts of a folder in the database."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from classifier.artifact import Artifact, list_artifacts
from core.clock import utc_now
from core.errors import ArtifactInvalid
from core.settings import Settings
from core.types import ModelRef
from db import model_versions
from db.database import Database
from db.model_versions import NewModelVersion


def register_models(
    settings: Settings, database: Database, leave_out: Callable[[ArtifactInvalid], object] | None = None
) -> list[ModelRef]:
    """Register every artifact of `settings.models`. Artifacts that are registered already do not change.

    `leave_out` is called for each invalid artifact, which is not registered.

    Raises:
        ArtifactInvalid: an artifact is invalid, and `leave_out` is None.
    """
    artifacts = list_artifacts(settings.models, leave_out)
    with database.writing() as session:
        for artifact in artifacts:
            model_versions.register(session, _new_version(artifact), utc_now())
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


def _new_version(artifact: Artifact) -> NewModelVersion:
    return NewModelVersion(
        ref=artifact.ref,
        digest=artifact.digest,
        taxonomy=json.loads((artifact.folder / "labels.json").read_text("utf-8")),
        input=json.loads((artifact.folder / "input.json").read_text("utf-8")),
        metrics=artifact.metrics,
        card=artifact.card,
    )
