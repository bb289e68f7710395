"""The answers of the service about label tools and signed URLs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lookbook.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEntries(Answer):
    """Entries of a file that were not used."""

    count: int
    names: list[str]
    """The first 20 names, each once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedReviews(Answer):
    """The outcome of importing a label tool's file."""

    format: str
    """label-studio, coco or fiftyone."""
    entries: int
    changed: int
    """Items whose review is another one now."""
    unchanged: int
    """Items that have had this review already."""
    repeated: int
    """Entries that a later entry about the same item has replaced."""
    without_label: int
    """Entries that nobody has labelled."""
    predictions: int
    """Entries with the label and a score of the prediction, as they were exported."""
    unknown_items: NamedEntries
    ambiguous_items: NamedEntries
    """Entries whose name several items of the job have."""
    unknown_labels: NamedEntries
    """Labels that the job's model does not have."""
    several_labels: NamedEntries
    """Entries with more than one label."""
    unclassified: NamedEntries
    """Entries about items that have no prediction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureUrls(Answer):
    """URLs that show one picture without a key."""

    original: str | None
    """The stored bytes. None: they were refused."""
    shown: str | None
    """The picture as every browser shows it. None until the item has succeeded."""
    thumbnail: str | None
    expires_at: datetime
