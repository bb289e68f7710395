"""`lookbook evaluate`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.dataset_options import DATA_HELP, ShippedSplit, SplitFile, open_cache, split_choice
from cli.figures import figure_table, label_table
from cli.learning import ProgressReporter, open_named_artifact, out, progress_bars, quiet_tensorflow
from core.settings import Settings

if TYPE_CHECKING:
    from classifier.artifact import Artifact
    from classifier.learning.publishing.runs import Evaluation


class Part(StrEnum):
    """A side of a split, or all labelled pictures."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    ALL = "all"


def evaluate(
    data: Annotated[Path, typer.Argument(help=DATA_HELP)],
    model: Annotated[str, typer.Option(help="The model: name (its newest version) or name@version.")] = "garments",
    runtime: Annotated[str, typer.Option(help="The runtime: auto, tensorflow or openvino.")] = "auto",
    precision: Annotated[str, typer.Option(help="The precision of OpenVINO: f32, bf16, int8 or auto.")] = "f32",
    split: SplitFile = None,
    shipped_split: ShippedSplit = False,
    part: Annotated[
        Part | None,
        typer.Option(
            help="The side of the split, or all labelled pictures. The default is the validation side, or all pictures "
            "if there is none.",
            show_default=False,
        ),
    ] = None,
    predictions: Annotated[Path | None, typer.Option(help="Write one line of JSON per picture to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Evaluate a model on labelled pictures. It classifies them exactly as a worker would.

    The 95 % intervals say how much the figures would vary with other pictures of the same kind.

    Examples:

        lookbook evaluate ~/garments/validation

        lookbook evaluate ~/kfashion.arrow --model kfashion --split ~/split.csv --part test

        lookbook evaluate ~/garments/validation --model garments@2 --precision int8 --predictions predictions.jsonl
    """
    quiet_tensorflow()
    from classifier.learning.data.opened import open_pictures
    from classifier.learning.publishing.runs import evaluate_artifact

    settings = Settings.read().with_changes(runtime=runtime, precision=precision)
    artifact = open_named_artifact(settings.models, model)
    choice = split_choice(split, shipped_split)
    with progress_bars() as progress:
        cache = open_cache(ProgressReporter(progress))
        pictures = open_pictures(data, artifact.taxonomy, artifact.input, cache, choice, part)
        opened, evaluation = evaluate_artifact(artifact, pictures, settings.runtime, settings.precision)
    if predictions is not None:
        _write_predictions(predictions, artifact, evaluation)
    if as_json:
        out.print_json(data=evaluation.metrics)
        return
    out.print(label_table(evaluation.metrics))
    out.print(figure_table(evaluation.metrics))
    for path in pictures.unreadable:
        out.print(f"left out {path}: it cannot be read", markup=False)
    out.print(f"{artifact.ref} on {opened.name}, {opened.device}, {opened.precision}")


def _write_predictions(path: Path, artifact: Artifact, evaluation: Evaluation) -> None:
    labels, pictures = artifact.taxonomy.label_ids, evaluation.pictures
    with path.open("w", encoding="utf-8") as file:
        for place, label, scores in zip(pictures.paths(), pictures.labels, evaluation.scores, strict=True):
            top = int(scores.argmax())
            row = {"path": place, "true": labels[label], "label": labels[top], "score": float(scores[top])}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
