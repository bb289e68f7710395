"""The batches of training: shuffled, changed at random, and prepared while the network computes.

The pictures of a step, their order and their changes depend only on the seed, the epoch and the step. A training that
was interrupted can therefore continue at any step with the same batches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from classifier.learning.data.pictures import Pictures
from classifier.learning.training.augmentation import augment
from classifier.learning.training.mixing import mix
from classifier.learning.training.recipe import Recipe
from classifier.learning.training.recipe_parts import Sampler
from classifier.learning.training.sampling import epoch_order
from classifier.learning.training.view_batches import change_each_view, channels_as_views, views_as_channels

Targets = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Returns the targets, float32 [n, T], of the pictures at n positions."""

_AHEAD = 4
"""Number of finished batches that wait for the network."""


class BatchOrder:
    """Says which pictures each step uses. Every epoch has another order, and its sampler draws the pictures."""

    def __init__(self, labels: NDArray[np.int64], sampler: Sampler, batch: int, seed: int) -> None:
        self.steps_per_epoch = -(-len(labels) // batch)
        """The last batch of an epoch may be smaller than the others."""
        self._labels, self._sampler, self._batch, self._seed = labels, sampler, batch, seed
        # A step of the next epoch may be prepared while the last steps of this one are.
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def positions(self, step: int) -> NDArray[np.int64]:
        """Return the positions of the pictures of a step, counted from the start of the phase: int64 [n]."""
        epoch, step_of_epoch = divmod(step, self.steps_per_epoch)
        start = step_of_epoch * self._batch
        return self._order(epoch)[start : start + self._batch]

    def draw(self, step: int) -> NDArray[np.int64]:
        """Return the seed of the random changes of a step: int64 [2]."""
        epoch, step_of_epoch = divmod(step, self.steps_per_epoch)
        return self._random(1, epoch, step_of_epoch).integers(0, 2**62, 2)

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        return epoch_order(self._labels, self._sampler, self._random(0, epoch))

    def _random(self, *numbers: int) -> np.random.Generator:
        return np.random.default_rng([self._seed & 0xFFFFFFFF, *numbers])


def make_batches(
    recipe: Recipe, pictures: Pictures, targets: Targets, order: BatchOrder, steps: range, *, changed: bool = True
) -> Any:
    """Return a `tf.data.Dataset` with a batch for each of some steps: pixels, targets and weights.

    They are uint8 [n, size, size, 3], float32 [n, T] and float32 [n]. The pictures are changed at random, or, unless
    `changed`, cut to their centre. `steps` begins at 0, or at the first step after an interruption.
    """

    def load(step: Any) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        positions = order.positions(int(step))
        return pictures.read(positions), targets(positions), pictures.weights[positions], order.draw(int(step))

    def batch(step: Any) -> tuple[Any, Any, Any]:
        types = (tf.uint8, tf.float32, tf.float32, tf.int64)
        pixels, wanted, weights, seed = tf.numpy_function(load, [step], types, stateful=False)
        pixels.set_shape((None, *pictures.shape))
        wanted.set_shape((None, _width(targets)))
        weights.set_shape((None,))
        seed.set_shape((2,))
        if not changed:
            return centre(recipe, pixels), wanted, weights
        pixels = change_each_view(lambda each: augment(recipe.augment, recipe.tuning_size, each, seed), pixels)
        pixels, wanted, weights = mix(recipe.mix, views_as_channels(pixels), wanted, weights, seed)
        return channels_as_views(pixels), wanted, weights

    return tf.data.Dataset.range(steps.start, steps.stop).map(_as_it_is(batch), tf.data.AUTOTUNE).prefetch(_AHEAD)


def make_feature_batches(
    features: NDArray[np.float32], pictures: Pictures, targets: Targets, order: BatchOrder, steps: range
) -> Any:
    """Return a `tf.data.Dataset` with a batch for each of some steps: features [n, channels], targets and weights."""

    def load(step: Any) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        positions = order.positions(int(step))
        return features[positions], targets(positions), pictures.weights[positions]

    def batch(step: Any) -> tuple[Any, Any, Any]:
        rows, wanted, weights = tf.numpy_function(load, [step], (tf.float32,) * 3, stateful=False)
        rows.set_shape((None, *features.shape[1:]))
        wanted.set_shape((None, _width(targets)))
        weights.set_shape((None,))
        return rows, wanted, weights

    return tf.data.Dataset.range(steps.start, steps.stop).map(_as_it_is(batch), tf.data.AUTOTUNE).prefetch(_AHEAD)


def make_batches_in_order(recipe: Recipe, pictures: Pictures, targets: Targets) -> Any:
    """Return a `tf.data.Dataset` with the pixels and targets of all pictures, in order and unchanged."""
    rows = _in_order(pictures.read, (tf.uint8, pictures.shape), len(pictures), targets, recipe.batch)
    cut = _as_it_is(lambda pixels, wanted: (centre(recipe, pixels), wanted))
    return rows.map(cut, tf.data.AUTOTUNE).prefetch(_AHEAD)


def make_features_in_order(features: NDArray[np.float32], targets: Targets, size: int) -> Any:
    """Return a `tf.data.Dataset` with the features and targets of all pictures, in order, in batches of `size`."""
    kind = (tf.float32, features.shape[1:])
    return _in_order(features.__getitem__, kind, len(features), targets, size).prefetch(_AHEAD)


def _in_order(
    read: Callable[[NDArray[np.int64]], NDArray[Any]], kind: tuple[Any, Any], count: int, targets: Targets, size: int
) -> Any:
    """Return a `tf.data.Dataset` with what `read` returns for all positions in order, and the targets.

    `kind` is the type and the shape of one row.
    """

    def load(start: Any) -> tuple[NDArray[Any], NDArray[np.float32]]:
        positions = np.arange(start, min(start + size, count))
        return read(positions), targets(positions)

    def batch(start: Any) -> tuple[Any, Any]:
        rows, wanted = tf.numpy_function(load, [start], (kind[0], tf.float32), stateful=False)
        rows.set_shape((None, *kind[1]))
        wanted.set_shape((None, _width(targets)))
        return rows, wanted

    return tf.data.Dataset.range(0, count, size).map(_as_it_is(batch), tf.data.AUTOTUNE)


def centre(recipe: Recipe, pixels: Any) -> Any:
    """Return the centre of pictures, uint8 [..., side, side, 3] -> [..., size, size, 3]."""
    start = (pixels.shape[-2] - recipe.size) // 2
    cut = slice(start, start + recipe.size)
    return pixels[..., cut, cut, :]


def _as_it_is(function: Any) -> Any:
    """Return a function of TensorFlow's operations, which need no conversion. Converting it would take seconds."""
    return tf.autograph.experimental.do_not_convert(function)


def _width(targets: Targets) -> int:
    return len(targets(np.zeros(1, np.int64))[0])
