"""The import of labels that people have corrected in a label tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apiflask import APIBlueprint
from flask import request

from api.answers.label_formats import NO_LABEL
from api.answers.spec import LABEL_FILE_BODY
from api.door.access import caller, lock_job, require_job
from api.intake.label_files import Entry, read_label_file
from api.schemas.common import Answer
from api.schemas.items import ImportedReviewsOut, NamedEntriesOut
from api.services import current_services
from core.clock import utc_now
from db.steps import reviewing
from db.steps.reviewing import Verdict
from db.tables import ItemStatus
from db.views.labels import labels_of
from db.views.named_items import NamedItem, find_items

bp = APIBlueprint("review_imports", __name__, tag="Reviews")

_ITEMS_PER_TRANSACTION = 1000
"""Reviews that are stored while the job's row is locked."""
_MAX_NAMES, _MAX_NAME_CHARACTERS = 20, 200
"""Names that an answer lists of each kind, and the characters of each."""


@dataclass(slots=True)
class _Named:
    """Entries of one kind: how many, and the names of the first ones."""

    count: int = 0
    names: dict[str, None] = field(default_factory=dict)

    def add(self, name: str) -> None:
        self.count += 1
        if len(self.names) < _MAX_NAMES:
            self.names[name[:_MAX_NAME_CHARACTERS]] = None

    def out(self) -> NamedEntriesOut:
        return NamedEntriesOut(count=self.count, names=list(self.names))


@dataclass(slots=True)
class _Sorted:
    """The entries of a file by what becomes of them."""

    labels: dict[str, str | None] = field(default_factory=dict)
    """Item id -> the label to store. None: no label fits."""
    without_label: int = 0
    predictions: int = 0
    repeated: int = 0
    unknown_items: _Named = field(default_factory=_Named)
    ambiguous_items: _Named = field(default_factory=_Named)
    unknown_labels: _Named = field(default_factory=_Named)
    several_labels: _Named = field(default_factory=_Named)
    unclassified: _Named = field(default_factory=_Named)

    def add(self, entry: Entry, items: Sequence[NamedItem], label_ids: Mapping[str, str | None]) -> None:
        if not entry.labels:
            self.without_label += 1
        elif len(entry.labels) > 1:
            self.several_labels.add(entry.shown_name)
        elif len(items) != 1:
            (self.ambiguous_items if items else self.unknown_items).add(entry.shown_name)
        elif entry.labels[0] not in label_ids:
            self.unknown_labels.add(entry.labels[0])
        elif not items[0].is_classified:
            self.unclassified.add(entry.shown_name)
        else:
            self._take(items[0], label_ids[entry.labels[0]], is_scored=entry.is_scored)

    def _take(self, item: NamedItem, label: str | None, *, is_scored: bool) -> None:
        if is_scored and label == item.predicted:
            self.predictions += 1
            return
        self.repeated += item.id in self.labels
        self.labels[item.id] = label


@bp.post("/v1/jobs/<job_id>/reviews/import")
@bp.output(ImportedReviewsOut)
@bp.doc(
    summary="Import the labels that people have given in a label tool as reviews",
    description="Takes the JSON that Label Studio exports, COCO, and `labels.json` of FiftyOne (see docs/exports.md). "
    "Entries are matched by the item's id, then by its custom id, then by the name of its file. Entries that cannot be "
    "used are counted and named; all others are stored. Sending the same file again changes nothing.",
    operation_id="import_reviews",
    responses={404: "There is no such job", 410: "The job has expired"},
    extensions={"requestBody": LABEL_FILE_BODY},
)
def import_reviews(job_id: str) -> Answer:
    database = current_services().database
    with database.reading() as session:
        label_rows = labels_of(require_job(session, job_id))
    kind, entries = read_label_file(request.get_json())
    sorted_entries, label_ids = _Sorted(), _label_ids(label_rows)
    with database.reading() as session:
        found = find_items(session, job_id, [entry.names for entry in entries])
    for entry, items in zip(entries, found, strict=True):
        sorted_entries.add(entry, items, label_ids)
    labels = list(sorted_entries.labels.items())
    starts = range(0, len(labels), _ITEMS_PER_TRANSACTION)
    changed = sum(_store(job_id, dict(labels[start : start + _ITEMS_PER_TRANSACTION])) for start in starts)
    return ImportedReviewsOut(
        format=kind,
        entries=len(entries),
        changed=changed,
        unchanged=len(labels) - changed,
        repeated=sorted_entries.repeated,
        without_label=sorted_entries.without_label,
        predictions=sorted_entries.predictions,
        unknown_items=sorted_entries.unknown_items.out(),
        ambiguous_items=sorted_entries.ambiguous_items.out(),
        unknown_labels=sorted_entries.unknown_labels.out(),
        several_labels=sorted_entries.several_labels.out(),
        unclassified=sorted_entries.unclassified.out(),
    )


def _label_ids(rows: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Return label ids by what files may call them: the id, or the name if only one label has it."""
    names: dict[str, set[str]] = {}
    for row in rows:
        for name in row["name"].values():
            names.setdefault(name, set()).add(row["id"])
    unique = {name: next(iter(ids)) for name, ids in names.items() if len(ids) == 1}
    return {NO_LABEL: None, **unique, **{row["id"]: row["id"] for row in rows}}


def _store(job_id: str, labels: Mapping[str, str | None]) -> int:
    """Store some reviews, and return how many items have another one now. A better crop of the same label stays."""
    with current_services().database.writing() as session:
        job = lock_job(session, job_id)
        found = reviewing.read_items(session, job, list(labels))
        pairs = []
        for item_id, label in labels.items():
            item = found.get(item_id)
            # A retry or a deletion may have come between.
            if item is None or item.status != ItemStatus.SUCCEEDED:
                continue
            has_same = item.review is not None and item.review.label == label
            pairs.append((item, Verdict(label, item.review.crop if has_same and item.review is not None else None)))
        before = reviewing.change(session, job, pairs, caller().key_id, utc_now())
    return sum(earlier != verdict for (_, verdict), earlier in zip(pairs, before, strict=True))
