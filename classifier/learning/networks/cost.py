"""Count the parameters and the multiply-adds of a network without reserving memory for its weights."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import keras

from classifier.learning.networks.catalogue import COSTS, ENTRIES, SCRATCH, Cost, Entry
from classifier.learning.networks.registry import build_backbone


def cost(entry: Entry) -> Cost:
    """Return the cost of a backbone at its native size and full width.

    Multiply-adds are those of convolutions and dense layers for one picture. Papers call them FLOPs (for example
    Tan & Le 2019, "EfficientNet", table 2).
    """
    with keras.StatelessScope(initialize_variables=False):
        backbone = build_backbone(entry.name, entry.size, weights=SCRATCH)
        model = keras.Model(backbone.pixels, backbone.features)
        return Cost(model.count_params(), multiply_adds(model))


def multiply_adds(model: Any) -> int:
    """Return the multiply-adds of a network for one picture. A shared layer counts as often as it is called."""
    total = 0

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal total
        output = layer(*args, **kwargs)
        # Keras offers no call function for a Sequential, but its layers are called once each.
        parts = [(part, part.output) for part in layer.layers] if isinstance(layer, keras.Model) else [(layer, output)]
        total += sum(_of_layer(part, result) for part, result in parts)
        return output

    keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)
    return total


def record_costs() -> None:
    """Write the costs of all backbones to `COSTS`."""
    rows = {name: asdict(cost(entry)) for name, entry in ENTRIES.items()}
    COSTS.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


def _of_layer(layer: Any, output: Any) -> int:
    # Each weight of a kernel takes part once for each place of the output. The kernels of depthwise convolutions have
    # their channels in the third and fourth dimension, so that the same holds for them.
    kernels = {
        keras.layers.Conv2D: ("kernel",),
        keras.layers.DepthwiseConv2D: ("kernel",),
        keras.layers.SeparableConv2D: ("depthwise_kernel", "pointwise_kernel"),
        keras.layers.Dense: ("kernel",),
    }.get(type(layer), ())
    places = math.prod(output.shape[1:-1])
    return sum(places * math.prod(getattr(layer, name).shape) for name in kernels)


if __name__ == "__main__":
    record_costs()
