"""Mix training pictures with others of their batch: mixup and CutMix. Both run in the graph of tf.data."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from classifier.learning.training.augmentation import fold_in, rectangles
from classifier.learning.training.recipe_parts import Mix, Mixup


def mix(options: Mix, pixels: Any, targets: Any, weights: Any, seed: Any) -> tuple[Any, Any, Any]:
    """Mix pictures of a batch with the pictures of the reversed batch.

    The pixels are uint8 [N, size, size, 3], the targets float [N, answers] and the weights float [N]. The mixed targets
    and weights are those with which a loss that is linear in the targets is the mixed loss of the two pictures. The
    outcome depends only on `seed`, int64 [2].
    """
    if options.mixup is None and options.cutmix is None:
        return pixels, targets, weights
    count = tf.shape(pixels)[0]
    chance = tf.random.stateless_uniform((count,), fold_in(seed, 10))
    values, share = tf.cast(pixels, tf.float32), tf.zeros(count)
    other = tf.reverse(values, [0])
    blend_up_to = 0.0
    if options.mixup:
        blend_up_to = options.mixup.chance
        share = tf.where(chance < blend_up_to, _blend_shares(options.mixup, count, fold_in(seed, 11)), share)
        values += share[:, None, None, None] * (other - values)
    if options.cutmix:
        chosen = (chance >= blend_up_to) & (chance < blend_up_to + options.cutmix.chance)
        inside = _boxes(options.cutmix.alpha, pixels.shape[1], count, fold_in(seed, 12))
        inside &= chosen[:, None, None, None]
        values = tf.where(inside, other, values)
        share += tf.reduce_mean(tf.cast(inside, tf.float32), axis=(1, 2, 3))
    weighted, own_weights = targets * weights[:, None], weights
    weighted += share[:, None] * (tf.reverse(weighted, [0]) - weighted)
    weights += share * (tf.reverse(own_weights, [0]) - own_weights)
    return tf.cast(values, tf.uint8), tf.math.divide_no_nan(weighted, weights[:, None]), weights


def _blend_shares(options: Mixup, count: Any, seed: Any) -> Any:
    """Return the share of the other picture for each picture."""
    if options.alpha is None:
        return (options.max_share or 0.0) * tf.random.stateless_uniform((count,), seed)
    return _beta(options.alpha, count, seed)


def _boxes(alpha: float, size: int, count: Any, seed: Any) -> Any:
    """Return which places come from the other picture. A rectangle may extend beyond the edge, as in the paper."""
    side = tf.sqrt(_beta(alpha, count, fold_in(seed, 0)))
    centres = tf.random.stateless_uniform((2, count), fold_in(seed, 1))
    return rectangles(centres[0] - side / 2.0, centres[1] - side / 2.0, side, side, size)


def _beta(alpha: float, count: Any, seed: Any) -> Any:
    """Return numbers from Beta(alpha, alpha), as X / (X + Y) of two gamma variables."""
    draws = tf.random.stateless_gamma((2, count), seed, alpha)
    return tf.math.divide_no_nan(draws[0], draws[0] + draws[1])
