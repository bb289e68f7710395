"""The maps of jobs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class JobMap(Base):
    """The map of a job (core/maps.py), and the work of computing it. The row is created by the first request for it.

    A request sets `requested_at`. A worker then takes the map up with a lease, and clears `requested_at` when it has
    stored the points or an error. Until then the earlier points stay.
    """

    __tablename__ = "job_maps"
    __table_args__ = (Index(None, "requested_at"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    requested_at: Mapped[datetime | None]
    """Since when the map waits for a worker or is computed. None: neither."""
    taken_by: Mapped[str | None] = mapped_column(String(40))
    """The id of the attempt that computes the map. None while the map waits."""
    due_at: Mapped[datetime | None]
    """When the lease of the attempt ends."""
    attempts: Mapped[int] = mapped_column(default=0)
    """How often a worker has taken up the map since it was requested."""
    progress: Mapped[float] = mapped_column(default=0.0)
    """The part of the work that is done, from 0 to 1."""
    error: Mapped[str | None] = mapped_column(Text)
    """Why the last request has failed. None: it has not."""
    revision: Mapped[int] = mapped_column(default=0)
    """Increased whenever points are stored. 0: the map has no points yet."""
    computed_at: Mapped[datetime | None]
    """When the points were stored."""
    succeeded: Mapped[int] = mapped_column(default=0)
    """`Job.succeeded` when the vectors were read. The map is outdated if the job has another number now."""
    pictures: Mapped[int] = mapped_column(default=0)
    """How many pictures had a vector then. The map shows all of them, or a sample."""
    points: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    """The points (`core.maps.Points.encode`). They are read only when they are used, because they may take 400 kB."""
