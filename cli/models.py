"""Commands for model versions: list, promote, export, calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.dataset_options import DATA_HELP, ShippedSplit, SplitFile, open_cache, split_choice
from cli.learning import ProgressReporter, open_named_artifact, progress_bars, quiet_tensorflow
from cli.output import AsJson, Key, Url, connect, err, out, print_json, table
from core.clock import utc_now
from core.settings import Settings
from lookbook import DEFAULT_URL
from lookbook.model_answers import Promotion

app = typer.Typer(invoke_without_command=True)


@app.callback()
def list_models(context: typer.Context, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """List the model versions of the service with their input and their measured accuracy, or run a command on one.

    Examples:

        lookbook models

        lookbook models promote garments@3
    """
    if context.invoked_subcommand is not None:
        return
    with connect(url, key) as client:
        rows = list(client.models())
    if as_json:
        print_json([row.raw for row in rows])
        return
    shown = table("model", "aliases", "input", "accuracy", "macro-F1", "created", wrapping="aliases")
    for row in rows:
        figures = [row.metrics.get(name) for name in ("accuracy", "macro_f1")]
        cells = ["–" if figure is None else f"{figure:.4f}" for figure in figures]
        seen = f"{row.input['size']} px, {row.input.get('view', 'whole')}"
        shown.add_row(row.ref, ", ".join(row.aliases), seen, *cells, f"{row.created_at.astimezone():%Y-%m-%d %H:%M}")
    out.print(shown)


@app.command("promote")
def promote(
    model: Annotated[str, typer.Argument(help="The model version: name@version.")],
    patience: Annotated[float, typer.Option(help="The longest wait for the workers to load it, in seconds.")] = 120.0,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Make a model version `production` as soon as every worker has loaded it. Nothing restarts.

    If the version was published while the service runs, register it with `lookbook db upgrade` first.

    Example:

        lookbook models promote garments@3
    """
    name, at, version = model.partition("@")
    if not at:
        raise typer.BadParameter(f"expected name@version, got {model!r}")
    with connect(url, key) as client, err.status("waiting for the workers to load it") as status:

        def show(progress: Promotion) -> None:
            waiting = f"waiting for {len(progress.waiting_for)} of {progress.workers} workers to load {model}"
            status.update(waiting if progress.waiting_for else "")

        promotion = client.promote(name, version, progress=show, timeout=patience)
    out.print(f"production is {model}, loaded by {promotion.workers} workers")


@app.command("export")
def export(
    model: Annotated[str, typer.Argument(help="The model: name (its newest version) or name@version.")],
    data: Annotated[Path, typer.Option(help=DATA_HELP)],
    split: SplitFile = None,
    shipped_split: ShippedSplit = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also quantize it, calibrated on 300 pictures to learn from.")
    ] = False,
    models: Annotated[Path | None, typer.Option(help="Folder to publish in. The default is LOOKBOOK_MODELS.")] = None,
) -> None:
    """Export a model's weights again, check each precision on the validation side, and publish the next version.

    The model card says how many labels each precision changes. Workers use a precision only if it changes at most
    0.5 % of the labels.

    Examples:

        lookbook models export garments --data ~/garments --int8

        lookbook models export garments@1 --data ~/garments --models ~/models
    """
    quiet_tensorflow()
    from classifier.learning.data.opened import OpenedDataset
    from classifier.learning.publishing.runs import export_artifact

    folder = models or Settings.read().models
    source = open_named_artifact(Settings.read().models, model)
    with progress_bars() as progress:
        reporter = ProgressReporter(progress)
        opened = OpenedDataset.open(data, source.taxonomy, split_choice(split, shipped_split), open_cache(reporter))
        artifact = export_artifact(source, opened, folder, utc_now(), int8=int8)
    shown = table("precision", "other labels", "of", "accuracy", "largest difference")
    for name, check in artifact.metrics["precisions"].items():
        figures = (f"{check['accuracy']:.4f}", f"{check['largest_difference']:.3f}")
        shown.add_row(name, str(check["flips"]), str(check["pictures"]), *figures)
    out.print(shown)
    out.print(f"published {artifact.ref} in {artifact.folder}")


@app.command("calibrate")
def calibrate(
    model: Annotated[str, typer.Argument(help="The model: name (its newest version) or name@version.")],
    data: Annotated[Path, typer.Option(help=DATA_HELP)],
    split: SplitFile = None,
    shipped_split: ShippedSplit = False,
    models: Annotated[Path | None, typer.Option(help="Folder to publish in. The default is LOOKBOOK_MODELS.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fit a temperature on the validation side, and publish the next version, whose confidences match its accuracy.

    The next version gives every picture the same label. An export in int8 is made if the version has one and the
    dataset has pictures to learn from. The model card shows the calibration error before and after.

    Examples:

        lookbook models calibrate garments --data ~/garments

        lookbook models calibrate garments@1 --data ~/garments --models ~/models --json
    """
    quiet_tensorflow()
    from classifier.learning.data.opened import OpenedDataset
    from classifier.learning.judging.calibration import CALIBRATED_ON, CALIBRATION_ERROR, ERROR_BEFORE, TEMPERATURE
    from classifier.learning.publishing.calibrating import calibrate_artifact

    folder = models or Settings.read().models
    source = open_named_artifact(Settings.read().models, model)
    with progress_bars() as progress:
        cache = open_cache(ProgressReporter(progress))
        opened = OpenedDataset.open(data, source.taxonomy, split_choice(split, shipped_split), cache)
        artifact = calibrate_artifact(source, opened, folder, utc_now())
    figures = {name: artifact.metrics[name] for name in (TEMPERATURE, CALIBRATED_ON, ERROR_BEFORE, CALIBRATION_ERROR)}
    if as_json:
        print_json({"model": str(artifact.ref), "folder": str(artifact.folder), **figures})
        return
    shown = table("temperature", "pictures", "calibration error before", "calibration error")
    errors = (f"{figures[ERROR_BEFORE]:.4f}", f"{figures[CALIBRATION_ERROR]:.4f}")
    shown.add_row(f"{figures[TEMPERATURE]:.3f}", str(figures[CALIBRATED_ON]), *errors)
    out.print(shown)
    out.print(f"published {artifact.ref} in {artifact.folder}")
