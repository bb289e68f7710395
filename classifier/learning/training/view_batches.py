"""Change batches of views, [N, views, size, size, 3], as those of single pictures. It runs in the graph of tf.data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from classifier.prepare import PADDING

Changed = Callable[[Any], Any]


def change_each_view(change: Changed, pixels: Any) -> Any:
    """Change every view as a picture of its own. Absent views stay grey.

    `change` takes uint8 [N, from, from, 3] and returns uint8 [N, size, size, 3]. Batches of single pictures go through
    it as they are.
    """
    if pixels.shape.rank == 4:
        return change(pixels)
    flat = tf.reshape(pixels, (-1, *pixels.shape[2:]))
    present = tf.reduce_any(tf.not_equal(flat, PADDING), axis=(1, 2, 3), keepdims=True)
    changed = change(flat)
    changed = tf.where(present, changed, tf.constant(PADDING, changed.dtype))
    return tf.reshape(changed, (-1, pixels.shape[1], *changed.shape[1:]))


def views_as_channels(pixels: Any) -> Any:
    """Return views, [N, views, size, size, 3], as one picture with more channels: [N, size, size, 3 * views].

    All views of a picture are then mixed with those of another in the same way. Single pictures stay as they are.
    """
    if pixels.shape.rank == 4:
        return pixels
    _, views, size, _, colours = pixels.shape
    return tf.reshape(tf.transpose(pixels, (0, 2, 3, 1, 4)), (-1, size, size, views * colours))


def channels_as_views(pixels: Any) -> Any:
    """Undo `views_as_channels`."""
    _, size, _, channels = pixels.shape
    if channels == 3:
        return pixels
    return tf.transpose(tf.reshape(pixels, (-1, size, size, channels // 3, 3)), (0, 3, 1, 2, 4))
