"""The labels and groups that the items of a job may have: those of its model, and those that its owner has added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session, object_session

from db.tables import Job, OwnTaxonomy

Row = Mapping[str, Any]
"""A label or a group in the form of `labels.json`."""


def read_own(session: Session, owner: str | None) -> OwnTaxonomy | None:
    """Return the taxonomy of an owner, or None if it has written none."""
    return session.get(OwnTaxonomy, owner or "")


def labels_of(job: Job) -> list[Row]:
    """Return the labels that reviews of a job may give: first those of its model, in the order of its scores."""
    return _joined(job, "labels")


def groups_of(job: Job) -> list[Row]:
    """Return the groups of these labels: first those of the model."""
    return _joined(job, "groups")


def _joined(job: Job, members: str) -> list[Row]:
    of_model: list[Row] = job.model_version.taxonomy[members]
    session = object_session(job)
    own = None if session is None else read_own(session, job.key_id)
    if own is None:
        return of_model
    known = {row["id"] for row in of_model}
    return [*of_model, *(row for row in getattr(own, members) if row["id"] not in known)]
