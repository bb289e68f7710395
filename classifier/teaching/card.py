"""The cards of versions with another head or another temperature, below their title."""

from __future__ import annotations

import re
from typing import Any

from classifier.calibration import CALIBRATED_ON, CALIBRATION_ERROR, ERROR_BEFORE, TEMPERATURE, UNCALIBRATED
from classifier.taxonomy import Taxonomy
from core.types import ModelRef


def taught_card(source: ModelRef, taxonomy: Taxonomy, metrics: dict[str, Any], rejected: int) -> str:
    """Return the card of a version that was taught from reviews. `metrics` are those of `worker.lessons.teach`."""
    names = {label.id: label.names["en"] for label in taxonomy.labels}
    rows = "\n".join(
        f"| {names[row['id']]} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} | {row['support']} |"
        for row in metrics["labels"]
    )
    taught = metrics["taught"]
    low, high = metrics["intervals"]["accuracy"]
    return f"""Classifies a photograph into {len(names)} labels: {", ".join(names.values())}.

## Origin
The backbone is that of {source}. The head, one dense layer, was fitted on the stored vectors of {taught["reviews"]:,}
reviewed pictures and of {taught["kept_pictures"]:,} training pictures of {source}: logistic regression with class
weights, whose regularisation (C = {taught["strength"]:g}) was chosen by cross-validation. No picture was opened for it.
{rejected:,} reviewed pictures, for which no label fits, are not among them unless the reviews give them a label.

## Figures
Cross-validated on the reviewed pictures: each was judged by a head that had seen neither it nor another picture of the
same photo or product. Reviewed pictures are no random sample if people reviewed doubtful predictions first.

| accuracy | 95 % interval | macro-F1 | balanced accuracy |
|---|---|---|---|
| {metrics["accuracy"]:.4f} | {low:.4f} to {high:.4f} | {metrics["macro_f1"]:.4f} | {metrics["balanced_accuracy"]:.4f} |

| label | precision | recall | F1 | reviews |
|---|---|---|---|---|
{rows}

{_calibration(metrics)}

## Limits
- It always answers with one of its labels, even if a picture shows none of them.
- A label with few reviews has a recall and a precision that say little.
- The licence of the weights is that of {source}."""


def calibrated_card(card: str, metrics: dict[str, Any]) -> str:
    """Return the card of a version, without its title, for the same version with another temperature."""
    untitled = re.sub(r"\A# .*\n+", "", card)
    kept = re.sub(r"## (?:Calibration|Precisions)\n.*?(?=\n## |\Z)", "", untitled, flags=re.DOTALL)
    return re.sub(r"\n{3,}", "\n\n", f"{kept.strip()}\n\n{_calibration(metrics)}")


def _calibration(metrics: dict[str, Any]) -> str:
    temperature = f"{metrics[TEMPERATURE]:.3f}"
    if UNCALIBRATED in metrics:
        return f"""## Calibration
The logits are divided by the cautious temperature {temperature}: {metrics[UNCALIBRATED]}, so it was fitted to slightly
smoothed labels (Platt 1999)."""
    before, after = f"{metrics[ERROR_BEFORE]:.4f}", f"{metrics[CALIBRATION_ERROR]:.4f}"
    return f"""## Calibration
The logits are divided by the temperature {temperature} (Guo et al. 2017), which changes confidences and no label. On
{metrics[CALIBRATED_ON]:,} reviewed pictures, the expected calibration error was {before} before and is {after} now. The
second figure is cross-fitted: each half of the pictures is measured with the temperature of the other half."""
