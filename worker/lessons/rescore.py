"""Rescore: find out which labels a version would change, from stored vectors alone."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from classifier.artifact import OPENVINO_MODEL
from classifier.teaching.openvino_head import read_head
from core.settings import Settings
from core.vectors import decode_all
from db.database import Database
from db.tables import Job, Lesson
from db.views.lessons import ScoredItem, read_scored
from worker.lessons.work import Order, Outcome, backbones, open_version

SHOWN_ITEMS = 60
"""Items of each flow whose ids the result keeps, so that their pictures can be shown."""
_REPORT_SECONDS = 5.0


@dataclass(slots=True)
class _Counts:
    """What the result counts."""

    items: int = 0
    with_prediction: int = 0
    flows: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: defaultdict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    reviewed: list[int] = field(default_factory=lambda: [0, 0, 0])
    """Reviewed items, those whose label was right before, and those for which it would be right."""
    new_reviewed: list[int] = field(default_factory=lambda: [0, 0, 0])
    """The same for reviews that the version was not taught with."""

    def add(self, item: ScoredItem, label: str, *, is_new: bool) -> None:
        self.items += 1
        if label != item.predicted:
            flow = (item.predicted, label)
            self.flows[flow] += 1
            if len(self.examples[flow]) < SHOWN_ITEMS:
                self.examples[flow].append(item.item_id)
        if item.review_label is not None:
            for counts in (self.reviewed, self.new_reviewed) if is_new else (self.reviewed,):
                counts[0] += 1
                counts[1] += item.predicted == item.review_label
                counts[2] += label == item.review_label


def rescore(settings: Settings, database: Database, order: Order) -> Outcome:
    """Score the items of jobs again from their vectors, and count whose label changes.

    Raises:
        ArtifactInvalid: the scores of the model come from something else than one dense layer with softmax.
    """
    began = reported = time.monotonic()
    artifact = open_version(settings, order)
    head, labels = read_head(artifact, OPENVINO_MODEL), artifact.taxonomy.label_ids
    with database.reading() as session:
        usable = {version for version, backbone in backbones(session).items() if backbone == order.backbone}
        taught_until = _taught_until(session, order.version_id)
    counts = _Counts()
    for job_id in order.job_ids:
        with database.reading() as session:
            job = session.get(Job, job_id)
            counts.with_prediction += 0 if job is None else job.succeeded
            for block in read_scored(session, job_id):
                scored = [item for item in block if item.model_version_id in usable]
                if scored:
                    found = head.logits(decode_all([item.vector for item in scored])).argmax(axis=1)
                    _count(counts, scored, [labels[one] for one in found], taught_until.get(job_id))
                if time.monotonic() - reported > _REPORT_SECONDS:
                    order.report(database, counts.items)
                    reported = time.monotonic()
    return Outcome(_result(counts, time.monotonic() - began))


def _count(counts: _Counts, items: Sequence[ScoredItem], labels: Sequence[str], taught_until: datetime | None) -> None:
    for item, label in zip(items, labels, strict=True):
        is_new = taught_until is None or (item.reviewed_at is not None and item.reviewed_at > taught_until)
        counts.add(item, label, is_new=is_new)


def _taught_until(session: Session, version_id: int) -> dict[str, datetime]:
    """Return the jobs whose reviews taught a version, and until when."""
    lesson = session.scalar(select(Lesson).where(Lesson.published_id == version_id))
    return {} if lesson is None else dict.fromkeys(lesson.job_ids, lesson.created_at)


def _result(counts: _Counts, seconds: float) -> dict[str, Any]:
    changed = counts.flows.total()
    flows = sorted(counts.flows.items(), key=lambda flow: (-flow[1], flow[0]))
    return {
        "items": counts.items,
        "without_vector": max(0, counts.with_prediction - counts.items),
        "same": counts.items - changed,
        "changed": changed,
        "flows": [
            {"before": before, "after": after, "count": count, "items": counts.examples[before, after]}
            for (before, after), count in flows
        ],
        "reviewed": counts.reviewed[0],
        "right_before": counts.reviewed[1],
        "right_after": counts.reviewed[2],
        "new_reviewed": counts.new_reviewed[0],
        "new_right_before": counts.new_reviewed[1],
        "new_right_after": counts.new_reviewed[2],
        "seconds": round(seconds, 2),
    }
