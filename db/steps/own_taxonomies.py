"""Write the taxonomy of an owner."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.errors import LabelInUse
from db.tables import Job, OwnTaxonomy, Review
from db.views.labels import read_own


def replace(
    session: Session,
    owner: str | None,
    groups: Sequence[dict[str, Any]],
    labels: Sequence[dict[str, Any]],
    now: datetime,
) -> OwnTaxonomy:
    """Store the taxonomy of an owner, in place of an earlier one.

    Raises:
        LabelInUse: A label that the earlier one had is missing, and reviews give it.
    """
    row = read_own(session, owner)
    if row is None:
        row = OwnTaxonomy(owner=owner or "", groups=[], labels=[], updated_at=now)
        session.add(row)
    kept = {label["id"] for label in labels}
    removed = sorted({label["id"] for label in row.labels} - kept)
    if removed:
        _check_unused(session, owner, removed)
    row.groups, row.labels, row.updated_at = list(groups), list(labels), now
    session.flush()
    return row


def _check_unused(session: Session, owner: str | None, removed: Sequence[str]) -> None:
    found = session.execute(
        select(Review.label, func.count())
        .join(Job, Job.id == Review.job_id)
        .where(Job.key_id.is_not_distinct_from(owner), Review.label.in_(removed))
        .group_by(Review.label)
        .order_by(Review.label)
    ).all()
    if found:
        uses = ", ".join(f"{label!r} ({count:,} reviews)" for label, count in found)
        raise LabelInUse(f"expected these labels to stay, because reviews give them: {uses}; change the reviews first")
