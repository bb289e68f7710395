"""Random changes of single training pictures. They run in the graph of tf.data, on whole batches."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from classifier.learning.training.recipe_parts import Augment

_BEST_JPEG_QUALITY = 100
_ERASED_AREA, _ERASED_ASPECT = (0.02, 0.33), (0.3, 1 / 0.3)
"""The range of the area of an erased rectangle as a share of the picture, and of its aspect ratio: the values that
Zhong et al. 2020 recommend."""
_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
"""RGB to the luminance and the two axes of colour of the television standard NTSC. Rotating the two changes the hue."""


def augment(change: Augment, size: int, pixels: Any, seed: Any) -> Any:
    """Change each picture of a batch at random: uint8 [N, from, from, 3] -> uint8 [N, size, size, 3].

    The crop covers a share of the picture's area from [area, 1] and has an aspect ratio from [1 / aspect, aspect]. It
    is scaled to size x size. The changes depend only on `seed`, int64 [2].
    """
    count = tf.shape(pixels)[0]
    draws = tf.random.stateless_uniform((8, count), seed)
    side = tf.sqrt(change.area + (1.0 - change.area) * draws[0])
    stretch = tf.sqrt(change.aspect ** (2.0 * draws[1] - 1.0))
    height, width = tf.minimum(side * stretch, 1.0), tf.minimum(side / stretch, 1.0)
    top, left = draws[2] * (1.0 - height), draws[3] * (1.0 - width)
    boxes = tf.stack([top, left, top + height, left + width], axis=1)
    values = tf.image.crop_and_resize(pixels, boxes, tf.range(count), (size, size))
    flips = draws[4] < (0.5 if change.flip else 0.0)
    values = tf.where(flips[:, None, None, None], values[:, :, ::-1], values)
    values = _recolour(change, values, draws[5:], seed)
    if change.erase:
        values = _erase(change.erase, values, fold_in(seed, 2))
    changed = tf.cast(tf.clip_by_value(values, 0.0, 255.0), tf.uint8)
    return changed if change.jpeg_quality is None else _recompress(change.jpeg_quality, changed, fold_in(seed, 3))


def fold_in(seed: Any, number: int) -> Any:
    """Return another seed, which depends on both."""
    return tf.random.experimental.stateless_fold_in(seed, number)


def rectangles(top: Any, left: Any, height: Any, width: Any, size: int) -> Any:
    """Return which places are inside a rectangle per picture: bool [N, size, size, 1].

    The edges are float [N], as shares of the side. A part outside the picture is left out.
    """
    places = (tf.range(size, dtype=tf.float32) + 0.5) / size
    rows = (places >= top[:, None]) & (places < (top + height)[:, None])
    columns = (places >= left[:, None]) & (places < (left + width)[:, None])
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def _recolour(change: Augment, values: Any, draws: Any, seed: Any) -> Any:
    grey = tf.image.rgb_to_grayscale(values)
    values = grey + (values - grey) * _around_one(change.saturation, draws[0])
    mean = tf.reduce_mean(values, axis=(1, 2, 3), keepdims=True)
    values = mean + (values - mean) * _around_one(change.contrast, draws[1])
    values = values + 255.0 * (_around_one(change.brightness, draws[2]) - 1.0)
    return _rotate_hue(change.hue, values, fold_in(seed, 1)) if change.hue else values


def _around_one(max_change: float, draws: Any) -> Any:
    """Return random factors from [1 - max_change, 1 + max_change]."""
    return (1.0 + max_change * (2.0 * draws - 1.0))[:, None, None, None]


def _rotate_hue(max_turn: float, values: Any, seed: Any) -> Any:
    count = tf.shape(values)[0]
    angles = 2.0 * math.pi * max_turn * (2.0 * tf.random.stateless_uniform((count,), seed) - 1.0)
    cosine, sine, zero, one = tf.cos(angles), tf.sin(angles), tf.zeros(count), tf.ones(count)
    rows = (one, zero, zero), (zero, cosine, -sine), (zero, sine, cosine)
    rotation = tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)
    to_yiq = tf.constant(_TO_YIQ)
    turned = tf.linalg.inv(to_yiq) @ rotation @ to_yiq
    return tf.einsum("nhwc,ndc->nhwd", values, turned)


def _erase(chance: float, values: Any, seed: Any) -> Any:
    count, size = tf.shape(values)[0], values.shape[1]
    draws = tf.random.stateless_uniform((5, count), seed)
    area = _ERASED_AREA[0] + (_ERASED_AREA[1] - _ERASED_AREA[0]) * draws[0]
    low, high = (math.log(bound) for bound in _ERASED_ASPECT)
    stretch = tf.exp((low + (high - low) * draws[1]) / 2.0)
    height, width = tf.minimum(tf.sqrt(area) * stretch, 1.0), tf.minimum(tf.sqrt(area) / stretch, 1.0)
    inside = rectangles(draws[2] * (1.0 - height), draws[3] * (1.0 - width), height, width, size)
    noise = tf.random.stateless_uniform(tf.shape(values), fold_in(seed, 0), 0.0, 255.0)
    return tf.where(inside & (draws[4] < chance)[:, None, None, None], noise, values)


def _recompress(lowest: int, pixels: Any, seed: Any) -> Any:
    qualities = tf.random.stateless_uniform(
        (tf.shape(pixels)[0],), seed, lowest, _BEST_JPEG_QUALITY + 1, dtype=tf.int32
    )

    def one(picture_and_quality: Any) -> Any:
        return tf.image.adjust_jpeg_quality(*picture_and_quality)

    return tf.map_fn(one, (pixels, qualities), fn_output_signature=tf.TensorSpec(pixels.shape[1:], tf.uint8))
