"""The batches of the fine-tuning: shuffled, augmented, and prepared while the network computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from classifier.learning.data.pictures import Pictures
from classifier.learning.training.augmentation import augment, mix
from classifier.learning.training.recipe import Recipe


def make_batches(recipe: Recipe, pictures: Pictures, targets: NDArray[np.float32]) -> Any:
    """Return shuffled and augmented batches. The order and the changes differ in every epoch."""

    def gather(indices: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        return pictures.pixels[indices], targets[indices]

    def batch(indices: Any, seed: Any) -> tuple[Any, Any]:
        pixels, batch_targets = tf.numpy_function(gather, [indices], (tf.uint8, tf.float32))
        pixels.set_shape((None, recipe.crop_from, recipe.crop_from, 3))
        batch_targets.set_shape((None, targets.shape[1]))
        seed = tf.cast(seed, tf.int64)
        return mix(recipe, augment(recipe, pixels, seed), batch_targets, seed)

    indices = tf.data.Dataset.range(len(pictures.pixels)).shuffle(len(pictures.pixels), recipe.seed)
    seeds = tf.data.Dataset.random(recipe.seed, rerandomize_each_iteration=True).batch(2)
    return tf.data.Dataset.zip(indices.batch(recipe.batch), seeds).map(batch, tf.data.AUTOTUNE).prefetch(2)
