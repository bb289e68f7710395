"""Model versions and their aliases in the database: register, find, list and promote them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import Session

from core.clock import utc_now
from core.errors import ArtifactInvalid, ModelUnknown
from core.item_errors import RegionsNotTaken
from core.types import ModelRef
from db.database import Database
from db.look_up import LookUp
from db.tables import ModelAlias, ModelVersion, ShadowRun
from db.tables.model_versions import GARMENT_VIEW

PRODUCTION = "production"
"""The alias that a job uses if it names no model."""
CANDIDATE = "candidate"
"""The alias of the version that is about to become `PRODUCTION`. Workers load it beside the present one."""


@dataclass(frozen=True, slots=True)
class NewModelVersion:
    """The description of a model version, as read from its artifact."""

    ref: ModelRef
    digest: str
    taxonomy: dict[str, Any]
    input: dict[str, Any]
    metrics: dict[str, Any]
    card: str
    validation: dict[str, Any] | None = None
    """How far its predictions are right on its validation pictures (`core.trust.count_validation`), if it is known."""


def register(session: Session, new: NewModelVersion, now: datetime) -> ModelVersion:
    """Store a model version. The first one becomes `production`. Registering a version again changes nothing.

    Raises:
        ArtifactInvalid: The name and version are registered with other content, and versions are immutable.
    """
    known = find(session, new.ref)
    if known is not None:
        if known.digest != new.digest:
            raise ArtifactInvalid(
                f"{new.ref} is registered with manifest {known.digest[:12]}…, but the artifact's is "
                f"{new.digest[:12]}…; versions are immutable, so publish the change as a new version"
            )
        return known
    version = ModelVersion(
        name=new.ref.name,
        version=new.ref.version,
        digest=new.digest,
        taxonomy=new.taxonomy,
        input=new.input,
        metrics=new.metrics,
        card=new.card,
        validation=new.validation,
        created_at=now,
    )
    session.add(version)
    session.flush()
    if session.get(ModelAlias, PRODUCTION) is None:
        session.add(ModelAlias(name=PRODUCTION, model_version_id=version.id))
    return version


def resolve(session: Session, reference: str) -> ModelVersion:
    """Return the model version that an alias, a `name@version` or a name (its newest version) refers to now.

    Raises:
        ModelUnknown: There is no such version. The message lists the aliases and versions that exist.
    """
    alias = session.get(ModelAlias, reference)
    if alias is not None:
        return alias.model_version
    name, at, version = reference.partition("@")
    found = find(session, ModelRef(name, version)) if at else _newest(session, name)
    if found is None:
        known = [row.ref for row in list_all(session)] + list(list_aliases(session))
        raise ModelUnknown(f"expected one of {', '.join(known) or 'no model at all yet'}; got {reference!r}")
    return found


def registered_digest(database: Database, ref: ModelRef) -> str | None:
    """Return the digest of the artifact that was registered as a version, or None if there is no such version."""
    with database.reading() as session:
        known = find(session, ref)
        return None if known is None else known.digest


def find(session: Session, ref: ModelRef) -> ModelVersion | None:
    """Return a model version, or None if it is not registered."""
    return session.scalar(
        select(ModelVersion).where(ModelVersion.name == ref.name, ModelVersion.version == ref.version)
    )


def check_regions(version: ModelVersion) -> None:
    """Check that a model version predicts regions of a picture.

    Raises:
        RegionsNotTaken: It was not made for single garments.
    """
    if not version.takes_regions:
        view = version.input.get("view", "whole")
        raise RegionsNotTaken(
            f"expected no regions, because the input of {version.ref} is {view!r}; "
            f"models whose input is {GARMENT_VIEW!r} take regions"
        )


_VERSION_OF_ALIAS = LookUp(
    select(ModelVersion.id, ModelVersion.digest)
    .join(ModelAlias, ModelAlias.model_version_id == ModelVersion.id)
    .where(ModelAlias.name == bindparam("name"))
)


class ModelVersionCache:
    """The model versions that one process has read. An alias is looked up each time, because it can move.

    A version never changes, therefore it is read only once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[tuple[int, str], ModelVersion] = {}

    def resolve(self, reference: str) -> ModelVersion:
        """Return the same version as the function `resolve`, without its `metrics` and `card`.

        Raises:
            ModelUnknown: There is no such version. The message lists the aliases and versions that exist.
        """
        found = _VERSION_OF_ALIAS.first(self._database, name=reference)
        known = None if found is None else self._known.get((found[0], found[1]))
        if known is None:
            with self._database.reading() as session:
                known = resolve(session, reference)
            self._known[known.id, known.digest] = known
        return known


def make_candidate(session: Session, version: ModelVersion) -> None:
    """Set the alias `candidate` to a model version, so that workers load it."""
    _set_alias(session, CANDIDATE, version)


def promote(session: Session, version: ModelVersion) -> None:
    """Set the alias `production` to a model version. Existing jobs keep theirs, and the shadow run ends."""
    # It compares with the predictions of the version before, and there are no new ones of it any more.
    ended = update(ShadowRun).where(ShadowRun.ended_at.is_(None), ShadowRun.against_id != version.id)
    session.execute(ended.values(ended_at=utc_now()))
    _set_alias(session, PRODUCTION, version)
    session.execute(delete(ModelAlias).where(ModelAlias.name == CANDIDATE))


def list_all(session: Session) -> Sequence[ModelVersion]:
    """Return every model version, sorted by name, the newest version of a name first."""
    return session.scalars(select(ModelVersion).order_by(ModelVersion.name, ModelVersion.id.desc())).all()


def list_aliases(session: Session) -> dict[str, str]:
    """Return a mapping from alias to `name@version`."""
    return {alias.name: alias.model_version.ref for alias in session.scalars(select(ModelAlias))}


def _set_alias(session: Session, alias: str, version: ModelVersion) -> None:
    session.merge(ModelAlias(name=alias, model_version_id=version.id))
    session.flush()


def _newest(session: Session, name: str) -> ModelVersion | None:
    return session.scalar(
        select(ModelVersion).where(ModelVersion.name == name).order_by(ModelVersion.id.desc()).limit(1)
    )
