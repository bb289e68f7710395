"""Hints: which items of a job a person should look at first, and why."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base, enum


class HintKind(StrEnum):
    """The reasons to look at an item."""

    DOUBT = "doubt"
    """The best two scores are close to each other. The value is their difference."""
    SURPRISE = "surprise"
    """The nearest training pictures have other labels than the item is listed under. The value is their share of votes
    for it."""
    MISLABELLED = "mislabelled"
    """A label that a person or the catalog gave contradicts the prediction. The value is the score of that label."""
    UNKNOWN = "unknown"
    """The picture is unlike all training pictures. The value is below 1 beyond the usual distance."""
    DIVERSE = "diverse"
    """The item is part of a small sample that covers the job. The value is its number in the sample."""


class ItemHint(Base):
    """The place of an item in the order of one hint, from 0. Only the first items of each order have one."""

    __tablename__ = "item_hints"
    __table_args__ = (
        ForeignKeyConstraint(
            ["job_id", "position"],
            ["items.job_id", "items.position"],
            name="fk_item_hints_job_id_items",
            ondelete="CASCADE",
        ),
        Index(None, "job_id", "position"),
        {"sqlite_with_rowid": False},
    )

    job_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[HintKind] = mapped_column(enum(HintKind, "kind"), primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int]
    value: Mapped[float]
    """What the order is by, the lowest first (`HintKind`)."""
    flagged: Mapped[bool]
    """Whether the item deserves a look, and is not only one of the first."""


class HintRun(Base):
    """The computation of a job's hints by a worker: asked for when the job ends, and by people."""

    __tablename__ = "hint_runs"
    __table_args__ = (
        Index(
            "ix_hint_runs_due",
            "requested_at",
            sqlite_where=text("computed_at IS NULL"),
            postgresql_where=text("computed_at IS NULL"),
        ),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    requested_at: Mapped[datetime]
    computed_at: Mapped[datetime | None]
    """None: a worker has to compute the hints, for the first time or anew. Earlier ones stay until then."""
    reviews: Mapped[int] = mapped_column(default=0)
    """How many reviews the job had."""
    found: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Kind -> `{"items", "flagged"}`, or `{"missing"}` with the reason in words."""
