"""Shadow runs: a candidate model version that also classifies a share of the new pictures."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.tables.base import Base
from db.tables.model_versions import ModelVersion

SHADOW_OWNER = "shadow"
"""The owner (`Job.key_id`) of the jobs of shadow runs. No key has this id, and no caller sees these jobs."""


class ShadowRun(Base):
    """The time during which a candidate classifies a share of the pictures that another version has classified."""

    __tablename__ = "shadow_runs"
    __table_args__ = (Index(None, "ended_at"), Index(None, "candidate_id", "id"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    candidate_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    against_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    """The version whose predictions are shown."""
    share: Mapped[float]
    """The share of pictures, above 0 and at most 1."""
    read_until: Mapped[datetime]
    """Predictions that were made earlier have been considered."""
    failed: Mapped[int] = mapped_column(default=0)
    """Pictures on which the candidate failed."""
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    candidate: Mapped[ModelVersion] = relationship(foreign_keys=candidate_id, lazy="joined")
    against: Mapped[ModelVersion] = relationship(foreign_keys=against_id, lazy="joined")


class ShadowPicture(Base):
    """The predictions of both versions for one picture. It is removed with either of them."""

    __tablename__ = "shadow_pictures"
    __table_args__ = (Index(None, "candidate_prediction_id"), Index(None, "run_id"))

    shown_prediction_id: Mapped[str] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("shadow_runs.id", ondelete="CASCADE"), primary_key=True)
    candidate_prediction_id: Mapped[str] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"))
