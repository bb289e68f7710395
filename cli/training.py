"""`lookbook train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.dataset_options import DATA_HELP, ShippedSplit, SplitFile, open_cache, read_extras, split_choice
from cli.figures import figure_table, label_table
from cli.learning import ProgressReporter, err, out, progress_bars, quiet_tensorflow
from core.settings import PROJECT, Settings

if TYPE_CHECKING:
    from classifier.learning.data.choosing import DataChoice
    from classifier.learning.publishing.training_runs import RunRequest
    from classifier.learning.training.run_folder import RunFolder

EXIT_INTERRUPTED = 130
"""128 plus the number of SIGINT, as shells have it."""
DEFAULT_RECIPE = PROJECT / "recipes" / "training" / "garments.yaml"


def train(
    data: Annotated[Path | None, typer.Option(help=DATA_HELP, show_default=False)] = None,
    split: SplitFile = None,
    shipped_split: ShippedSplit = False,
    extra: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH=WEIGHT",
            help="Another dataset to learn from, such as one of `dataset build`, and the weight of its pictures. "
            "Can be repeated.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[Path, typer.Option(help="The training recipe (YAML).")] = DEFAULT_RECIPE,
    name: Annotated[str, typer.Option(help="The name of the model. The default is the name in the recipe.")] = "",
    models: Annotated[Path | None, typer.Option(help="Folder to publish in. The default is LOOKBOOK_MODELS.")] = None,
    resume: Annotated[
        str, typer.Option(metavar="RUN", help="Continue this interrupted or failed training run, as it was started.")
    ] = "",
) -> None:
    """Train a model and publish it as the next version of its name.

    The labels are those of the recipe's taxonomy. If `lookbook dataset build` made the folder, they are those of the
    dataset. Pictures are decoded once and kept in LOOKBOOK_HOME, so that the next run on the same data starts at once.

    The model never learns from pictures of an extra source that share a product or a photo with pictures to judge by.

    Each training run has a folder in LOOKBOOK_HOME/runs, and `lookbook runs` ranks the runs. An interrupted run
    continues with `--resume` at the step of its last checkpoint, and ends with the same weights.

    Examples:

        lookbook train --data ~/garments

        lookbook train --data ~/coats --name coats

        lookbook train --data ~/kfashion.arrow --split ~/split.csv --extra ~/crawled=0.3

        lookbook train --data ~/garments --recipe recipes/training/garments.yaml --models ~/models

        lookbook train --resume garments-20260131T093000
    """
    quiet_tensorflow()
    from classifier.learning.data.choosing import DataChoice
    from classifier.learning.publishing.training_runs import RunRequest
    from classifier.learning.training.run_folder import RunFolder

    settings = Settings.read()
    if resume:
        if data or split or shipped_split or extra or recipe != DEFAULT_RECIPE or name or models:
            raise typer.BadParameter("expected no other option, because the run has its own", param_hint="--resume")
        folder = RunFolder.find(settings.home, resume)
        _run(RunRequest.read(folder), folder, settings)
        return
    if data is None:
        raise typer.BadParameter("expected a dataset, or --resume with a training run", param_hint="--data")
    choice = DataChoice(data.resolve(), split_choice(split, shipped_split), read_extras(extra))
    _run(_request(recipe, name, choice, (models or settings.models).resolve()), None, settings)


def _request(recipe: Path, name: str, choice: DataChoice, models: Path) -> RunRequest:
    from classifier.learning.data.cache import dataset_root
    from classifier.learning.publishing.training_runs import RunRequest
    from classifier.learning.training.recipe import fit_to_dataset, read_recipe

    # The run may continue in another folder, and the recipe names files.
    chosen, taxonomy = read_recipe(recipe.absolute())
    if name:
        chosen = chosen.with_name(name)
    return RunRequest(*fit_to_dataset(chosen, taxonomy, dataset_root(choice.path)), choice, models)


def _run(request: RunRequest, folder: RunFolder | None, settings: Settings) -> None:
    """Train in the folder of an earlier run, or in that of a new one."""
    from classifier.learning.publishing.runs import open_recipe_data
    from classifier.learning.publishing.training_runs import new_run, train_run

    with progress_bars() as progress:
        reporter = ProgressReporter(progress)
        try:
            pictures = open_recipe_data(request.recipe, request.taxonomy, request.choice, open_cache(reporter))
        except KeyboardInterrupt:
            err.print("interrupted; the pictures so far are kept, and the same command continues")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        folder = folder or new_run(settings.home, request, pictures)
        err.print(f"training run {folder.path.name}")
        try:
            artifact = train_run(folder, request, pictures, reporter)
        except KeyboardInterrupt:
            err.print(f"interrupted; continue with: lookbook train --resume {folder.path.name}")
            raise typer.Exit(EXIT_INTERRUPTED) from None
    out.print(label_table(artifact.metrics))
    out.print(figure_table(artifact.metrics))
    out.print(f"published {artifact.ref} in {artifact.folder}")
