"""Model versions and their aliases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.tables.base import Base

GARMENT_VIEW = "garment"
"""The `view` in the input of models that were trained on single garments (`classifier.prepare.InputSpec`)."""


def takes_regions(model_input: dict[str, Any]) -> bool:
    """Return whether a model with this `input.json` predicts regions of a picture."""
    return model_input.get("view") == GARMENT_VIEW


def has_embedding(model_input: dict[str, Any]) -> bool:
    """Return whether a model with this `input.json` has the output `embedding`, so that its pictures get vectors."""
    return "embedding" in model_input


class ModelVersion(Base):
    """One immutable model artifact. Its description is stored here, so that the API does not read its files."""

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the artifact's manifest, in hex."""
    taxonomy: Mapped[dict[str, Any]]
    """`labels.json`: name, version, groups and labels in the order of the model's output."""
    input: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    """Deferred, like `card`, because it is large, and every job loads its model version without needing it."""
    card: Mapped[str] = mapped_column(Text, deferred=True)
    validation: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    """Predicted label -> `core.trust.count_validation`. None: the artifact has no scores of its validation pictures."""
    created_at: Mapped[datetime]

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def takes_regions(self) -> bool:
        """Whether the model was made for single garments, so that regions of a picture get predictions of their own."""
        return takes_regions(self.input)

    @property
    def backbone(self) -> str | None:
        """The digest of the artifact that brought its backbone. None: it has no embedding.

        Vectors of versions with the same backbone are the same. Taught versions have that of an earlier one.
        """
        return str(self.input["embedding"].get("backbone", self.digest)) if self.has_embedding else None

    @property
    def has_embedding(self) -> bool:
        """Whether the pictures that the model classifies get vectors."""
        return has_embedding(self.input)


class ModelAlias(Base):
    """A movable name for a model version, such as `production`."""

    __tablename__ = "model_aliases"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    model_version: Mapped[ModelVersion] = relationship(lazy="joined")
