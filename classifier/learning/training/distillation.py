"""Distillation: a network learns the scores of finished models, its teachers, in addition to the labels.

The teachers see the same changed and mixed pictures as the network (Beyer et al. 2022, "Knowledge distillation: A good
teacher is patient and consistent").
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from classifier.artifact import Artifact
from classifier.keras_graph import load_graph, only_scores
from classifier.learning.training.devices import use_precision
from classifier.learning.training.recipe import Recipe
from classifier.learning.training.recipe_parts import Distill
from classifier.learning.training.tuning_view import tuning_view
from classifier.taxonomy import Taxonomy
from core.errors import NetworkInvalid

_SMALLEST_SCORE = 1e-30
"""The least score of which a logarithm is taken."""


class Teachers:
    """The teachers of a recipe."""

    def __init__(self, recipe: Recipe, options: Distill, taxonomy: Taxonomy) -> None:
        """Load the teachers.

        Raises:
            ArtifactInvalid: the folder of a teacher is no artifact, or was changed.
            NetworkInvalid: a teacher has other labels or sees another part of a picture than the recipe.
        """
        self._options = options
        self._label_count = len(taxonomy.labels)
        self._models = [_load(Path(folder), recipe, taxonomy) for folder in options.teachers]

    def targets(self, pixels: Any, wanted: Any) -> Any:
        """Return what the network should answer: the targets of the labels, blended with the scores of the teachers.

        Cross-entropy with the blend is the sum of both losses of Hinton et al. 2015 ("Distilling the Knowledge in a
        Neural Network"), up to a constant. `pixels` are uint8 [N, *shape], `wanted` is float32 [N, T]. The targets of
        sub-labels stay as they are.
        """
        share, count = self._options.share, self._label_count
        scores = keras.ops.mean(keras.ops.stack([self._scores(model, pixels) for model in self._models]), axis=0)
        blended = wanted[:, :count] + share * (tf.stop_gradient(scores) - wanted[:, :count])
        return keras.ops.concatenate([blended, wanted[:, count:]], axis=1)

    def _scores(self, model: Any, pixels: Any) -> Any:
        """Return the scores of a teacher at the temperature of the recipe, float32 [N, labels]."""
        side = model.input.shape[-2]
        # A network with layers for one side gets pictures of that side.
        if side is not None and side != pixels.shape[-2]:
            pixels = keras.ops.cast(keras.ops.image.resize(pixels, (side, side)), "uint8")
        scores = keras.ops.cast(model(pixels, training=False), "float32")
        logits = keras.ops.log(keras.ops.maximum(scores, _SMALLEST_SCORE))
        return keras.ops.softmax(logits / self._options.temperature, axis=-1)


class Distilled(keras.Model):  # type: ignore[misc]
    """A network whose loss in training is that of the blended targets. Its evaluation knows only the labels.

    It is made of inputs and outputs, and learns from teachers after `learn_from`.
    """

    def learn_from(self, teachers: Teachers) -> None:
        self._teachers = teachers

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the loss of a batch, as Keras asks for it."""
        wanted = self._teachers.targets(x, y) if training else y
        return super().compute_loss(x, wanted, y_pred, sample_weight, training)


def distilled(model: Any, teachers: Teachers) -> Distilled:
    """Return a network with the layers and weights of `model` that learns from teachers as well."""
    network = Distilled(model.inputs, model.outputs[0], name=model.name)
    network.learn_from(teachers)
    return network


def _load(folder: Path, recipe: Recipe, taxonomy: Taxonomy) -> Any:
    artifact = Artifact.open(folder)
    if artifact.taxonomy.label_ids != taxonomy.label_ids:
        raise NetworkInvalid(
            f"the teacher {artifact.ref} has other labels: expected {', '.join(taxonomy.label_ids)}, "
            f"got {', '.join(artifact.taxonomy.label_ids)}"
        )
    seen, shown = artifact.input, recipe.input.view
    if seen.view != shown or (shown == "views" and seen.size != recipe.size):
        raise NetworkInvalid(
            f"the teacher {artifact.ref} has another input: expected the view {shown} and, with the view views, the "
            f"size {recipe.size}, got the view {seen.view} and the size {seen.size}"
        )
    graph = load_graph(folder)
    graph.trainable = False
    use_precision(graph, recipe.precision)
    scores = only_scores(graph)
    if seen.size != recipe.tuning_size and _takes(scores, recipe.tuning_size):
        return tuning_view(scores, any_side=True)
    return tuning_view(scores, any_side=False)


def _takes(model: Any, side: int) -> bool:
    """Return whether a network computes pictures of this side as well, because none of its layers is for one side."""
    try:
        tuning_view(model, any_side=True)(keras.ops.zeros((1, side, side, 3), "uint8"), training=False)
    except (ValueError, tf.errors.InvalidArgumentError):
        return False
    return True
