"""Training recipes: YAML files in recipes/training/, and the pydantic models that check them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from classifier.learning.data.pictures import DESCRIPTION
from classifier.learning.networks.catalogue import (
    IMAGENET,
    LANDMARK_BACKBONES,
    SCRATCH,
    Preprocessing,
    check_options,
    find_entry,
)
from classifier.learning.training.recipe_input import RecipeInput
from classifier.learning.training.recipe_parts import (
    Augment,
    Distill,
    FineTune,
    Head,
    Loss,
    Mix,
    Optimizer,
    Part,
    Positive,
    Precision,
    Sampler,
)
from classifier.taxonomy import Taxonomy
from core.errors import DatasetInvalid, NetworkInvalid


class DataNote(Part):
    """The model card's description of the pictures."""

    title: str
    source: str
    licence: str
    limits: str
    """Limits of the pictures: kinds that they do not show. A model trained on them may be wrong about these kinds."""


class Recipe(Part):
    """All parameters of a training run except the pictures."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Name of the model. A folder gets this name, so the pattern matches the whole name and allows no path."""
    backbone: str
    """A name of `lookbook backbones`. Hyphens count as underscores."""
    weights: str = IMAGENET
    """The starting weights of the backbone: IMAGENET, SCRATCH, or a file relative to the recipe's folder."""
    width: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the channels of all layers of the backbone."""
    preprocessing: Preprocessing = "own"
    """`own`: the backbone sees pixels after its own preprocessing. `none`: it sees RGB from 0 to 255."""
    taxonomy: Path
    """File of labels and groups, relative to the recipe's folder."""
    data: DataNote
    notes: str = ""
    """Text for the model card: how the recipe was chosen, and what that means for the metrics."""
    input: RecipeInput = RecipeInput()
    size: Positive
    crop_from: Positive
    seed: int
    batch: Positive
    precision: Precision = "float32"
    loss: Loss = Loss()
    sampler: Sampler = "natural"
    optimizer: Optimizer = Optimizer()
    head: Head
    fine_tune: FineTune | None = None
    """The second phase. Without it, only the head is trained."""
    augment: Augment = Augment()
    mix: Mix = Mix()
    distill: Distill | None = None
    """Teachers of the second phase."""

    @field_validator("backbone")
    @classmethod
    def _use_the_name_of_the_registry(cls, name: str) -> str:
        return find_entry(name).name

    @model_validator(mode="after")
    def _check_the_backbone(self) -> Self:
        for size in (self.size, self.tuning_size):
            check_options(find_entry(self.backbone), size, self.width, self.weights, self.preprocessing)
        fixed = self.backbone in LANDMARK_BACKBONES or self.input.view == "views"
        if fixed and self.tuning_size != self.size:
            raise NetworkInvalid(
                f"{self.backbone} with the view {self.input.view} takes pictures of one size only: expected "
                f"fine_tune.size {self.size}, got {self.tuning_size}"
            )
        return self

    @property
    def tuning_size(self) -> int:
        """The side of the training pictures in the second phase."""
        return (self.fine_tune and self.fine_tune.size) or self.size

    @model_validator(mode="after")
    def _check_the_phases(self) -> Self:
        if self.fine_tune is None and (self.augment != Augment() or self.mix != Mix() or self.distill):
            raise ValueError("augment, mix and distill belong to the phase fine_tune: expected fine_tune")
        if self.fine_tune is None and self.weights == SCRATCH:
            raise ValueError("the phase head does not train a backbone with random weights: expected fine_tune")
        return self

    def with_name(self, name: str) -> Self:
        """Return the recipe with another name of the model.

        Raises:
            DatasetInvalid: the name has other characters than lower-case letters, digits and hyphens.
        """
        try:
            return self.model_validate(self.model_dump() | {"name": name})
        except ValidationError as error:
            raise DatasetInvalid(_describe(error)) from error


def fit_to_dataset(recipe: Recipe, taxonomy: Taxonomy, data: Path) -> tuple[Recipe, Taxonomy]:
    """Return the recipe and the taxonomy for a folder of pictures.

    A folder that `lookbook dataset build` made has a taxonomy and a data note of its own. They replace those given.

    Raises:
        DatasetInvalid: the description of the folder cannot be read.
    """
    path = data / DESCRIPTION
    if not path.is_file():
        return recipe, taxonomy
    try:
        description = json.loads(path.read_text("utf-8"))
        note, labels = DataNote.model_validate(description["data"]), Taxonomy.from_json(description["taxonomy"])
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetInvalid(f"{path}: expected the members data and taxonomy of a dataset build: {error}") from error
    # Drop the notes of the recipe, because they are about other pictures.
    return recipe.model_copy(update={"data": note, "notes": ""}), labels


def read_recipe(path: Path) -> tuple[Recipe, Taxonomy]:
    """Read a recipe and its taxonomy.

    Raises:
        DatasetInvalid: a file cannot be read, or a member of the recipe is missing, unknown or out of range. The
            message names the file and the member.
        NetworkInvalid: the backbone is unknown, or cannot be built with this size, width or these weights.
    """
    try:
        content: Any = yaml.safe_load(path.read_bytes())
        recipe = Recipe.model_validate(content)
        taxonomy_path = path.parent / recipe.taxonomy
        taxonomy_bytes = taxonomy_path.read_bytes()
    except OSError as error:
        raise DatasetInvalid(f"cannot read {error.filename}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise DatasetInvalid(f"{path}: not YAML: {error}") from error
    except ValidationError as error:
        raise DatasetInvalid(f"{path}: {_describe(error)}") from error
    except NetworkInvalid as error:
        raise NetworkInvalid(f"{path}: {error.detail}") from error
    try:
        taxonomy = json.loads(taxonomy_bytes)
    except ValueError as error:
        raise DatasetInvalid(f"{taxonomy_path}: not JSON: {error}") from error
    largest = max(recipe.size, recipe.tuning_size)
    if recipe.crop_from < largest:
        raise DatasetInvalid(f"{path}: crop_from must be at least size, got {recipe.crop_from} < {largest}")
    if recipe.weights not in (IMAGENET, SCRATCH):
        recipe = recipe.model_copy(update={"weights": str(path.parent / recipe.weights)})
    distill = recipe.distill and recipe.distill.below(path.parent)
    recipe = recipe.model_copy(update={"input": recipe.input.below(path.parent), "distill": distill})
    return recipe, Taxonomy.from_json(taxonomy)


def _describe(error: ValidationError) -> str:
    """Return the invalid members, each with the reason."""
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'recipe'}: {each['msg']}" for each in error.errors())
