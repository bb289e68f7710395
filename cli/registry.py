"""Making the artifacts in a folder known to the database."""

from __future__ import annotations

import json
from collections.abc import Sequence

from classifier.artifact import Artifact, list_artifacts
from core.clock import utc_now
from core.settings import Settings
from core.types import ModelRef
from db import model_versions
from db.database import Database
from db.model_versions import NewModelVersion


def register_models(settings: Settings, database: Database) -> list[ModelRef]:
    """Register every artifact of `settings.models`; those that are known already stay as they are."""
    artifacts = list_artifacts(settings.models)
    with database.writing() as session:
        for artifact in artifacts:
            model_versions.register(session, _described(artifact), utc_now())
    return [artifact.ref for artifact in artifacts]


def replace_missing_production(database: Database, present: Sequence[ModelRef]) -> ModelRef | None:
    """Where one machine is everything: if production's artifact is not among those `present`, another takes over.

    That is the newest version of its name, or else of any; None if nothing had to change.
    """
    with database.writing() as session:
        aliases = model_versions.list_aliases(session)
        here = {str(ref) for ref in present}
        if not here or aliases.get(model_versions.PRODUCTION) in here | {None}:
            return None
        gone = ModelRef.parse(aliases[model_versions.PRODUCTION])
        rows = [row for row in model_versions.list_all(session) if row.ref in here]
        newest = next((row for row in rows if row.name == gone.name), rows[0])
        model_versions.promote(session, newest)
        return ModelRef(newest.name, newest.version)


def _described(artifact: Artifact) -> NewModelVersion:
    return NewModelVersion(
        ref=artifact.ref,
        digest=artifact.digest,
        taxonomy=json.loads((artifact.folder / "labels.json").read_text("utf-8")),
        input=json.loads((artifact.folder / "input.json").read_text("utf-8")),
        metrics=artifact.metrics,
        card=artifact.card,
    )
