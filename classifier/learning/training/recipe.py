"""Training recipes: YAML in recipes/training/, checked against the models here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from classifier.learning.data.pictures import DESCRIPTION
from classifier.learning.networks.efficientnet_lite import Name
from classifier.taxonomy import Taxonomy
from core.errors import DatasetInvalid

Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataNote(_Part):
    """What the model card says of the pictures."""

    title: str
    source: str
    licence: str
    limits: str
    """What a model that has learned from them has not seen, or cannot be sure of."""


class Head(_Part):
    """The first phase: a new head on cached features of the frozen backbone."""

    epochs: Positive
    learning_rate: Rate


class FineTune(_Part):
    """The second phase: `average` is the momentum of the moving average of the weights that is kept."""

    from_block: int = Field(ge=0)
    epochs: Positive
    learning_rate: Rate
    warm_up: Share
    average: Share


class Augment(_Part):
    """Random changes of training pictures.

    A crop covers between `area` and all of the picture, its aspect changed by at most the factor `aspect`; brightness,
    contrast and saturation change by at most their share; `mix` is the most that another picture is blended in.
    """

    area: Share
    aspect: float = Field(ge=1)
    flip: bool
    brightness: Share
    contrast: Share
    saturation: Share
    mix: Share


class Recipe(_Part):
    """Everything that a training run needs to know beside the pictures."""

    name: str = Field(pattern=r"[a-z0-9][a-z0-9-]*")
    backbone: Name
    taxonomy: Path
    """File of labels and groups, relative to the recipe's folder."""
    data: DataNote
    notes: str = ""
    """For the model card: how the recipe was arrived at, and what that means for its figures."""
    size: Positive
    crop_from: Positive
    seed: int
    batch: Positive
    label_smoothing: Share
    weight_decay: Share
    clip_norm: Rate
    head: Head
    fine_tune: FineTune
    augment: Augment


def fit_to_dataset(recipe: Recipe, taxonomy: Taxonomy, data: Path) -> tuple[Recipe, Taxonomy]:
    """The recipe and the taxonomy for a folder of pictures: one that says what it holds has labels of its own.

    Raises:
        DatasetInvalid: what it says cannot be read.
    """
    path = data / DESCRIPTION
    if not path.is_file():
        return recipe, taxonomy
    try:
        told = json.loads(path.read_text("utf-8"))
        note, labels = DataNote.model_validate(told["data"]), Taxonomy.from_json(told["taxonomy"])
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetInvalid(
            f"{path}: expected the members data and taxonomy, as a build writes them: {error}"
        ) from error
    # The notes are on the pictures that the recipe names.
    return recipe.model_copy(update={"data": note, "notes": ""}), labels


def read_recipe(path: Path) -> tuple[Recipe, Taxonomy]:
    """A recipe and its taxonomy.

    Raises:
        DatasetInvalid: a member is missing, unknown or out of range; the message names it.
    """
    try:
        content: Any = yaml.safe_load(path.read_text("utf-8"))
        recipe = Recipe.model_validate(content)
        taxonomy = json.loads((path.parent / recipe.taxonomy).read_text("utf-8"))
    except OSError as error:
        raise DatasetInvalid(f"cannot read {error.filename}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise DatasetInvalid(f"{path}: not YAML: {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise DatasetInvalid(f"{path}: {'; '.join(lines)}") from error
    if recipe.crop_from < recipe.size:
        raise DatasetInvalid(f"{path}: crop_from must be at least size, got {recipe.crop_from} < {recipe.size}")
    return recipe, Taxonomy.from_json(taxonomy)
