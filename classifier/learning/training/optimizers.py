"""The optimizer of a recipe, with its schedule of learning rates."""

from __future__ import annotations

from typing import Any

import keras

from classifier.learning.training.recipe_parts import Constant, Cosine, Halving, Optimizer, Schedule


def make_optimizer(
    options: Optimizer, learning_rate: float, schedule: Schedule, epochs: int, steps_per_epoch: int, average: float
) -> Any:
    """Return a new optimizer for a phase.

    `average` is the momentum of the moving average of the weights; 0 means that there is none.
    """
    rate = learning_rates(learning_rate, schedule, epochs, steps_per_epoch)
    common = {"weight_decay": options.weight_decay or None, "global_clipnorm": options.clip_norm}
    if average:
        common |= {"use_ema": True, "ema_momentum": average}
    if options.kind == "sgd":
        return keras.optimizers.SGD(rate, momentum=options.momentum, **common)
    if options.kind == "adam":
        return keras.optimizers.Adam(rate, **common)
    return keras.optimizers.AdamW(rate, **common | {"weight_decay": options.weight_decay})


def learning_rates(learning_rate: float, schedule: Schedule, epochs: int, steps_per_epoch: int) -> Any:
    """Return the learning rate, or a Keras schedule of it over the steps of a phase."""
    if isinstance(schedule, Constant):
        return learning_rate
    if isinstance(schedule, Halving):
        steps = schedule.every * steps_per_epoch
        return keras.optimizers.schedules.ExponentialDecay(learning_rate, steps, decay_rate=0.5, staircase=True)
    if isinstance(schedule, Cosine):
        steps = epochs * steps_per_epoch
        warm_up = int(steps * schedule.warm_up)
        if not warm_up:
            return keras.optimizers.schedules.CosineDecay(learning_rate, steps)
        return keras.optimizers.schedules.CosineDecay(
            0.0, steps - warm_up, warmup_target=learning_rate, warmup_steps=warm_up
        )
    return keras.optimizers.schedules.CosineDecayRestarts(
        learning_rate, schedule.period * steps_per_epoch, t_mul=schedule.growth
    )
