"""Commands that train and evaluate models."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from core.clock import utc_now
from core.settings import PROJECT, Settings

if TYPE_CHECKING:
    from classifier.artifact import Artifact
    from classifier.learning.publishing.runs import Evaluation

T = TypeVar("T")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)

_TITLES = {
    "accuracy": "accuracy",
    "recall_at_3": "recall@3",
    "macro_f1": "macro-F1",
    "balanced_accuracy": "balanced accuracy",
    "group_accuracy": "accuracy of groups",
}
"""The figures with an interval, and their titles in the table."""

DEFAULT_RECIPE = PROJECT / "recipes" / "training" / "garments.yaml"


class ProgressReporter:
    """Shows one progress bar per phase."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = TaskID(0)

    def phase(self, name: str, steps: int) -> None:
        """Add a bar for a phase of `steps` steps."""
        self._task = self._progress.add_task(name, total=steps, note="")

    def step(self, note: str) -> None:
        """Advance the bar by one step, and show `note` beside it."""
        self._progress.update(self._task, advance=1, note=note)

    def track(self, what: str, iterable: Iterable[T], length: int, /) -> Iterable[T]:
        """Yield the elements of `iterable`, and show them as steps of a phase."""
        self.phase(what, length)
        for element in iterable:
            yield element
            self.step("")


def progress_bars() -> Progress:
    """Make the progress display on standard error."""
    columns = (TextColumn("{task.description:>18}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"), console=err)


def train(
    data: Annotated[Path, typer.Option(help="Folder with `train/<label>/` and `validation/<label>/`.")],
    recipe: Annotated[Path, typer.Option(help="The training recipe (YAML).")] = DEFAULT_RECIPE,
    name: Annotated[str, typer.Option(help="The name of the model. The default is the name in the recipe.")] = "",
    models: Annotated[Path | None, typer.Option(help="Folder to publish in. The default is LOOKBOOK_MODELS.")] = None,
) -> None:
    """Train a model and publish it as the next version of its name.

    The labels are those of the recipe's taxonomy. If `lookbook dataset build` made the folder, they are those of the
    dataset.

    Examples:

        lookbook train --data ~/garments

        lookbook train --data ~/coats --name coats

        lookbook train --data ~/garments --recipe recipes/training/garments.yaml --models ~/models
    """
    quiet_tensorflow()
    from classifier.learning.publishing.runs import train_and_publish
    from classifier.learning.training.recipe import fit_to_dataset, read_recipe

    chosen, taxonomy = read_recipe(recipe)
    if name:
        chosen = chosen.with_name(name)
    chosen, taxonomy = fit_to_dataset(chosen, taxonomy, data)
    with progress_bars() as progress:
        reporter = ProgressReporter(progress)
        artifact = train_and_publish(
            chosen, taxonomy, data, models or Settings.read().models, utc_now(), reporter, reporter.track
        )
    out.print(_table(artifact.metrics))
    out.print(_figures(artifact.metrics))
    out.print(f"published {artifact.ref} in {artifact.folder}")


def evaluate(
    data: Annotated[Path, typer.Argument(help="Folder with one folder of pictures per label.")],
    model: Annotated[str, typer.Option(help="The model: name (its newest version) or name@version.")] = "garments",
    runtime: Annotated[str, typer.Option(help="The runtime: auto, tensorflow or openvino.")] = "auto",
    precision: Annotated[str, typer.Option(help="The precision of OpenVINO: f32, bf16, int8 or auto.")] = "f32",
    predictions: Annotated[Path | None, typer.Option(help="Write one line of JSON per picture to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Evaluate a model on labelled pictures. It classifies them exactly as a worker would.

    The 95 % intervals say how much the figures would vary with other pictures of the same kind.

    Examples:

        lookbook evaluate ~/garments/validation

        lookbook evaluate ~/garments/validation --model garments@2 --precision int8 --predictions predictions.jsonl
    """
    quiet_tensorflow()
    from classifier.learning.publishing.runs import evaluate_artifact

    settings = Settings.read().with_changes(runtime=runtime, precision=precision)
    artifact = open_named_artifact(settings.models, model)
    with progress_bars() as progress:
        opened, evaluation = evaluate_artifact(
            artifact, data, settings.runtime, settings.precision, ProgressReporter(progress).track
        )
    if predictions is not None:
        _write_predictions(predictions, artifact, evaluation)
    if as_json:
        out.print_json(data=evaluation.metrics)
        return
    out.print(_table(evaluation.metrics))
    out.print(_figures(evaluation.metrics))
    for path, error in evaluation.pictures.unreadable.items():
        out.print(f"left out {path}: {error.detail}", markup=False)
    out.print(f"{artifact.ref} on {opened.name}, {opened.device}, {opened.precision}")


def convert_backbone(
    backbone: Annotated[str, typer.Argument(help="The backbone, as `lookbook backbones` names it.")],
    target: Annotated[Path, typer.Argument(help="The file to write, ending in .keras.")],
) -> None:
    """Write the ImageNet network of a backbone as a Keras model, with the preprocessing inside.

    The model maps uint8 pixels to 1,000 logits. A recipe can start from the file: `weights: FILE`. The weights come
    from a package or from the download by Keras, so that a machine without a network can use the file of another.

    Examples:

        lookbook convert-backbone efficientnet_lite0 lite0.keras

        lookbook convert-backbone vgg16 vgg16.keras
    """
    quiet_tensorflow()
    from classifier.learning.networks.registry import build_imagenet

    if target.suffix != ".keras":
        raise typer.BadParameter(f"expected a file name ending in .keras, got {target.name!r}")
    build_imagenet(backbone).save(target)
    out.print(f"wrote {target}")


def quiet_tensorflow() -> None:
    """Silence TensorFlow's notes on the processor, which would break the progress bars. Call it before the import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def open_named_artifact(models: Path, text: str) -> Artifact:
    """Open the artifact of `name@version`, or the newest version of `name`.

    Raises:
        ModelUnknown: the folder of models has no such version.
    """
    from classifier.artifact import find_artifact, list_artifacts
    from core.errors import ModelUnknown
    from core.types import ModelRef

    name, at, version = text.partition("@")
    if at:
        return find_artifact(models, ModelRef(name, version))
    versions = [artifact for artifact in list_artifacts(models) if artifact.ref.name == name]
    if not versions:
        raise ModelUnknown(f"no model {name!r} in {models}")
    return versions[-1]


def _write_predictions(path: Path, artifact: Artifact, evaluation: Evaluation) -> None:
    labels = artifact.taxonomy.label_ids
    with path.open("w", encoding="utf-8") as file:
        for example, scores in zip(evaluation.pictures.examples, evaluation.scores, strict=True):
            top = int(scores.argmax())
            row = {
                "path": str(example.path),
                "true": labels[example.label],
                "label": labels[top],
                "score": float(scores[top]),
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _table(metrics: dict[str, Any]) -> Table:
    table = Table("label", "precision", "recall", "F1", "pictures", box=None, header_style="bold")
    for row in metrics["labels"]:
        figures = [f"{row[name]:.3f}" for name in ("precision", "recall", "f1")]
        table.add_row(row["id"], *figures, str(row["support"]))
    return table


def _figures(metrics: dict[str, Any]) -> Table:
    table = Table("figure", "value", "95 % interval", box=None, header_style="bold")
    for name, title in _TITLES.items():
        low, high = metrics["intervals"][name]
        table.add_row(title, f"{metrics[name]:.4f}", f"{low:.4f} to {high:.4f}")
    table.add_row("calibration error", f"{metrics['calibration_error']:.4f}", "")
    return table
