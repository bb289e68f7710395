"""Commands for the files of model versions: publish, card, diff."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markdown import Markdown

from cli.dataset_options import DATA_HELP, ShippedSplit, SplitFile, open_cache, split_choice
from cli.figures import TITLES
from cli.learning import ProgressReporter, open_named_artifact, progress_bars, quiet_tensorflow
from cli.output import AsJson, out, print_json, printable, printable_lines, table
from core.clock import utc_now
from core.errors import ArtifactInvalid
from core.settings import Settings

if TYPE_CHECKING:
    from classifier.artifact import Artifact
    from classifier.learning.data.pictures import Pictures
    from classifier.prepare import InputSpec
    from classifier.taxonomy import Taxonomy

_NAME = r"[a-z0-9][a-z0-9-]*"
"""Names of models become names of folders. Recipes allow the same ones."""
_SHOWN = 20
"""Number of pictures with other labels that `diff` lists without `--json`."""

ModelsFolder = Annotated[
    Path | None, typer.Option(help="Folder of the models. The default is LOOKBOOK_MODELS.", show_default=False)
]


def publish(
    source: Annotated[
        Path, typer.Argument(help="A Keras file (`.keras`), a folder with `model.keras`, or the folder of an artifact.")
    ],
    name: Annotated[str, typer.Option(help="The name of the model.", show_default=False)],
    labels: Annotated[
        Path | None, typer.Option(help="The labels in the order of the scores (JSON).", show_default=False)
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of its pictures. The default is that of the model.")
    ] = None,
    pixels: Annotated[str, typer.Option(help="The values of its pixels: 0..255, 0..1 or -1..1.")] = "0..255",
    data: Annotated[
        Path | None, typer.Option(help=f"Also measure it on these pictures. {DATA_HELP}", show_default=False)
    ] = None,
    split: SplitFile = None,
    shipped_split: ShippedSplit = False,
    models: ModelsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Publish a model that was trained elsewhere, as the next version of a name.

    The model is checked before: it takes RGB pictures, gives a score for each label, and its scores sum to 1. It must
    end with global average pooling or Flatten, at most one hidden layer, and a softmax layer, because explanations are
    made from them. `--labels` has the form of `labels.json` of an artifact, or is a list of labels. A folder may have
    `labels.json` and `input.json`. The folder of an artifact is published with its figures and its card.

    Examples:

        lookbook models publish coats.keras --name coats --labels labels.json --pixels -1..1

        lookbook models publish ~/exchange/garments/4 --name garments --models ~/models
    """
    quiet_tensorflow()
    from classifier.artifact import MANIFEST, Artifact
    from classifier.learning.publishing.adopted import publish_copy

    if not re.fullmatch(_NAME, name):
        raise typer.BadParameter(f"expected lower-case letters, digits and hyphens, got {name!r}", param_hint="--name")
    folder = models or Settings.read().models
    if (source / MANIFEST).is_file():
        if labels or size or data:
            raise typer.BadParameter("the artifact has labels, input and figures of its own: expected no such option")
        artifact = publish_copy(Artifact.open(source), name, folder, utc_now())
    else:
        choice = split_choice(split, shipped_split)
        artifact = _publish_keras(source, name, labels, size, pixels, data, choice, folder)
    if as_json:
        print_json({"model": str(artifact.ref), "folder": str(artifact.folder), "metrics": artifact.metrics})
        return
    out.print(f"published {artifact.ref} in {artifact.folder}", markup=False)


def _publish_keras(
    source: Path,
    name: str,
    labels: Path | None,
    size: int | None,
    pixels: str,
    data: Path | None,
    choice: Any,
    models: Path,
) -> Artifact:
    from classifier.artifact import INPUT, KERAS_MODEL, LABELS
    from classifier.keras_file import load_keras_file
    from classifier.learning.publishing.adopted import KerasSource, publish_keras
    from classifier.learning.publishing.adopting import PixelRange, input_size
    from classifier.prepare import InputSpec

    if pixels not in set(PixelRange):
        raise typer.BadParameter(f"expected --pixels among {', '.join(PixelRange)}, got {pixels!r}")
    file = source / KERAS_MODEL if source.is_dir() else source
    if labels is None and not (source / LABELS).is_file():
        raise typer.BadParameter(f"expected --labels, because {source} has no {LABELS}")
    taxonomy = _read_labels(labels or source / LABELS)
    if size is None and (source / INPUT).is_file():
        spec = InputSpec.from_json(json.loads((source / INPUT).read_text("utf-8")), source)
    else:
        found = size or input_size(load_keras_file(file))
        if found is None:
            raise typer.BadParameter("the model takes pictures of several sizes: expected --size")
        spec = InputSpec(found)
    pictures = None if data is None else _open_pictures(data, taxonomy, spec, choice)
    return publish_keras(KerasSource(file, taxonomy, spec, PixelRange(pixels)), name, models, utc_now(), pictures)


def _read_labels(path: Path) -> Taxonomy:
    from classifier.learning.data.styles import taxonomy_of_folders
    from classifier.taxonomy import Taxonomy

    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ArtifactInvalid(f"{path}: not JSON: {error}") from error
    if isinstance(content, list) and all(isinstance(label, str) for label in content):
        return taxonomy_of_folders(path.stem, content).restricted_to(content)
    if not isinstance(content, dict):
        raise ArtifactInvalid(f"{path}: expected a taxonomy or a list of labels")
    return Taxonomy.from_json(content)


def _open_pictures(data: Path, taxonomy: Taxonomy, spec: InputSpec, choice: Any) -> Pictures:
    from classifier.learning.data.opened import open_pictures

    with progress_bars() as progress:
        return open_pictures(data, taxonomy, spec, open_cache(ProgressReporter(progress)), choice)


def card(
    model: Annotated[str, typer.Argument(help="The model: name (its newest version) or name@version.")],
    models: ModelsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show the card of a model version: its data, its recipe, its figures and its limits.

    Examples:

        lookbook models card garments

        lookbook models card garments@2 --json
    """
    artifact = open_named_artifact(models or Settings.read().models, model)
    if as_json:
        print_json({"model": str(artifact.ref), "card": artifact.card, "metrics": artifact.metrics})
        return
    out.print(
        Markdown(printable_lines("\n".join(artifact.card.splitlines()))), soft_wrap=False, width=min(out.width, 120)
    )


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A model: name (its newest version) or name@version.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    data: Annotated[
        Path | None,
        typer.Option(help=f"Also compare their answers on these pictures. {DATA_HELP}", show_default=False),
    ] = None,
    split: SplitFile = None,
    shipped_split: ShippedSplit = False,
    models: ModelsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Compare two model versions: figures with intervals, recipes, labels, and their answers on the same pictures.

    Without `--data`, the figures are those of their cards, which may come from different pictures. With `--data`, both
    classify the same pictures. The pictures that get another label follow, and the p-value of McNemar's exact test:
    how often chance alone makes such a difference.

    Examples:

        lookbook models diff garments@1 garments@2

        lookbook models diff garments@1 garments@2 --data ~/garments --json
    """
    folder = models or Settings.read().models
    artifacts = [open_named_artifact(folder, name) for name in (first, second)]
    report = _differences(artifacts)
    if data is not None:
        report |= _compare_on(artifacts, data, split_choice(split, shipped_split))
    if as_json:
        print_json(report)
        return
    _show_differences(report)


def _differences(artifacts: list[Artifact]) -> dict[str, Any]:
    from classifier.learning.judging.leaderboard import differing, flat_settings
    from classifier.learning.publishing.card import recipe_in_card

    old, new = (artifact.taxonomy.label_ids for artifact in artifacts)
    return {
        "models": [str(artifact.ref) for artifact in artifacts],
        "figures": _figures([artifact.metrics for artifact in artifacts]),
        "recipes": differing([flat_settings(recipe_in_card(artifact.card)) for artifact in artifacts]),
        "inputs": [artifact.input.to_json() for artifact in artifacts],
        "labels": {
            "only_first": [label for label in old if label not in new],
            "only_second": [label for label in new if label not in old],
            "same_order": old == new,
        },
    }


def _figures(metrics: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [{"value": each.get(name), "interval": each.get("intervals", {}).get(name)} for each in metrics]
        for name in (*TITLES, "calibration_error")
    }


def _compare_on(artifacts: list[Artifact], data: Path, choice: Any) -> dict[str, Any]:
    quiet_tensorflow()
    from classifier.learning.judging.comparison import compare_answers
    from classifier.learning.publishing.runs import evaluate_artifact

    taxonomy = artifacts[0].taxonomy
    if taxonomy.label_ids != artifacts[1].taxonomy.label_ids:
        raise ArtifactInvalid("expected two models with the same labels in the same order, to compare their answers")
    evaluations = []
    for artifact in artifacts:
        pictures = _open_pictures(data, taxonomy, artifact.input, choice)
        runtime, evaluation = evaluate_artifact(artifact, pictures, "openvino", "f32")
        runtime.close()
        evaluations.append(evaluation)
    old, new = evaluations
    if old.pictures.paths() != new.pictures.paths():
        raise ArtifactInvalid("expected the same readable pictures for both models")
    found = compare_answers(old.scores, new.scores, old.pictures.labels)
    labels, paths = taxonomy.label_ids, old.pictures.paths()
    rows = [
        {
            "path": paths[position],
            "true": labels[old.pictures.labels[position]],
            "labels": [labels[each.scores[position].argmax()] for each in evaluations],
        }
        for position in found.changed
    ]
    figures = _figures([each.metrics for each in evaluations])
    return {"figures": figures, "answers": asdict(found) | {"changed": rows}}


def _show_differences(report: dict[str, Any]) -> None:
    shown = table("", *report["models"])
    for name, pair in report["figures"].items():
        shown.add_row(TITLES.get(name, "calibration error"), *map(_cell, pair))
    for setting in report["recipes"][0]:
        shown.add_row(setting, *(str(recipe[setting]) for recipe in report["recipes"]))
    for member in sorted({name for spec in report["inputs"] for name in spec}):
        values = [str(spec.get(member, "–")) for spec in report["inputs"]]
        if values[0] != values[1]:
            shown.add_row(f"input {member}", *values)
    labels = report["labels"]
    if labels["only_first"] or labels["only_second"]:
        shown.add_row("labels only in it", *(", ".join(labels[member]) for member in ("only_first", "only_second")))
    out.print(shown, markup=False)
    if "answers" in report:
        _show_answers(report["models"], report["answers"])


def _cell(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "–"
    ends = figure["interval"]
    return f"{figure['value']:.4f}" + (f" ({ends[0]:.4f} to {ends[1]:.4f})" if ends else "")


def _show_answers(models: list[str], answers: dict[str, Any]) -> None:
    out.print()
    changed = answers["changed"]
    if changed:
        shown = table("picture", "true", *models, wrapping="picture")
        for row in changed[:_SHOWN]:
            shown.add_row(printable(row["path"]), row["true"], *row["labels"])
        out.print(shown, markup=False)
    if len(changed) > _SHOWN:
        out.print(f"… and {len(changed) - _SHOWN:,} more (--json lists all)")
    out.print(
        f"{len(changed):,} of {answers['pictures']:,} pictures get another label. Only {models[0]} gets "
        f"{answers['only_first_right']:,} right, only {models[1]} {answers['only_second_right']:,}.",
        markup=False,
    )
    verdict = "probably no chance" if answers["p_value"] < 0.05 else "may be chance"
    out.print(f"McNemar's exact test: p = {answers['p_value']:.3g}, so the difference {verdict}.")
