"""The network of a recipe as training uses it: its answers, its targets and its loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from classifier.artifact import SCORES, SUB_SCORES
from classifier.learning.data.pictures import Pictures
from classifier.learning.networks.backbone import Backbone
from classifier.learning.networks.heads import POOL, HeadOptions, add_head
from classifier.learning.networks.registry import build_backbone
from classifier.learning.training.batches import Targets
from classifier.learning.training.recipe import Recipe
from classifier.taxonomy import Taxonomy
from core.errors import DatasetInvalid

Loss = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Network:
    """A network and its view for training.

    `model` is published. `trained` has the same layers and one output: float [N, labels], or [N, 2 labels] if
    the head has sub-labels, with the scores of the main labels first.
    """

    backbone: Backbone
    model: Any
    trained: Any
    label_count: int

    @property
    def pooled(self) -> Any:
        """The input of the head, [N, channels]."""
        return self.model.get_layer(POOL).output

    @property
    def has_sub_labels(self) -> bool:
        """Whether the head answers with sub-labels beside the main label."""
        return self.trained is not self.model

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

    def loss(self, main: Any) -> Loss | Any:
        """Return the loss of `trained`: the given loss of the main labels, plus cross-entropy of the sub-labels.

        Without sub-labels it is the given one. Keras multiplies the loss of each picture by its weight.
        """
        if not self.has_sub_labels:
            return main
        count, sub_labels = self.label_count, keras.losses.BinaryCrossentropy()

        def total(targets: Any, scores: Any) -> Any:
            # `call` has the losses of the single pictures, and not their mean.
            return main.call(targets[:, :count], scores[:, :count]) + sub_labels.call(
                targets[:, count:], scores[:, count:]
            )

        return total

    def accuracy(self, targets: Any, scores: Any) -> Any:
        """Return for each picture whether its main label is right."""
        count = self.label_count
        return keras.metrics.categorical_accuracy(targets[:, :count], scores[:, :count])


def build_network(recipe: Recipe, taxonomy: Taxonomy) -> Network:
    """Return the network of a recipe. Its backbone has the weights that the recipe asks for, its head random ones.

    Raises:
        WeightsUnavailable: the weights cannot be loaded.
    """
    backbone = build_backbone(recipe.backbone, recipe.size, recipe.width, recipe.weights)
    options = HeadOptions(recipe.head.kind, recipe.head.dropout, recipe.head.units, recipe.seed)
    model = trained = add_head(backbone, options, taxonomy, recipe.name)
    if recipe.head.kind == "multi_label":
        both = [model.get_layer(name).output for name in (SCORES, SUB_SCORES)]
        trained = keras.Model(model.input, keras.layers.Concatenate()(both), name=recipe.name)
    return Network(backbone, model, trained, len(taxonomy.labels))
