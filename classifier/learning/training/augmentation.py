"""Random changes of training pictures. They run in the graph of tf.data."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from classifier.learning.training.recipe import Recipe


def augment(recipe: Recipe, pixels: Any, seed: Any) -> Any:
    """Change the crop, flip, brightness, contrast and saturation of each picture of the batch at random.

    uint8 [N, crop_from, crop_from, 3] -> uint8 [N, size, size, 3]. The crop covers a share of the picture's area from
    [area, 1] and has an aspect ratio from [1 / aspect, aspect]. It is scaled to size x size.
    """
    count = tf.shape(pixels)[0]
    draws = tf.random.stateless_uniform((8, count), seed)
    change = recipe.augment
    side = tf.sqrt(change.area + (1.0 - change.area) * draws[0])
    stretch = tf.sqrt(change.aspect ** (2.0 * draws[1] - 1.0))
    height, width = tf.minimum(side * stretch, 1.0), tf.minimum(side / stretch, 1.0)
    top, left = draws[2] * (1.0 - height), draws[3] * (1.0 - width)
    boxes = tf.stack([top, left, top + height, left + width], axis=1)
    values = tf.image.crop_and_resize(pixels, boxes, tf.range(count), (recipe.size, recipe.size))
    flips = draws[4] < (0.5 if change.flip else 0.0)
    values = tf.where(flips[:, None, None, None], values[:, :, ::-1], values)
    grey = tf.image.rgb_to_grayscale(values)
    values = grey + (values - grey) * _around_one(change.saturation, draws[5])
    mean = tf.reduce_mean(values, axis=(1, 2, 3), keepdims=True)
    values = mean + (values - mean) * _around_one(change.contrast, draws[6])
    values = values + 255.0 * (_around_one(change.brightness, draws[7]) - 1.0)
    return tf.cast(tf.clip_by_value(values, 0.0, 255.0), tf.uint8)


def _around_one(max_change: float, draws: Any) -> Any:
    """Return random factors from [1 - max_change, 1 + max_change]."""
    return (1.0 + max_change * (2.0 * draws - 1.0))[:, None, None, None]


def mix(recipe: Recipe, pixels: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
    """Blend each picture, and its target, with another of the batch (mixup, Zhang et al. 2018).

    The share of the other picture is drawn from [0, mix], so that the own label stays the main one.
    """
    share = recipe.augment.mix * tf.random.stateless_uniform((tf.shape(pixels)[0],), seed + 1)
    blended = tf.cast(pixels, tf.float32)
    blended += share[:, None, None, None] * (tf.reverse(blended, [0]) - blended)
    return tf.cast(blended, tf.uint8), targets + share[:, None] * (tf.reverse(targets, [0]) - targets)
