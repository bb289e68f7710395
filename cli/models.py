"""Commands for model versions: list, promote, drift, shadow, export, calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli.dataset_options import DATA_HELP, ShippedSplit, SplitFile, open_cache, split_choice
from cli.learning import ProgressReporter, open_named_artifact, progress_bars, quiet_tensorflow
from cli.output import AsJson, Key, Url, connect, err, out, print_json, table
from cli.teaching import calibrate_on_reviews
from core.clock import utc_now
from core.settings import Settings
from lookbook import DEFAULT_URL
from lookbook.model_answers import JobDrift, ModelDrift, Promotion

app = typer.Typer(invoke_without_command=True)


@app.callback()
def list_models(context: typer.Context, url: Url = DEFAULT_URL, key: Key = "", as_json: AsJson = False) -> None:
    """List the model versions of the service with their input and their measured accuracy, or run a command on one.

    Examples:

        lookbook models

        lookbook models promote garments@4
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
    as_json: AsJson = False,
) -> None:
    """Make a model version `production` as soon as every worker has loaded it. Nothing restarts.

    If the version was published while the service runs, register it with `lookbook db upgrade` first. If a worker
    cannot load the version, the command ends with the reason after ten seconds, and `production` does not change.

    Examples:

        lookbook models promote garments@4

        lookbook models promote garments@4 --json
    """
    name, version = _named(model)
    with connect(url, key) as client, err.status("waiting for the workers to load it") as status:

        def show(progress: Promotion) -> None:
            waiting = f"waiting for {len(progress.waiting_for)} of {progress.workers} workers to load {model}"
            if progress.failures:
                waiting += f"; {len(progress.failures)} could not: {escape(progress.failures[0].reason)}"
            status.update(waiting if progress.waiting_for else "")

        promotion = client.promote(name, version, progress=show, timeout=patience)
    if as_json:
        print_json(promotion.raw)
        return
    out.print(f"production is {model}, loaded by {promotion.workers} workers")


def _named(model: str) -> tuple[str, str]:
    name, at, version = model.partition("@")
    if not at:
        raise typer.BadParameter(f"expected name@version, got {model!r}")
    return name, version


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


@app.command("drift")
def drift(
    model: Annotated[str, typer.Argument(help="The model version: name@version.")] = "",
    job: Annotated[str, typer.Option(help="Compare this job with its model, instead of weeks with a model.")] = "",
    weeks: Annotated[int, typer.Option(min=1, max=104, help="Weeks to show. The current one is the last.")] = 12,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Say how far the predictions of weeks, or of a job, are from those on the validation pictures of the model.

    An index is the population stability index. Below 0.1, a shift counts as small, and above 0.25 as large.

    Examples:

        lookbook models drift garments@4 --weeks 4

        lookbook models drift --job job_01jq9z6e8mf0vw7r3ct5n2xhkd
    """
    if bool(model) == bool(job):
        raise typer.BadParameter("expected a model (name@version) or --job")
    with connect(url, key) as client:
        found: JobDrift | ModelDrift = client.job(job).drift() if job else client.drift(*_named(model), weeks=weeks)
    if as_json:
        print_json(found.raw)
        return
    rows = (
        [(job, found)]
        if isinstance(found, JobDrift)
        else [(f"{week.starts_at:%Y-%m-%d}", week) for week in found.weeks]
    )
    shown = table("job" if job else "week from", "pictures", "confidence", "labels", "", "confidences", "")
    for name, row in rows:
        cells = [_figure(row.mean_confidence), _figure(row.label_index), row.label_drift or "–"]
        shown.add_row(name, f"{row.pictures:,}", *cells, _figure(row.confidence_index), row.confidence_drift or "–")
    out.print(shown)


@app.command("shadow")
def shadow(
    model: Annotated[str, typer.Argument(help="The model version: name@version.")],
    share: Annotated[
        float | None, typer.Option(min=0.0001, max=1.0, help="Start a shadow run on this share of the new pictures.")
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="End the shadow run.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Let a model version also classify a share of the new pictures, unseen, and compare it with `production`.

    Without an option, the newest comparison is shown. --json prints the last ten.

    Examples:

        lookbook models shadow garments@4 --share 0.05

        lookbook models shadow garments@4

        lookbook models shadow garments@4 --stop
    """
    name, version = _named(model)
    if share is not None and stop:
        raise typer.BadParameter("expected --share or --stop, got both")
    with connect(url, key) as client:
        if share is not None:
            runs = [client.start_shadow(name, version, share=share)]
        else:
            runs = [client.stop_shadow(name, version)] if stop else client.shadows(name, version)
    if as_json:
        print_json([run.raw for run in runs])
        return
    if not runs:
        err.print(f"{model} has no shadow run yet: --share starts one")
        return
    found = runs[0]
    state = "runs" if found.ended_at is None else f"ended on {found.ended_at.astimezone():%Y-%m-%d %H:%M}"
    out.print(f"{found.model} beside {found.against} on {found.share:.2%} of the new pictures: {state}")
    out.print(f"{found.pictures:,} pictures, {found.same:,} with the same label, {found.failed:,} failed")
    if not found.pictures:
        return
    shown = table("", found.against, found.model)
    shown.add_row("mean confidence", _figure(found.shown_confidence), _figure(found.candidate_confidence))
    shown.add_row(f"right of {found.reviewed:,} reviewed", f"{found.shown_right:,}", f"{found.candidate_right:,}")
    out.print(shown)
    flips = table("label of " + found.against, "label of " + found.model, "pictures")
    for flip in found.flips:
        flips.add_row(flip.shown, flip.candidate, f"{flip.count:,}")
    out.print(flips)


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
    model: Annotated[
        str, typer.Argument(help="The model: name (its newest version) or name@version. With --job: that of the job.")
    ] = "",
    data: Annotated[Path | None, typer.Option(help=DATA_HELP, show_default=False)] = None,
    job: Annotated[
        list[str] | None, typer.Option(help="Use the reviews of this job of the service. May be repeated.")
    ] = None,
    name: Annotated[str, typer.Option(help="With --job: publish under this name.")] = "",
    split: SplitFile = None,
    shipped_split: ShippedSplit = False,
    models: Annotated[Path | None, typer.Option(help="Folder to publish in. The default is LOOKBOOK_MODELS.")] = None,
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Fit a temperature, and publish the next version, whose confidences match its accuracy.

    It is fitted on the validation side of a dataset (--data), or by a worker on the reviews of jobs (--job), without
    opening a picture. The next version gives every picture the same label. With --data, an export in int8 is made if
    the version has one and the dataset has pictures to learn from. The model card shows the calibration error before
    and after.

    Examples:

        lookbook models calibrate garments --data ~/garments

        lookbook models calibrate --job job_01k…

        lookbook models calibrate garments@1 --data ~/garments --models ~/models --json
    """
    if (data is None) == (not job):
        raise typer.BadParameter("expected the pictures to fit on: --data or --job")
    if job:
        calibrate_on_reviews(job, model, name, url, key, as_json=as_json)
        return
    if not model or data is None:
        raise typer.BadParameter("expected a model: name (its newest version) or name@version", param_hint="MODEL")
    quiet_tensorflow()
    from classifier.calibration import CALIBRATED_ON, CALIBRATION_ERROR, ERROR_BEFORE, TEMPERATURE
    from classifier.learning.data.opened import OpenedDataset
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
