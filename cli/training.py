"""`lookbook train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.dataset_options import DATA_HELP, ShippedSplit, SplitFile, open_cache, read_extras, split_choice
from cli.figures import figure_table, label_table
from cli.learning import ProgressReporter, out, progress_bars, quiet_tensorflow
from core.clock import utc_now
from core.settings import PROJECT, Settings

DEFAULT_RECIPE = PROJECT / "recipes" / "training" / "garments.yaml"


def train(
    data: Annotated[Path, typer.Option(help=DATA_HELP)],
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
) -> None:
    """Train a model and publish it as the next version of its name.

    The labels are those of the recipe's taxonomy. If `lookbook dataset build` made the folder, they are those of the
    dataset. Pictures are decoded once and kept in LOOKBOOK_HOME, so that the next run on the same data starts at once.

    The model never learns from pictures of an extra source that share a product or a photo with pictures to judge by.

    Examples:

        lookbook train --data ~/garments

        lookbook train --data ~/coats --name coats

        lookbook train --data ~/kfashion.arrow --split ~/split.csv --extra ~/crawled=0.3

        lookbook train --data ~/garments --recipe recipes/training/garments.yaml --models ~/models
    """
    quiet_tensorflow()
    from classifier.learning.data.cache import dataset_root
    from classifier.learning.data.choosing import DataChoice
    from classifier.learning.publishing.runs import open_recipe_data, train_and_publish
    from classifier.learning.training.recipe import fit_to_dataset, read_recipe

    chosen, taxonomy = read_recipe(recipe)
    if name:
        chosen = chosen.with_name(name)
    chosen, taxonomy = fit_to_dataset(chosen, taxonomy, dataset_root(data))
    choice = DataChoice(data, split_choice(split, shipped_split), read_extras(extra))
    with progress_bars() as progress:
        reporter = ProgressReporter(progress)
        pictures = open_recipe_data(chosen, taxonomy, choice, open_cache(reporter))
        artifact = train_and_publish(chosen, taxonomy, pictures, models or Settings.read().models, utc_now(), reporter)
    out.print(label_table(artifact.metrics))
    out.print(figure_table(artifact.metrics))
    out.print(f"published {artifact.ref} in {artifact.folder}")
