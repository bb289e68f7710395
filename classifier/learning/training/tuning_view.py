"""The network as the fine-tuning computes it: with the same weights, but faster, and for pictures of any size."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from classifier.learning.training.devices import visible_gpus


class FoldedConvolution(keras.layers.Layer):  # type: ignore[misc]
    """A convolution and the frozen batch normalisation after it, computed as one convolution.

    With s = gamma / sqrt(variance + epsilon), normalising conv(x, W) is conv(x, W s) + beta - mean s. The layer shares
    the kernel W, so its gradient, and every step of the training, is that of the two layers.
    """

    def __init__(self, convolution: Any, norm: Any) -> None:
        super().__init__(name=f"{convolution.name}_folded", dtype=convolution.dtype_policy)
        self._convolution = convolution
        scale = norm.gamma / keras.ops.sqrt(norm.moving_variance + norm.epsilon)
        self._shift = norm.beta - norm.moving_mean * scale
        depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
        self._convolve = _depthwise if depthwise else keras.ops.conv
        # A kernel of a depthwise convolution is [height, width, channels, 1].
        self._scale = scale[:, None] if depthwise else scale

    def call(self, inputs: Any) -> Any:
        """Return the normalised convolution of the inputs."""
        layer = self._convolution
        kernel = layer.kernel * keras.ops.cast(self._scale, layer.kernel.dtype)
        found = self._convolve(inputs, kernel, layer.strides, layer.padding, dilation_rate=layer.dilation_rate)
        return found + keras.ops.cast(self._shift, found.dtype)


def _depthwise(inputs: Any, kernel: Any, strides: Any, padding: str, dilation_rate: Any) -> Any:
    """Return a depthwise convolution whose gradients are computed in float32 if it is in bfloat16.

    On a CPU, TensorFlow computes those with strides many times more slowly in bfloat16 than in float32.
    """
    if inputs.dtype != tf.bfloat16 or visible_gpus():
        return keras.ops.depthwise_conv(inputs, kernel, strides, padding, dilation_rate=dilation_rate)
    options = {"strides": (1, *strides, 1), "padding": padding.upper(), "dilations": (1, *dilation_rate, 1)}

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolve(inputs: Any, kernel: Any) -> Any:
        def gradients(upstream: Any) -> tuple[Any, Any]:
            given, weights, wanted = (tf.cast(each, tf.float32) for each in (inputs, kernel, upstream))
            of_inputs = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(inputs), filter=weights, out_backprop=wanted, **options
            )
            of_kernel = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                input=given, filter_sizes=tf.shape(kernel), out_backprop=wanted, **options
            )
            return tf.cast(of_inputs, tf.bfloat16), tf.cast(of_kernel, tf.bfloat16)

        return tf.raw_ops.DepthwiseConv2dNative(input=inputs, filter=kernel, **options), gradients

    return convolve(inputs, kernel)


def tuning_view(model: Any, *, any_side: bool) -> Any:
    """Return a network with the same layers and weights as `model`.

    Convolutions are computed together with the frozen batch normalisation after them. `any_side` allows pictures of any
    side.
    """
    pairs = _pairs(model)
    norms = {norm.name for _, norm in pairs.values()}

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if layer.name in pairs:
            return FoldedConvolution(*pairs[layer.name])(inputs[0])
        return inputs[0] if layer.name in norms else layer(*inputs, **options)

    shape = [None, None, 3] if any_side else model.input.shape[1:]
    pixels = keras.Input(shape, dtype=model.input.dtype)
    # A new model of the same graph is not compiled, and only the settings of a compiled one would be copied.
    graph = keras.Model(model.input, model.output)
    return keras.models.clone_model(graph, pixels, clone_function=lambda layer: layer, call_function=call)


def _pairs(model: Any) -> dict[str, tuple[Any, Any]]:
    """Return the convolutions whose output goes only into a frozen batch normalisation, each with it, by name."""
    readers: dict[int, list[Any]] = {}
    for layer in model.layers:
        for tensor in layer.input if isinstance(layer.input, list) else [layer.input]:
            readers.setdefault(id(tensor), []).append(layer)
    pairs = {}
    for layer in model.layers:
        after = readers.get(id(layer.output), [])
        if _is_plain(layer) and len(after) == 1 and _is_frozen_norm(after[0]):
            pairs[layer.name] = (layer, after[0])
    return pairs


def _is_plain(layer: Any) -> bool:
    return (
        type(layer) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
        and layer.activation is keras.activations.linear
        and not layer.use_bias
        and getattr(layer, "depth_multiplier", 1) == 1
    )


def _is_frozen_norm(layer: Any) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and not layer.trainable and layer.center and layer.scale
