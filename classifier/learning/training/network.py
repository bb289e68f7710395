"""The network of a recipe as training uses it: its answers, its targets and its loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from classifier.learning.data.pictures import Pictures
from classifier.learning.networks.backbone import Backbone
from classifier.learning.networks.heads import HeadOptions, add_head, log_answers
from classifier.learning.networks.registry import build_backbone
from classifier.learning.training.batches import Targets
from classifier.learning.training.losses import LossFunction, with_sub_labels
from classifier.learning.training.recipe import Recipe
from classifier.taxonomy import Taxonomy
from core.errors import DatasetInvalid


@dataclass(frozen=True, slots=True)
class Network:
    """A network and its view for training.

    `model` is published. `trained` has the same weights and one output: log scores, float [N, labels]. If the head has
    sub-labels, it is [N, 2 labels], and the second half has their logits.
    """

    backbone: Backbone
    model: Any
    trained: Any
    label_count: int

    @property
    def has_sub_labels(self) -> bool:
        """Whether the head answers with sub-labels beside the main label."""
        return bool(self.trained.output.shape[-1] != self.label_count)

    def check(self, training: Pictures) -> None:
        """Check that the pictures to learn from have what the head learns.

        Raises:
            DatasetInvalid: the head has sub-labels, and no picture has one.
        """
        if self.has_sub_labels and not training.has_sub_labels:
            raise DatasetInvalid(
                "the head multi_label learns sub-labels: expected the member sub_labels in some lines of "
                "manifest.jsonl, or sub-styles in label files, got none"
            )

    def targets(self, pictures: Pictures) -> Targets:
        """Return the function that gives what `trained` should answer to pictures at some positions: float32 [n, T].

        It is 1 for the label, and 1 for each sub-label in the second half.
        """

        def of(positions: NDArray[np.int64]) -> NDArray[np.float32]:
            main = np.zeros((len(positions), self.label_count), np.float32)
            main[np.arange(len(positions)), pictures.labels[positions]] = 1.0
            if not self.has_sub_labels:
                return main
            return np.concatenate([main, pictures.sub_labels(positions, self.label_count)], axis=1)

        return of

    def loss(self, main: LossFunction) -> LossFunction:
        """Return the loss of `trained`: the given loss of the main labels, plus cross-entropy of the sub-labels."""
        return with_sub_labels(main, self.label_count) if self.has_sub_labels else main

    def accuracy(self, targets: Any, scores: Any) -> Any:
        """Return for each picture whether its main label is right."""
        count = self.label_count
        return keras.metrics.categorical_accuracy(targets[:, :count], scores[:, :count])


def build_network(recipe: Recipe, taxonomy: Taxonomy) -> Network:
    """Return the network of a recipe. Its backbone has the weights that the recipe asks for, its head random ones.

    Raises:
        WeightsUnavailable: the weights cannot be loaded.
    """
    backbone = build_backbone(
        recipe.backbone,
        recipe.size,
        recipe.width,
        recipe.weights,
        preprocessing=recipe.preprocessing,
        views=recipe.input.view == "views",
    )
    options = HeadOptions(recipe.head.kind, recipe.head.dropout, recipe.head.units, recipe.seed)
    model = add_head(backbone, options, taxonomy, recipe.name)
    return Network(backbone, model, log_answers(model, taxonomy), len(taxonomy.labels))
