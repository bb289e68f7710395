"""Acceptances: predictions of a job that a person accepts by a policy, without looking at each of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class Acceptance(Base):
    """The policy by which predictions of a job are accepted: those from a threshold of confidence on.

    It is no review. Accepted are the items that succeeded before it and have no review, so no row of an item changes,
    and removing the policy takes everything back (`db.views.acceptances.accepted`).
    """

    __tablename__ = "acceptances"
    __table_args__ = (CheckConstraint("(threshold IS NULL) != (thresholds IS NULL)", name="one_kind_of_threshold"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    threshold: Mapped[float | None]
    """The threshold of all labels. None: each label has its own."""
    thresholds: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Label -> its threshold. Predictions of other labels are not accepted."""
    target: Mapped[float | None]
    """The precision for which the person chose the thresholds. None: the person gave none."""
    items: Mapped[int]
    """How many items were accepted when the policy was set."""
    key_id: Mapped[str | None] = mapped_column(String(40))
    """The key of the person. None if the request had no key."""
    created_at: Mapped[datetime]
