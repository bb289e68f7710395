"""Calibrate: fit the temperature of a version on the reviews of its predictions, and publish the version with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax

from classifier.artifact import OPENVINO_MODEL, Artifact
from classifier.calibration import (
    CALIBRATION_ERROR,
    ERROR_BEFORE,
    TEMPERATURE,
    UNCALIBRATED,
    calibration_metrics,
    logits_of,
)
from classifier.calibration import calibrate as fit
from classifier.reference import Reference
from classifier.teaching.card import calibrated_card
from classifier.teaching.openvino_head import read_head
from classifier.teaching.publishing import NewVersion, publish_with_head
from core.clock import utc_now
from core.settings import Settings
from db.database import Database
from db.views.lessons import read_reviewed
from worker.lessons.examples import groups_of
from worker.lessons.work import Order, Outcome, least_number, open_version


def calibrate(settings: Settings, database: Database, order: Order) -> Outcome:
    """Fit the temperature on the stored scores of reviewed items, and publish the version that has it.

    Raises:
        DatasetInvalid: the reviews do not determine a temperature.
        ArtifactInvalid: the head of the model cannot be replaced.
    """
    with database.reading() as session:
        items = read_reviewed(session, order.job_ids)
        least = least_number(session, order.options["name"])
    order.report(database, len(items))
    artifact = open_version(settings, order)
    numbers = {label: number for number, label in enumerate(artifact.taxonomy.label_ids)}
    used = [
        item
        for item in items
        if item.label in numbers and item.model_version_id == order.version_id and not item.has_other_crop
    ]
    scores = np.array([item.scores for item in used]).reshape(len(used), len(numbers))
    labels = np.array([numbers[item.label or ""] for item in used], np.int64)
    found = fit(scores, labels, [str(group) for group in groups_of(used)] if used else [])
    earlier = artifact.metrics.get(TEMPERATURE, 1.0)
    kept = {name: value for name, value in artifact.metrics.items() if name != UNCALIBRATED}
    metrics: dict[str, Any] = kept | calibration_metrics(found, earlier)
    head = read_head(artifact, OPENVINO_MODEL).tempered(found.temperature)
    card = calibrated_card(artifact.card, metrics)
    new = NewVersion(head, artifact.taxonomy, metrics, _reference(artifact, found.temperature), card)
    models = settings.fetched_models_folder if settings.blobs else settings.models
    published = publish_with_head(artifact, new, order.options["name"], models, utc_now(), least)
    result = {
        "reviews": len(used),
        "temperature": metrics[TEMPERATURE],
        "calibration_error_before": metrics[ERROR_BEFORE],
        "calibration_error": metrics[CALIBRATION_ERROR],
    }
    return Outcome(result, published)


def _reference(artifact: Artifact, temperature: float) -> Reference | None:
    before = artifact.reference()
    if before is None:
        return None
    scores = softmax(logits_of(before.validation_scores) / temperature, axis=1).astype(np.float16)
    return Reference(
        before.train_embeddings,
        before.train_labels,
        before.validation_embeddings,
        scores,
        before.validation_labels,
    )
