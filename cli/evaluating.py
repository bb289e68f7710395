"""`lookbook evaluate`."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.dataset_options import DATA_HELP, ShippedSplit, SplitFile, open_cache, split_choice
from cli.figures import figure_table, label_table, robustness_table, shortcut_tables, throughput_table
from cli.learning import ProgressReporter, open_named_artifact, out, progress_bars, quiet_tensorflow
from cli.output import Key, Url
from core.settings import Settings
from lookbook import DEFAULT_URL

if TYPE_CHECKING:
    from classifier.artifact import Artifact
    from classifier.learning.publishing.runs import Evaluation
    from classifier.runtime import Runtime


class Part(StrEnum):
    """A side of a split, or all labelled pictures."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    ALL = "all"


def evaluate(
    data: Annotated[Path | None, typer.Argument(help=DATA_HELP, show_default=False)] = None,
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
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also measure mirrored, compressed and cropped pictures.")
    ] = False,
    throughput: Annotated[
        bool, typer.Option("--throughput", help="Also measure the speed of each runtime and precision here.")
    ] = False,
    shortcuts: Annotated[
        bool, typer.Option("--shortcuts", help="Also look for signs that the model has learned backgrounds or shops.")
    ] = False,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write confusion.png, reliability.png and labels.png.", show_default=False),
    ] = None,
    predictions: Annotated[Path | None, typer.Option(help="Write one line of JSON per picture to this file.")] = None,
    job: Annotated[
        str, typer.Option(metavar="JOB", help="Evaluate the reviewed items of this job instead.", show_default=False)
    ] = "",
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Evaluate a model on labelled pictures. It classifies them exactly as a worker would.

    The 95 % intervals say how much the figures would vary with other pictures of the same kind. With `--job`, the
    predictions of the job are compared with the reviews.

    Examples:

        lookbook evaluate ~/garments/validation

        lookbook evaluate ~/kfashion.arrow --model kfashion --split ~/split.csv --part test --shortcuts

        lookbook evaluate ~/garments --model garments@4 --robustness --throughput --plots ~/plots

        lookbook evaluate --job job_01k…
    """
    if (data is None) == (not job):
        raise typer.BadParameter("expected either a dataset or --job", param_hint="DATA, --job")
    if data is None:
        # NumPy takes long to import, and all commands import this module.
        from cli.evaluating_jobs import evaluate_job

        evaluate_job(job, url, key, plots, as_json=as_json)
        return
    quiet_tensorflow()
    from classifier.learning.data.opened import open_pictures
    from classifier.learning.publishing.runs import evaluate_artifact

    settings = Settings.read().with_changes(runtime=runtime, precision=precision)
    artifact = open_named_artifact(settings.models, model)
    choice = split_choice(split, shipped_split)
    more: dict[str, Any] = {}
    with progress_bars() as progress:
        reporter = ProgressReporter(progress)
        pictures = open_pictures(data, artifact.taxonomy, artifact.input, open_cache(reporter), choice, part)
        opened, evaluation = evaluate_artifact(artifact, pictures, settings.runtime, settings.precision)
        if robustness:
            more |= _robustness(opened, evaluation, artifact, reporter)
        if shortcuts:
            more |= _shortcuts(opened, evaluation, artifact, reporter)
        if throughput:
            more |= _throughput(artifact, reporter)
    if plots is not None:
        _plot(plots, evaluation)
    if predictions is not None:
        _write_predictions(predictions, artifact, evaluation)
    if as_json:
        out.print_json(data=evaluation.metrics | more)
        return
    out.print(label_table(evaluation.metrics))
    out.print(figure_table(evaluation.metrics))
    _show_more(more)
    for path in pictures.unreadable:
        out.print(f"left out {path}: it cannot be read", markup=False)
    out.print(f"{artifact.ref} on {opened.name}, {opened.device}, {opened.precision}")
    if plots is not None:
        out.print(f"plots in {plots}", markup=False)


def _robustness(
    runtime: Runtime, evaluation: Evaluation, artifact: Artifact, reporter: ProgressReporter
) -> dict[str, Any]:
    from classifier.learning.judging.robustness import measure_robustness

    index = evaluation.pictures.index
    return {"robustness": measure_robustness(runtime, index, artifact.input, partial(reporter.track, "robustness"))}


def _shortcuts(
    runtime: Runtime, evaluation: Evaluation, artifact: Artifact, reporter: ProgressReporter
) -> dict[str, Any]:
    from classifier.learning.judging.shortcuts import examine

    track = partial(reporter.track, "shortcuts")
    report = examine(runtime, evaluation.pictures.index, artifact.input, track)
    return {"shortcuts": report.to_json()}


def _throughput(artifact: Artifact, reporter: ProgressReporter) -> dict[str, Any]:
    from classifier.learning.judging.throughput import measure_throughput

    speeds = measure_throughput(artifact, partial(reporter.track, "throughput"))
    return {"throughput": [asdict(speed) | {"rate": speed.rate} for speed in speeds]}


def _plot(folder: Path, evaluation: Evaluation) -> None:
    from classifier.learning.judging.evaluation_plots import plot_evaluation

    plot_evaluation(folder, evaluation.scores, evaluation.pictures.labels, evaluation.metrics)


def _show_more(more: dict[str, Any]) -> None:
    if "robustness" in more:
        out.print()
        out.print(robustness_table(more["robustness"]))
    if "throughput" in more:
        out.print()
        out.print(throughput_table(more["throughput"]))
    if "shortcuts" in more:
        for shown in shortcut_tables(more["shortcuts"]):
            out.print()
            out.print(shown)
        out.print()
        for sentence in more["shortcuts"]["verdicts"]:
            out.print(f"– {sentence}", markup=False)
        out.print()


def _write_predictions(path: Path, artifact: Artifact, evaluation: Evaluation) -> None:
    labels, pictures = artifact.taxonomy.label_ids, evaluation.pictures
    with path.open("w", encoding="utf-8") as file:
        for place, label, scores in zip(pictures.paths(), pictures.labels, evaluation.scores, strict=True):
            top = int(scores.argmax())
            row = {"path": place, "true": labels[label], "label": labels[top], "score": float(scores[top])}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
