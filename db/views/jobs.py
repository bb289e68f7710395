"""Read jobs: one job, its state for a poll, the model of a job, the backlog, and pages of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, func, select, union_all
from sqlalchemy.orm import Session, selectinload

from core.types import ModelRef
from db.access.keys import Caller
from db.database import Database
from db.look_up import LookUp
from db.tables import FINISHED, Item, ItemStatus, Job, JobSource, JobStatus, ModelVersion, Priority
from db.tables.model_versions import has_embedding, takes_regions


def get(session: Session, job_id: str) -> Job | None:
    return session.get(Job, job_id)


@dataclass(frozen=True, slots=True)
class PollState:
    """The columns of a job that the answer to a poll needs if the job has not changed."""

    revision: int
    status: JobStatus
    pending: int
    rate: float | None

    @property
    def finished(self) -> bool:
        return self.status in FINISHED


_POLL_STATE = LookUp(
    select(Job.revision, Job.status, Job.pending, Job.rate, Job.expires_at, Job.deleted_at, Job.key_id).where(
        Job.id == bindparam("job_id")
    )
)


def read_poll_state(database: Database, caller: Caller, job_id: str, now: datetime) -> PollState | None:
    """Return the state of a job, by reading only its row.

    Return None if the caller may not see the job, or if the job does not exist any more (see `is_kept`).
    """
    row = _POLL_STATE.first(database, job_id=job_id)
    if row is None:
        return None
    revision, status, pending, rate, expires_at, deleted_at, key_id = row
    if deleted_at is not None or not caller.sees(key_id, job_id):
        return None
    expired = status in FINISHED and expires_at is not None and expires_at <= now
    return None if expired else PollState(revision, status, pending, rate)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The work that is left in all jobs together."""

    pending: int
    """Number of pending items."""
    rate: float
    """Number of items that become finished per second. Jobs whose rate is not measured yet do not count."""


_BACKLOG = LookUp(
    select(func.coalesce(func.sum(Job.pending), 0), func.coalesce(func.sum(Job.rate), 0.0)).where(
        Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING))
    )
)


def read_backlog(database: Database) -> Backlog:
    """Return the pending items and the rate of all jobs together."""
    pending, rate = _BACKLOG.first(database) or (0, 0.0)
    return Backlog(int(pending), float(rate))


def count_ahead(session: Session, job: Job) -> int | None:
    """Return how many pending pictures are classified before those of a single classification. None for other jobs.

    The ids of jobs are in the order in which the jobs were created.
    """
    if job.priority != Priority.INTERACTIVE:
        return None
    return session.scalar(
        select(func.coalesce(func.sum(Job.pending), 0)).where(
            Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING)),
            Job.priority == Priority.INTERACTIVE,
            Job.id < job.id,
        )
    )


def is_kept(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a job is neither deleted nor past its retention."""
    return Job.deleted_at.is_(None) & (Job.expires_at.is_(None) | (Job.expires_at > now) | Job.status.not_in(FINISHED))


@dataclass(frozen=True, slots=True)
class JobModel:
    """The model version that classifies the pictures of a job."""

    model_version_id: int
    ref: ModelRef
    takes_regions: bool
    """Whether items of the job may have regions."""
    stores_vectors: bool
    """Whether the pictures of the job get vectors: the model has embeddings, and the job does not leave them out."""


_JOB_MODEL = (
    select(ModelVersion.id, ModelVersion.name, ModelVersion.version, ModelVersion.input, Job.vectors)
    .join(Job, Job.model_version_id == ModelVersion.id)
    .where(Job.id == bindparam("job_id"))
)


def read_job_model(session: Session, job_id: str) -> JobModel | None:
    """Return the model version of a job. None if the job does not exist."""
    row = session.execute(_JOB_MODEL, {"job_id": job_id}).first()
    if row is None:
        return None
    stores_vectors = row.vectors and has_embedding(row.input)
    return JobModel(row.id, ModelRef(row.name, row.version), takes_regions(row.input), stores_vectors)


def model_of(job: Job) -> JobModel:
    """Return the model version of a job that a session has loaded."""
    version = job.model_version
    stores_vectors = job.vectors and version.has_embedding
    return JobModel(version.id, ModelRef(version.name, version.version), version.takes_regions, stores_vectors)


def is_wanted(session: Session, job_id: str) -> bool:
    """Return whether a job exists and is not being canceled."""
    wanted = select(Job.id).where(Job.id == job_id, Job.cancel_requested_at.is_(None))
    return session.scalar(wanted) is not None


def list_canceling(session: Session) -> list[str]:
    """Return the ids of jobs that are being canceled."""
    requested = Job.cancel_requested_at.is_not(None)
    return list(session.scalars(select(Job.id).where(requested, Job.status.not_in(FINISHED))))


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Conditions for the jobs to list. Single classifications are listed only if `source` asks for them."""

    status: JobStatus | None = None
    source: JobSource | None = None
    text: str | None = None
    """A part of the name, in upper or lower case."""


def list_newest(
    session: Session, caller: Caller, job_filter: JobFilter, before: str | None, limit: int, now: datetime
) -> Sequence[Job]:
    """Return jobs that the caller may see, older than the id `before`, newest first. Expired jobs are left out."""
    query = select(Job).where(caller.sees_job, is_kept(now)).order_by(Job.id.desc()).limit(limit)
    query = query.options(selectinload(Job.crawl), selectinload(Job.first_key), selectinload(Job.failures))
    if job_filter.source:
        query = query.where(Job.source == job_filter.source)
    else:
        query = query.where(Job.source != JobSource.CLASSIFICATION)
    if job_filter.status:
        query = query.where(Job.status == job_filter.status)
    if job_filter.text:
        query = query.where(Job.name.icontains(job_filter.text, autoescape=True))
    if before:
        query = query.where(Job.id < before)
    return session.scalars(query).all()


def first_succeeded(session: Session, job_ids: Sequence[str], count: int) -> dict[str, list[str]]:
    """Return the ids of the first `count` succeeded items of each job, by the id of the job, with one query.

    The query reads `count` entries of an index for each job, however many items a job has. A job without such items is
    left out. SQLite takes at most 500 jobs.
    """
    found: dict[str, list[str]] = {}
    if not job_ids or not count:
        return found
    selects = [
        select(Item.job_id, Item.position, Item.id)
        .where(Item.job_id == job_id, Item.status == ItemStatus.SUCCEEDED)
        .order_by(Item.position)
        .limit(count)
        .subquery()
        for job_id in job_ids
    ]
    rows = session.execute(union_all(*map(select, selects)))
    for job_id, _, item_id in sorted(rows, key=lambda row: row.position):
        found.setdefault(job_id, []).append(item_id)
    return found
