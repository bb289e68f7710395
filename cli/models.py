"""Commands on model versions: list, export, promote."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli.client import DEFAULT_URL, AsJson, Url, err, out
from cli.http import ServiceError, body_of, connect
from cli.learning import ProgressReporter, artifact_named, progress_bars, quiet_tensorflow
from core.clock import utc_now
from core.settings import Settings

POLL_SECONDS = 0.5

app = typer.Typer(invoke_without_command=True)


@app.callback()
def list_models(context: typer.Context, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Model versions. Without a command: those that the service knows, with their measured accuracy.

    Examples:

        lookbook models

        lookbook models promote garments@2
    """
    if context.invoked_subcommand is not None:
        return
    with connect(url) as http:
        rows = body_of(http.get("/v1/models"))["data"]
    if as_json:
        out.print_json(data=rows)
        return
    table = Table("model", "aliases", "accuracy", "macro-F1", "created", box=None, header_style="bold")
    for row in rows:
        figures = [row["metrics"].get(name) for name in ("accuracy", "macro_f1")]
        shown = ["–" if figure is None else f"{figure:.4f}" for figure in figures]
        table.add_row(f"{row['name']}@{row['version']}", ", ".join(row["aliases"]), *shown, row["created_at"])
    out.print(table)


@app.command("promote")
def promote(
    model: Annotated[str, typer.Argument(help="name@version.")],
    patience: Annotated[float, typer.Option(help="Longest wait for the workers to load it, in seconds.")] = 120.0,
    url: Url = DEFAULT_URL,
) -> None:
    """Make a model version `production`, once every worker has loaded it. Nothing restarts.

    A version that was published while the service runs is made known by `lookbook db upgrade`.

    Example:

        lookbook models promote garments@2
    """
    name, at, version = model.partition("@")
    if not at:
        raise typer.BadParameter(f"expected name@version, got {model!r}")
    give_up = time.monotonic() + patience
    with connect(url) as http, err.status("asking the workers to load it") as status:
        while True:
            answer = body_of(http.post(f"/v1/models/{name}/promote", json={"version": version}))
            if answer["promoted"]:
                break
            missing = answer["waiting_for"]
            if time.monotonic() > give_up:
                raise ServiceError(
                    f"{model} stays a candidate: not loaded after {patience:.0f} s by {', '.join(missing)}; "
                    "their logs say why"
                )
            status.update(f"waiting for {len(missing)} of {answer['workers']} workers to load {model}")
            time.sleep(POLL_SECONDS)
    out.print(f"production is {model}, loaded by {answer['workers']} workers")


@app.command("export")
def export(
    model: Annotated[str, typer.Argument(help="Model: name (its newest version) or name@version.")],
    data: Annotated[Path, typer.Option(help="Folder with train/<label>/ and validation/<label>/.")],
    int8: Annotated[bool, typer.Option("--int8", help="Quantize too, calibrated on 300 pictures of train/.")] = False,
    models: Annotated[Path | None, typer.Option(help="Where to publish; LOOKBOOK_MODELS by default.")] = None,
) -> None:
    """Export a model's weights anew and publish them as its next version, each precision checked on validation/.

    The model card says how many labels each precision changes. Workers use one only if that is at most 0.5 %.

    Examples:

        lookbook models export garments --data ~/garments --int8

        lookbook models export garments@1 --data ~/garments --models /tmp/models
    """
    quiet_tensorflow()
    from classifier.learning.publishing import export_artifact

    folder = models or Settings.read().models
    source = artifact_named(Settings.read().models, model)
    with progress_bars() as progress:
        reporter = ProgressReporter(progress)
        artifact = export_artifact(source, data, folder, utc_now(), int8=int8, track=reporter.track)
    table = Table("precision", "other labels", "of", "accuracy", "largest difference", box=None, header_style="bold")
    for name, check in artifact.metrics["precisions"].items():
        figures = (f"{check['accuracy']:.4f}", f"{check['largest_difference']:.3f}")
        table.add_row(name, str(check["flips"]), str(check["pictures"]), *figures)
    out.print(table)
    out.print(f"published {artifact.ref} in {artifact.folder}")
