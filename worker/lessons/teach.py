"""Teach: fit a new head on reviewed items, and publish the version that has it."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from classifier.artifact import Artifact
from classifier.calibration import TEMPERATURE, UNCALIBRATED, calibration_metrics
from classifier.evaluation import evaluate
from classifier.reference import SCORED_COUNT, TRAIN_COUNT, VALIDATION_COUNT, Reference
from classifier.taxonomy import Taxonomy
from classifier.teaching import fitting
from classifier.teaching.card import taught_card
from classifier.teaching.curve import MORE, Advice, Point, learning_curve
from classifier.teaching.fitting import Fitted, Fitter, Reviewed
from classifier.teaching.publishing import TAUGHT, NewVersion, publish_with_head
from core.clock import utc_now
from core.errors import DatasetInvalid
from core.settings import Settings
from db.database import Database
from db.views.labels import read_own
from db.views.lessons import ReviewedItem, read_reviewed
from worker.lessons.examples import LEAST_REVIEWS, Examples, groups_of, replaced_labels, sort_out, vectors_of
from worker.lessons.figures import accuracy_of, group_intervals, macro_f1_of
from worker.lessons.taxonomies import taught_taxonomy, untaught
from worker.lessons.work import Order, Outcome, backbones, least_number, open_version

FINE_TUNING_REVIEWS = 2000
"""From so many reviews on, training the whole network is offered."""
SECONDS_PER_PICTURE = 0.3
"""Training of the recipe `garments` on two cores: 15 minutes for 3,068 pictures (models/garments, docs/training.md)."""


def teach(settings: Settings, database: Database, order: Order) -> Outcome:
    """Fit a head, publish it, and return the figures.

    Raises:
        DatasetInvalid: there are too few usable reviews.
        ArtifactInvalid: the head of the model cannot be replaced.
    """
    began = time.monotonic()
    with database.reading() as session:
        items = read_reviewed(session, order.job_ids)
        own = read_own(session, order.owner)
        known = backbones(session)
        least = least_number(session, order.options["name"])
    order.report(database, len(items))
    artifact = open_version(settings, order)
    examples = sort_out(items, lambda version_id: known.get(version_id) == order.backbone)
    labelled = examples.labels(order.options["rejected_as"])
    counts = Counter(label for _, label in labelled)
    model_labels = _kept(artifact, keep=order.options["keep_labels"])
    replaced = replaced_labels(labelled, artifact.taxonomy.label_ids)
    kept = [label for label in model_labels if label not in replaced]
    taxonomy = taught_taxonomy(artifact.taxonomy, own, counts, kept, order.options["name"])
    examples.left_out["too_few_reviews"] += untaught(counts, taxonomy.label_ids)
    pairs = [(item, label) for item, label in labelled if label in set(taxonomy.label_ids)]
    _check(pairs, taxonomy, examples)
    fit_began = time.monotonic()
    # The matrices are small, and threads that wait for each other would make the fits several times slower.
    with threadpool_limits(1):
        lesson = _Lesson(artifact, taxonomy, pairs, _kept_examples(artifact, taxonomy, kept))
        fitted = lesson.fitter.fit()
        fit_seconds = time.monotonic() - fit_began
        points, advice = learning_curve(lesson.fitter, fitted)
    metrics = lesson.metrics(fitted)
    card = taught_card(artifact.ref, taxonomy, metrics, len(examples.rejected))
    new = NewVersion(fitted.head, taxonomy, metrics, lesson.reference(fitted), card)
    models = settings.fetched_models_folder if settings.blobs else settings.models
    published = publish_with_head(artifact, new, order.options["name"], models, utc_now(), least)
    result = lesson.figures(fitted, metrics, examples, _mean_confidence(fitted, examples, order))
    result |= {
        "replaced": [label for label in model_labels if label in replaced and label not in taxonomy.label_ids],
        "curve": [_point(point, taxonomy) for point in points],
        "advice": [_advice(one, taxonomy) for one in advice],
        "fine_tuning": _fine_tuning(len(pairs), order),
        "fit_seconds": round(fit_seconds, 2),
        "seconds": round(time.monotonic() - began, 2),
    }
    return Outcome(result, published)


def _check(pairs: Sequence[tuple[ReviewedItem, str]], taxonomy: Taxonomy, examples: Examples) -> None:
    if not pairs or len(taxonomy.labels) < 2:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in examples.left_out.items() if count)
        raise DatasetInvalid(
            f"expected at least two labels, new ones with at least {LEAST_REVIEWS} reviewed pictures each, got "
            f"{len(pairs):,} usable reviews of {len(taxonomy.labels)} labels (left out: {reasons or 'none'})"
        )


def _kept(artifact: Artifact, *, keep: bool) -> list[str]:
    """Return the labels of the model that stay whether or not they are reviewed."""
    if not keep:
        return []
    reference = artifact.reference()
    if reference is None or not len(reference.train_labels):
        raise DatasetInvalid(
            f"{artifact.ref} brings no vectors of training pictures, so its labels cannot stay without reviews: teach "
            "with the reviewed labels alone (`keep_labels`: false, or --only-reviewed)"
        )
    present = set(reference.train_labels.tolist())
    return [label for number, label in enumerate(artifact.taxonomy.label_ids) if number in present]


def _kept_examples(artifact: Artifact, taxonomy: Taxonomy, kept: Sequence[str]) -> fitting.Examples | None:
    reference = artifact.reference()
    if not kept or reference is None:
        return None
    numbers = {label: number for number, label in enumerate(taxonomy.label_ids)}
    names = [artifact.taxonomy.label_ids[one] for one in reference.train_labels]
    wanted = set(kept)
    chosen = [number for number, name in enumerate(names) if name in wanted]
    labels = np.array([numbers[names[number]] for number in chosen], np.int64)
    return fitting.Examples(reference.train_embeddings[chosen].astype(np.float32), labels)


class _Lesson:
    """The examples of one lesson as arrays, and what is derived from them."""

    def __init__(
        self,
        artifact: Artifact,
        taxonomy: Taxonomy,
        pairs: Sequence[tuple[ReviewedItem, str]],
        kept: fitting.Examples | None,
    ) -> None:
        self._artifact, self._taxonomy, self._pairs, self._kept = artifact, taxonomy, pairs, kept
        items = [item for item, _ in pairs]
        numbers = {label: number for number, label in enumerate(taxonomy.label_ids)}
        self._truth = np.array([numbers[label] for _, label in pairs], np.int64)
        self._reviewed = Reviewed(vectors_of(items), self._truth, groups_of(items))
        self.fitter = Fitter(self._reviewed, kept, len(taxonomy.labels))

    def metrics(self, fitted: Fitted) -> dict[str, Any]:
        """Return the metrics of the new version, except the checks of its precisions."""
        metrics = evaluate(fitted.scores.astype(np.float32), self._truth, self._taxonomy)
        metrics["intervals"] |= group_intervals(
            fitted.scores.argmax(axis=1), self._truth, self._reviewed.groups, len(self._taxonomy.labels)
        )
        calibration = (
            {TEMPERATURE: fitted.temperature, UNCALIBRATED: "the reviews do not determine a temperature"}
            if fitted.calibration is None
            else calibration_metrics(fitted.calibration)
        )
        kept = 0 if self._kept is None else len(self._kept)
        taught = {
            "from": str(self._artifact.ref),
            "reviews": len(self._pairs),
            "kept_pictures": kept,
            "strength": fitted.strength,
        }
        digest = hashlib.sha256("\n".join(sorted(f"{item.sha256} {label}" for item, label in self._pairs)).encode())
        return (
            metrics
            | calibration
            | {
                TAUGHT: taught,
                "train_pictures": len(self._pairs) + kept,
                "data_hash": digest.hexdigest(),
            }
        )

    def reference(self, fitted: Fitted) -> Reference:
        """Return the reference of the new version. Its pictures to judge by are the reviewed ones, out of fold."""
        order = np.random.default_rng(fitting.SEED).permutation(len(self._truth))
        vectors = self._reviewed.vectors.astype(np.float16)
        train, train_labels = vectors[order], self._truth[order]
        if self._kept is not None:
            both = np.concatenate((vectors, self._kept.vectors.astype(np.float16)))
            labels = np.concatenate((self._truth, self._kept.labels))
            chosen = np.random.default_rng(fitting.SEED).permutation(len(labels))
            train, train_labels = both[chosen], labels[chosen]
        return Reference(
            train[:TRAIN_COUNT],
            train_labels[:TRAIN_COUNT].astype(np.int16),
            vectors[order[:VALIDATION_COUNT]],
            fitted.scores[order[:SCORED_COUNT]].astype(np.float16),
            self._truth[order[:SCORED_COUNT]].astype(np.int16),
        )

    def figures(
        self, fitted: Fitted, metrics: dict[str, Any], examples: Examples, rejected_confidence: float | None
    ) -> dict[str, Any]:
        """Return the figures of the lesson, except its curve and its duration."""
        confusion = np.array(metrics["confusion"])
        kept = np.zeros(0, np.int64) if self._kept is None else self._kept.labels
        of_kept = np.bincount(kept, minlength=len(self._taxonomy.labels))
        rows = [
            {
                "id": row["id"],
                "reviews": row["support"],
                "kept": int(of_kept[number]),
                "precision": row["precision"],
                "recall": row["recall"],
                "f1": row["f1"],
            }
            for number, row in enumerate(metrics["labels"])
        ]
        return {
            "reviews": len(self._pairs),
            "rejected": len(examples.rejected),
            "rejected_confidence": rejected_confidence,
            "left_out": {reason: count for reason, count in examples.left_out.items() if count},
            "labels": rows,
            "accuracy": accuracy_of(confusion),
            "accuracy_before": float(np.mean([item.predicted == label for item, label in self._pairs])),
            "intervals": {name: metrics["intervals"][name] for name in ("accuracy", "macro_f1")},
            "macro_f1": macro_f1_of(confusion),
            "calibration_error": None if fitted.calibration is None else fitted.calibration.error_after,
        }


def _mean_confidence(fitted: Fitted, examples: Examples, order: Order) -> float | None:
    if not examples.rejected or order.options["rejected_as"] is not None:
        return None
    scores: NDArray[np.float32] = fitted.head.scores(vectors_of(examples.rejected))
    return float(scores.max(axis=1).mean())


def _point(point: Point, taxonomy: Taxonomy) -> dict[str, Any]:
    recalls = {
        label: recall for label, recall in zip(taxonomy.label_ids, point.recalls, strict=True) if recall is not None
    }
    return {"reviews": point.reviews, "accuracy": point.accuracy, "recalls": recalls}


def _advice(one: Advice, taxonomy: Taxonomy) -> dict[str, Any]:
    label = taxonomy.label_ids[one.label]
    return {"label": label, "reviews": one.reviews, "more": MORE, "errors": one.errors, "gain": one.gain}


def _fine_tuning(reviews: int, order: Order) -> dict[str, Any] | None:
    if reviews < FINE_TUNING_REVIEWS:
        return None
    jobs = " ".join(f"--from {job_id}" for job_id in order.job_ids)
    commands = [
        f"lookbook dataset build {jobs} --labels review --validation 0.2 --out reviewed",
        f"lookbook train --data reviewed --name {order.options['name']}",
    ]
    return {"commands": commands, "minutes": round(reviews * SECONDS_PER_PICTURE / 60)}
