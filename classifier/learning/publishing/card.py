"""The model card: what a model is, what it was trained on, how good it is, and what its limits are."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from classifier.artifact import OPENVINO_INT8
from classifier.calibration import (
    CALIBRATED_ON,
    CALIBRATION_ERROR,
    ERROR_BEFORE,
    TEMPERATURE,
    UNCALIBRATED,
)
from classifier.learning.data.extras import ExtraReport
from classifier.learning.judging.shortcuts import SHORTCUTS
from classifier.learning.networks.catalogue import IMAGENET, SCRATCH, find_entry
from classifier.learning.training.recipe import Recipe
from classifier.precision import MAX_FLIP_SHARE, METRIC, Check
from classifier.prepare import InputSpec, View
from classifier.taxonomy import Taxonomy
from core.types import ModelRef

AS_SERVED = "as_served"
"""The member of the metrics with the figures of pictures as a worker gets them, without known garments."""
SERVED_FIGURES = ("accuracy", "recall_at_3", "macro_f1", "balanced_accuracy", "group_accuracy", "calibration_error")

SEEN: Mapping[View, str] = {
    "whole": "The model sees the whole picture.",
    "crop": "The model sees the box around the garments of a picture.",
    "mask": "The model sees the picture with grey in place of all but its garments.",
    "views": "The model sees the whole picture, and each garment in a picture of its own.",
    "garment": "The model sees one garment: a region of a request, or all garments of a picture without regions.",
}

_CARD = """# {ref}

Classifies a photograph of one garment into {count} labels: {labels}.

## Data
{title}. Source: {source}. Licence of the pictures: {licence}.
Trained on {train_pictures:,} pictures and evaluated on {validation_pictures:,} others, which were never trained on.
{unreadable_files} files could not be read. {sources} Hash of the data: `{data_hash}`.

## Input
{seen}

## How to reproduce it
    make train DATA=<folder with train/ and validation/>

with this recipe ({start}):

{recipe}

## Figures
Measured on the {validation_pictures:,} validation pictures, with `prepare()` and the OpenVINO export in f32:

| accuracy | recall@3 | macro-F1 | balanced accuracy | accuracy of groups | calibration error |
|---|---|---|---|---|---|
| {accuracy:.4f} | {recall_at_3:.4f} | {macro_f1:.4f} | {balanced_accuracy:.4f} | {group_accuracy:.4f} | {error:.4f} |

| label | precision | recall | F1 | pictures |
|---|---|---|---|---|
{rows}

{served}`confusion.png` shows which labels the model confuses. `curves.png` shows the course of the training.

{notes}

{shortcuts}{calibration}{precisions}

## Limits
- {limits}
- The model always answers with one of its labels, even if a picture shows none of them. A low confidence is only a
  hint.
- The rarest labels ({rare}) were trained on the fewest pictures.
- The Keras weights are stored in float16, those of the export in float32. Both runtimes compute in float32 by default.

## Licence
The weights may be used under the licence of this project. {licence_of_start}
"""


@dataclass(frozen=True, slots=True)
class AdoptedFrom:
    """The origin of a version that was trained elsewhere."""

    file: str
    sha256: str
    pixels: str


def model_card(ref: ModelRef, recipe: Recipe, taxonomy: Taxonomy, metrics: dict[str, Any]) -> str:
    """Return the card in Markdown. `metrics` are those of `evaluate()` with the numbers of pictures."""
    names = {label.id: label.names["en"] for label in taxonomy.labels}
    rows = [
        f"| {names[row['id']]} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} | {row['support']} |"
        for row in metrics["labels"]
    ]
    rarest = sorted(metrics["labels"], key=lambda row: row["support"])[:3]
    # Files are named without their folder, which is of this machine.
    named = recipe.model_copy(
        update={
            "weights": Path(recipe.weights).name,
            "input": recipe.input.without_folder(),
            "distill": recipe.distill and recipe.distill.without_folder(),
        }
    )
    content = named.model_dump(mode="json", exclude={"data", "notes"}, exclude_none=True)
    shown = yaml.safe_dump(content, sort_keys=False)
    figures = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    return _CARD.format(
        ref=ref,
        count=len(taxonomy.labels),
        labels=", ".join(names.values()),
        title=recipe.data.title[0].upper() + recipe.data.title[1:],
        source=recipe.data.source,
        licence=recipe.data.licence,
        limits=recipe.data.limits.strip(),
        notes=recipe.notes.strip(),
        start=_start(recipe),
        licence_of_start=_licence_of_start(recipe),
        recipe="\n".join(f"    {line}" for line in shown.splitlines()),
        rows="\n".join(rows),
        error=metrics["calibration_error"],
        shortcuts=_shortcuts(metrics),
        seen=_seen(recipe),
        served=_served(metrics),
        calibration=_calibration(metrics),
        precisions=_precisions(metrics),
        sources=" ".join([metrics["split"], *(ExtraReport(**row).sentence for row in metrics["extra_sources"])]),
        data_hash=metrics["data_hash"],
        rare=", ".join(names[row["id"]] for row in rarest),
        **figures,
    )


def _seen(recipe: Recipe) -> str:
    """Return what the model sees of a picture."""
    seen = f"{SEEN[recipe.input.view]} The picture is padded to {recipe.size} x {recipe.size} pixels."
    if recipe.input.view == "whole":
        return seen
    segmenter = recipe.input.segmenter
    if segmenter is None:
        return f"{seen}\nA picture without known garments, such as every picture that a worker gets, is shown whole."
    return (
        f"{seen}\nIf the garments of a picture are not known, `{Path(segmenter.file).name}` finds them or the person."
    )


def _served(metrics: dict[str, Any]) -> str:
    if AS_SERVED not in metrics:
        return ""
    figures = " | ".join(f"{metrics[AS_SERVED][name]:.4f}" for name in SERVED_FIGURES)
    return f"""These figures are of pictures whose garments the dataset knows. The same pictures without that knowledge,
as a worker gets them:

| accuracy | recall@3 | macro-F1 | balanced accuracy | accuracy of groups | calibration error |
|---|---|---|---|---|---|
| {figures} |

"""


def _start(recipe: Recipe) -> str:
    """Return what the backbone started from."""
    if recipe.weights == SCRATCH:
        return "the backbone started from random weights"
    if recipe.weights == IMAGENET:
        return f"backbone weights: ImageNet, {find_entry(recipe.backbone).weights_from}"
    return f"backbone weights: the file {Path(recipe.weights).name}"


def _licence_of_start(recipe: Recipe) -> str:
    if recipe.weights == SCRATCH:
        return "They were trained from random weights."
    if recipe.weights != IMAGENET:
        return f"They were initialised with the file {Path(recipe.weights).name}, whose licence holds as well."
    if find_entry(recipe.backbone).source == "package":
        return "They were initialised with ImageNet weights of the\nEfficientNet-Lite authors (Apache License 2.0)."
    return "They were initialised with the ImageNet weights that Keras\ndistributes for this backbone."


def renewed_card(card: str, ref: ModelRef, metrics: dict[str, Any]) -> str:
    """Return the card for another version of the same network, with the calibration and the checks of that version."""
    titled = re.sub(r"\A# .*", f"# {ref}", card)
    without = re.sub(r"## (?:Calibration|Precisions)\n.*?(?=\n## )", "", titled, flags=re.DOTALL)
    if CALIBRATION_ERROR in metrics:
        # The calibration error is the last cell of the table of figures.
        row = r"(\| accuracy \|.*\n\|[-|]*\n\|.*\| )[\d.]+( \|)"
        without = re.sub(row, rf"\g<1>{metrics[CALIBRATION_ERROR]:.4f}\g<2>", without, count=1)
    sections = f"{_calibration(metrics)}{_precisions(metrics)}"
    return re.sub(r"\n{3,}", "\n\n", without.replace("\n## Limits\n", f"\n{sections}\n\n## Limits\n", 1))


def recipe_in_card(card: str) -> dict[str, Any]:
    """Return the recipe that the card of a trained version shows, or an empty one if it shows none."""
    found = re.search(r"with this recipe.*?:\n\n((?:    .*\n)+)", card)
    content = yaml.safe_load(textwrap.dedent(found[1])) if found else None
    return content if isinstance(content, dict) else {}


def adopted_card(
    ref: ModelRef, taxonomy: Taxonomy, spec: InputSpec, source: AdoptedFrom, metrics: dict[str, Any]
) -> str:
    """Return the card of a version that was trained elsewhere. `metrics` may lack figures."""
    measured = "macro_f1" in metrics
    figures = (
        f"Measured on {metrics['pictures']:,} labelled pictures of its publisher, with `prepare()` and the OpenVINO "
        f"export in f32:\n\n| figure | value | 95 % interval |\n|---|---|---|\n{_figure_rows(metrics)}"
        if measured
        else "Nothing was measured when it was published: `lookbook evaluate` measures it on labelled pictures."
    )
    return f"""# {ref}

Classifies a photograph into {len(taxonomy.labels)} labels: {", ".join(taxonomy.label_ids)}.

## Origin
It was trained outside of Lookbook and published from the Keras file {source.file} (SHA-256 {source.sha256}). Its input
are pictures of {spec.size} pixels with values {source.pixels}. Its data, recipe and licence are not known here.

## Figures
{figures}

{_calibration(metrics)}{_precisions(metrics)}

## Limits
- It always answers with one of its labels, even if a picture shows none of them.
- It was checked that its scores sum to 1 and that there is one for each label. The order of the labels was not checked.
"""


def _figure_rows(metrics: dict[str, Any]) -> str:
    rows = []
    for name, (low, high) in metrics["intervals"].items():
        rows.append(f"| {name.replace('_', ' ')} | {metrics[name]:.4f} | {low:.4f} to {high:.4f} |")
    rows.append(f"| calibration error | {metrics[CALIBRATION_ERROR]:.4f} | |")
    return "\n".join(rows)


def _shortcuts(metrics: dict[str, Any]) -> str:
    if SHORTCUTS not in metrics:
        return ""
    report = metrics[SHORTCUTS]
    pictures = max(part["pictures"] for part in report["parts"])
    verdicts = "\n".join(f"- {sentence}" for sentence in report["verdicts"])
    return f"""## Shortcuts
What else than clothes the model may have learned, measured on {pictures:,} validation pictures. Percentages in
parentheses are 95 % intervals.

{verdicts}

"""


def _calibration(metrics: dict[str, Any]) -> str:
    if UNCALIBRATED in metrics:
        return f"## Calibration\nThe confidences are not calibrated: {metrics[UNCALIBRATED]}.\n\n"
    if TEMPERATURE not in metrics:
        return ""
    temperature, pictures = f"{metrics[TEMPERATURE]:.3f}", f"{metrics[CALIBRATED_ON]:,}"
    before, after = f"{metrics[ERROR_BEFORE]:.4f}", f"{metrics[CALIBRATION_ERROR]:.4f}"
    return f"""## Calibration
The logits are divided by the temperature {temperature} (Guo et al. 2017), which changes confidences and no label. On
{pictures} validation pictures, the expected calibration error was {before} before and is {after} now. The second figure
is cross-fitted: each half of the pictures is measured with the temperature of the other half.

"""


def _precisions(metrics: dict[str, Any]) -> str:
    checks: dict[str, Check] = metrics.get(METRIC, {})
    rows = [
        f"| {name} | {check['pictures']} | {check['flips']} | {check['accuracy']:.4f} "
        f"| {check['largest_difference']:.3f} | {_verdict(check)} |"
        for name, check in checks.items()
    ]
    exports = (
        f" `{OPENVINO_INT8}` holds the quantized network (`lookbook models export --int8`)." if "int8" in checks else ""
    )
    table = "\n".join(
        ("| precision | pictures | other labels | accuracy | largest difference | |", "|---|---|---|---|---|---|")
    )
    found = "\n".join((table, *rows)) if rows else "No other precision was checked."
    return f"""## Precisions
OpenVINO computes in f32 by default.{exports} The table compares the other precisions with f32 on the validation
pictures. A precision that changes the label of more than {MAX_FLIP_SHARE:.1%} of them is never used.

{found}"""


def _verdict(check: Check) -> str:
    return "may be used" if check["flips"] <= MAX_FLIP_SHARE * check["pictures"] else "not used"
