"""Count which label a model predicted for which, according to the reviews of its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.access.keys import Caller
from db.tables import Job, ModelVersion, Review
from db.views.jobs import is_kept


@dataclass(slots=True)
class ReviewedJob:
    """A job in which pictures with a pair of labels were reviewed."""

    id: str
    name: str
    count: int


@dataclass(slots=True)
class Confusion:
    """The reviewed pictures of one predicted label and one reviewed label, which may be the same."""

    predicted: str
    label: str | None
    """The label of the reviews. None: people said that no label fits."""
    count: int = 0
    jobs: list[ReviewedJob] = field(default_factory=list)
    """Newest first."""


def count_confusions(session: Session, version: ModelVersion, caller: Caller, now: datetime) -> Sequence[Confusion]:
    """Return the pairs of labels that occur in the reviews of the jobs that the caller may see, most frequent first."""
    query = (
        select(Review.predicted, Review.label, Job.id, Job.name, func.count())
        .join(Job, Job.id == Review.job_id)
        .where(Job.model_version_id == version.id, caller.sees_job, is_kept(now))
        .group_by(Review.predicted, Review.label, Job.id, Job.name)
        .order_by(Job.id.desc())
    )
    found: dict[tuple[str, str | None], Confusion] = {}
    for predicted, label, job_id, name, count in session.execute(query):
        confusion = found.setdefault((predicted, label), Confusion(predicted, label))
        confusion.count += count
        confusion.jobs.append(ReviewedJob(job_id, name, count))
    return sorted(found.values(), key=lambda row: (-row.count, row.predicted, row.label or ""))
