"""Train a model: first a new head on cached features, then the head together with the upper part of the backbone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from classifier.learning.data.pictures import Pictures
from classifier.learning.networks.heads import head_input
from classifier.learning.training.batches import (
    BatchOrder,
    make_batches,
    make_batches_in_order,
    make_feature_batches,
    make_features_in_order,
)
from classifier.learning.training.checkpoints import Curves
from classifier.learning.training.devices import scaled, strategy_for, use_precision
from classifier.learning.training.distillation import Teachers, distilled
from classifier.learning.training.loop import Loop, Phase, Session
from classifier.learning.training.losses import LossFunction, label_loss
from classifier.learning.training.network import Network, build_network
from classifier.learning.training.optimizers import make_optimizer
from classifier.learning.training.recipe import Recipe
from classifier.learning.training.recipe_parts import FineTune, Head
from classifier.learning.training.sampling import drawn_counts
from classifier.learning.training.tuning_view import tuning_view
from classifier.taxonomy import Taxonomy

HEAD, FINE_TUNE = "head", "fine-tuning"


def train(
    recipe: Recipe, taxonomy: Taxonomy, training: Pictures, validation: Pictures, session: Session
) -> tuple[Any, Curves]:
    """Train a model for the labels of a taxonomy: uint8 pixels to the scores of its head. Return its last curves, too.

    If the backbone starts from random weights, there is no head phase, and the second phase trains all layers. If the
    folder of the session has a checkpoint, the training continues there.

    Args:
        training: pictures with the side `recipe.crop_from`.
        validation: pictures with the side `recipe.size`. The model is never trained on them.

    Raises:
        DatasetInvalid: the head learns sub-labels, and no picture has one.
        WeightsUnavailable: the weights of the backbone cannot be loaded.
        ArtifactInvalid: a teacher cannot be read.
        NetworkInvalid: a teacher has other labels or another input.
        RunInvalid: the checkpoint is damaged, or belongs to another network.
    """
    keras.utils.set_random_seed(recipe.seed)
    loop = Loop(session)
    with strategy_for(session.devices).scope():
        network = build_network(recipe, taxonomy)
        network.check(training)
        use_precision(network.model, recipe.precision)
        # A teacher that does not fit should stop the training before it has taken time.
        teachers = None if recipe.distill is None else Teachers(recipe, recipe.distill, taxonomy)
        phases = _Phases(recipe, network, training, validation, session)
        curves = Curves()
        if network.backbone.pretrained and not loop.is_past(HEAD):
            curves = loop.run(phases.head())
        if recipe.fine_tune is not None:
            curves = loop.run(phases.fine_tune(recipe.fine_tune, teachers))
    use_precision(network.model, "float32")
    return network.model, curves


class _Phases:
    """Prepares the phases of a training."""

    def __init__(
        self, recipe: Recipe, network: Network, training: Pictures, validation: Pictures, session: Session
    ) -> None:
        self._recipe, self._network, self._session = recipe, network, session
        self._training, self._validation = training, validation
        self._targets = network.targets(training)
        self._validation_targets = network.targets(validation)
        self._order = BatchOrder(training.labels, recipe.sampler, recipe.batch, recipe.seed)

    def head(self) -> Phase:
        """Return the phase that trains the head, on features of the backbone that are computed once.

        A backbone with a new part is trained there, too. Its features change, so they are not computed once.
        """
        recipe, network, training, validation = self._recipe, self._network, self._training, self._validation
        if network.backbone.has_new_part:
            for layer in network.trained.layers:
                layer.trainable = layer.name not in network.backbone.pretrained
            return self._compiled(
                HEAD,
                network.trained,
                recipe.head,
                lambda steps: make_batches(recipe, training, self._targets, self._order, steps, changed=False),
                self._judging(),
            )
        learned, judged = self._features(training), self._features(validation)
        return self._compiled(
            HEAD,
            keras.Model(head_input(network.model), network.trained.output),
            recipe.head,
            lambda steps: make_feature_batches(learned, training, self._targets, self._order, steps),
            make_features_in_order(judged, self._validation_targets, recipe.batch),
        )

    def fine_tune(self, options: FineTune, teachers: Teachers | None) -> Phase:
        """Return the phase that trains the head and the blocks from `from_block` on."""
        recipe, training = self._recipe, self._training
        _freeze(self._network, options)
        # Pictures of one size are faster, but the validation has its own.
        network = tuning_view(self._network.trained, any_side=recipe.tuning_size != recipe.size)
        return self._compiled(
            FINE_TUNE,
            network if teachers is None else distilled(network, teachers),
            options,
            lambda steps: make_batches(recipe, training, self._targets, self._order, steps),
            self._judging(),
        )

    def _judging(self) -> Any:
        return make_batches_in_order(self._recipe, self._validation, self._validation_targets)

    def _features(self, pictures: Pictures) -> NDArray[np.float32]:
        """Return the inputs of the head for all pictures, float32 [N, channels], from a file that has no name.

        They are mapped into memory, because a million pictures may have 100 GB of features.
        """
        recipe, given = self._recipe, head_input(self._network.model)
        backbone = keras.Model(self._network.model.input, given)
        # `predict_on_batch` would compute the same on each of several devices.
        compute = tf.function(lambda pixels: backbone(pixels, training=False), reduce_retracing=True)
        shape = (len(pictures), *given.shape[1:])
        with tempfile.TemporaryFile(dir=self._session.folder.path) as file:
            features = np.memmap(file, np.float32, "w+", shape=shape)
        self._session.reporter.phase("features", -(-len(pictures) // recipe.batch))
        start = 0
        for pixels, _ in make_batches_in_order(recipe, pictures, self._network.targets(pictures)):
            features[start : start + len(pixels)] = compute(pixels).numpy()
            start += len(pixels)
            self._session.reporter.step("")
        return features

    def _compiled(
        self,
        name: str,
        model: Any,
        options: Head | FineTune,
        batches: Callable[[range], Any],
        judging: Any,
    ) -> Phase:
        recipe, network, steps = self._recipe, self._network, self._order.steps_per_epoch
        average = options.average if isinstance(options, FineTune) else 0.0
        optimizer = make_optimizer(
            recipe.optimizer, options.learning_rate, options.schedule, options.epochs, steps, average
        )
        model.compile(
            scaled(optimizer, recipe.precision),
            network.loss(self._label_loss()),
            metrics=[network.accuracy],
            jit_compile=False,
        )
        return Phase(name, model, options.epochs, steps, batches, judging)

    def _label_loss(self) -> LossFunction:
        training, count = self._training, self._network.label_count
        counts = np.bincount(training.labels, minlength=count)
        weighted = np.bincount(training.labels, training.weights, minlength=count).astype(np.float64)
        drawn = drawn_counts(counts, self._recipe.sampler)
        # A picture of a label counts as much as its weight, in both numbers.
        return label_loss(self._recipe.loss, weighted, drawn * weighted / np.maximum(counts, 1))


def _freeze(network: Network, options: FineTune) -> None:
    kept: tuple[Any, ...] = (keras.layers.BatchNormalization,)
    if options.freeze_depthwise:
        kept += (keras.layers.DepthwiseConv2D,)
    for layer in network.trained.layers:
        early = network.backbone.block_of(layer.name) < options.from_block
        freezable = early or isinstance(layer, kept)
        layer.trainable = not (freezable and layer.name in network.backbone.pretrained)
