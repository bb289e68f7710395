"""The representation of a job in the API's answers and in webhooks (docs/http-api.md)."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, PlainSerializer

from core.clock import rfc3339, utc_now
from db.tables import Job, JobSource, JobStatus, Priority
from db.views.crawl import CrawlOut, crawl_out

Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str)]


class Output(BaseModel):
    """The base class of answers to clients."""


class ModelOut(Output):
    name: str
    version: str


class CountsOut(Output):
    total: int
    pending: int
    succeeded: int
    failed: int
    canceled: int
    reused: int


class JobLinksOut(Output):
    self: str
    items: str
    products: str
    urls: str = Field(description="The URLs that a crawl found.")
    summary: str
    export: str
    deliveries: str
    cancel: str
    retry: str
    page: str


class ErrorOut(Output):
    code: str
    detail: str
    retryable: bool


class FailureCountOut(Output):
    code: str
    count: int


class OwnerOut(Output):
    """The key with which the job was submitted."""

    id: str
    name: str


class JobOut(Output):
    id: str
    name: str
    source: JobSource
    status: JobStatus
    counts: CountsOut
    canceling: bool = Field(description="True if the job was asked to stop and is not canceled yet.")
    discovering: bool
    columns: dict[str, str] | None = Field(
        description="What the columns of the manifest mean: column to field. Null without a manifest."
    )
    left_out: int = Field(description="Files of the archive that are no pictures. They are no items.")
    open_until: Time | None = Field(description="Until when pictures may be added. Null unless the job is open.")
    retryable: int = Field(description="Failed items that a retry would take.")
    failures: list[FailureCountOut] = Field(description="Failed items by the code of their error, commonest first.")
    rate: float | None = Field(description="Pictures per second. Of a finished job: in all of `duration_seconds`.")
    duration_seconds: float = Field(description="For how long it has run. A retry adds to it.")
    eta_seconds: int | None
    model: ModelOut
    priority: Priority
    owner: OwnerOut | None = Field(description="Null if the job was submitted without a key.")
    products: int = Field(description="The products that its items show.")
    vectors: bool = Field(description="Whether vectors of its pictures are stored, if the model has an embedding.")
    rerun_of: str | None = Field(description="The job whose pictures this one classifies again.")
    metadata: dict[str, Any]
    webhook: bool = Field(description="True if a webhook receives a message when the job ends.")
    crawl: CrawlOut | None = Field(description="Null unless the job is a crawl.")
    error: ErrorOut | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    expires_at: Time | None
    links: JobLinksOut


def _owner_out(job: Job) -> OwnerOut | None:
    if job.key_id is None:
        return None
    # An owner without a name of its own is called as its first key.
    return OwnerOut(id=job.key_id, name=job.key_id if job.first_key is None else job.first_key.name)


def job_out(job: Job) -> JobOut:
    path = f"/v1/jobs/{job.id}"
    crawl = job.crawl if job.source == JobSource.CRAWL else None
    return JobOut(
        id=job.id,
        name=job.name,
        source=job.source,
        status=job.status,
        counts=counts_out(job),
        canceling=job.cancel_requested_at is not None and not job.finished,
        discovering=job.discovering,
        columns=job.columns,
        left_out=job.left_out,
        open_until=job.open_until,
        retryable=job.retryable,
        failures=[FailureCountOut(code=row.code, count=row.count) for row in (job.failures if job.failed else ())],
        duration_seconds=round(job.duration(utc_now()), 3),
        rate=None if job.rate is None else round(job.rate, 1),
        eta_seconds=_eta_seconds(job),
        model=ModelOut(name=job.model_version.name, version=job.model_version.version),
        priority=job.priority,
        owner=_owner_out(job),
        products=job.products,
        vectors=job.vectors,
        rerun_of=job.rerun_of,
        metadata=job.details,
        webhook=job.webhook is not None,
        crawl=None if crawl is None else crawl_out(crawl),
        error=None if job.error is None else ErrorOut(**job.error),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        expires_at=job.expires_at,
        links=JobLinksOut(
            self=path,
            items=f"{path}/items",
            products=f"{path}/products",
            urls=f"{path}/urls",
            summary=f"{path}/summary",
            export=f"{path}/export",
            deliveries=f"{path}/deliveries",
            cancel=f"{path}/cancel",
            retry=f"{path}/retry",
            page=f"/jobs/{job.id}",
        ),
    )


def counts_out(job: Job) -> CountsOut:
    return CountsOut(
        total=job.total,
        pending=job.pending,
        succeeded=job.succeeded,
        failed=job.failed,
        canceled=job.canceled,
        reused=job.reused,
    )


def poll_seconds(pending: int, rate: float | None) -> int:
    """Return the pause before the next poll: a sixtieth of the remaining time of the job, between 1 and 10 seconds."""
    return min(10, max(1, round(pending / rate / 60))) if rate else 1


def _eta_seconds(job: Job) -> int | None:
    if job.finished:
        return 0
    if not job.rate or job.discovering:
        # The total is not known yet.
        return None
    return math.ceil(job.pending / job.rate)
