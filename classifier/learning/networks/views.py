"""One backbone over several views of a picture, whose features are fused to those of one picture."""

from __future__ import annotations

from typing import Any

import keras

from classifier.artifact import FEATURES
from classifier.prepare import PADDING, VIEW_COUNT


def over_views(pixels: Any, features: Any) -> tuple[Any, Any, Any]:
    """Return the input, the features and the fused features of a network that sees the views of a picture.

    `pixels`, uint8 [N, size, size, 3], and `features`, [N, height, width, channels], are those of a network that sees
    one picture; its layers are used again. The new input is uint8 [N, VIEW_COUNT, size, size, 3]. The new features
    are those of the first view, the whole picture, in a layer FEATURES. The fused features, [N, channels], are the mean
    over the views that are present, of the means over their places. A view without any pixel other than grey is absent.
    """
    views = keras.Input((VIEW_COUNT, *pixels.shape[1:]), dtype="uint8", name="views")
    flat = keras.ops.reshape(views, (-1, *pixels.shape[1:]))
    # call() runs the layers on the new pixels one by one. Calling the model would make it one layer.
    every = keras.Model(pixels, features).call(flat)
    every = keras.ops.reshape(every, (-1, VIEW_COUNT, *features.shape[1:]))
    whole = keras.layers.Identity(name=FEATURES)(every[:, 0])
    pooled = keras.ops.concatenate(
        [keras.ops.mean(whole, axis=(1, 2))[:, None], keras.ops.mean(every[:, 1:], axis=(2, 3))], axis=1
    )
    present = keras.ops.any(keras.ops.not_equal(views, PADDING), axis=(2, 3, 4))
    weights = keras.ops.cast(present, "float32")[:, :, None]
    count = keras.ops.maximum(keras.ops.sum(weights, axis=1), 1.0)
    return views, whole, keras.ops.sum(pooled * weights, axis=1) / count
