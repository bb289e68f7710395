"""Heads: the part of a network between the features of its backbone and the scores of the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import keras

from classifier.artifact import FLATTEN, GROUP_HEAD, HIDDEN, LABEL_HEAD, POOL, SCORES, SUB_SCORES
from classifier.keras_graph import has_layer
from classifier.learning.networks.backbone import Backbone
from classifier.taxonomy import Taxonomy
from core.errors import NetworkInvalid

HeadKind = Literal["straight", "flatten", "two_dense", "hierarchical", "multi_label"]


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """`units` are those of the hidden layer of `two_dense`. `seed` fixes the dropout."""

    kind: HeadKind
    dropout: float
    units: int
    seed: int


def add_head(backbone: Backbone, options: HeadOptions, taxonomy: Taxonomy, name: str) -> Any:
    """Return the network with a new head: uint8 pixels to scores, float32 [N, labels], which sum to 1.

    The layer SCORES gives them. With the head `multi_label`, the network has a dictionary of two outputs: SCORES for
    the main labels, and SUB_SCORES, float32 [N, labels], which are independent of each other.

    Raises:
        NetworkInvalid: the head is `hierarchical`, and all labels belong to one group; or it is `flatten`, and the
            backbone has several views.
    """
    x = _input(backbone, options.kind)
    x = keras.layers.Dropout(options.dropout, name="dropout", seed=options.seed)(x)
    count = len(taxonomy.labels)
    if options.kind == "hierarchical":
        return keras.Model(backbone.pixels, _hierarchical(x, taxonomy), name=name)
    if options.kind == "two_dense":
        x = keras.layers.Dense(options.units, activation="relu", name=HIDDEN)(x)
        x = keras.layers.Dropout(options.dropout, name="dropout_hidden", seed=options.seed + 1)(x)
    scores = keras.layers.Dense(count, activation="softmax", name=SCORES)(x)
    if options.kind != "multi_label":
        return keras.Model(backbone.pixels, scores, name=name)
    sub_scores = keras.layers.Dense(count, activation="sigmoid", name=SUB_SCORES)(x)
    return keras.Model(backbone.pixels, {SCORES: scores, SUB_SCORES: sub_scores}, name=name)


def _input(backbone: Backbone, kind: HeadKind) -> Any:
    if kind == "flatten":
        if backbone.fused is not None:
            raise NetworkInvalid("the head flatten needs one feature map, and the input has several views")
        return keras.layers.Flatten(name=FLATTEN)(backbone.features)
    if backbone.fused is not None:
        return keras.layers.Identity(name=POOL)(backbone.fused)
    return keras.layers.GlobalAveragePooling2D(name=POOL)(backbone.features)


def head_input(model: Any) -> Any:
    """Return the input of the head: [N, channels], or [N, height * width * channels] for the head `flatten`."""
    return model.get_layer(FLATTEN if has_layer(model, FLATTEN) else POOL).output


def log_answers(model: Any, taxonomy: Taxonomy) -> Any:
    """Return the same network with one output that suits training, float [N, labels]: the logarithms of the scores.

    They are computed from the logits and are finite where scores are rounded to 0. With the head `multi_label`, the
    output is float [N, 2 labels], and its second half has the logits of the sub-labels.
    """
    if has_layer(model, GROUP_HEAD):
        return keras.Model(model.input, _hierarchical_log_scores(model, taxonomy), name=model.name)
    scores = model.get_layer(SCORES)
    answers = keras.ops.log_softmax(_Logits(scores, name="logits")(scores.input), axis=-1)
    if has_layer(model, SUB_SCORES):
        sub_scores = model.get_layer(SUB_SCORES)
        sub_logits = _Logits(sub_scores, name="sub_logits")(sub_scores.input)
        answers = keras.ops.concatenate([answers, sub_logits], axis=-1)
    return keras.Model(model.input, answers, name=model.name)


class _Logits(keras.layers.Layer):  # type: ignore[misc]
    """The values of a dense layer before its activation."""

    def __init__(self, dense: Any, name: str) -> None:
        super().__init__(dtype="float32", name=name)
        self.dense = dense

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x, self.dense.kernel) + self.dense.bias


def _hierarchical_log_scores(model: Any, taxonomy: Taxonomy) -> Any:
    """Return log P(label) = log P(group) + log P(label | group)."""
    groups = keras.ops.log_softmax(model.get_layer(GROUP_HEAD).output, axis=-1)
    labels = model.get_layer(LABEL_HEAD).output
    parts, order = [], []
    for number, members in enumerate(taxonomy.labels_by_group):
        within = keras.ops.log_softmax(keras.ops.take(labels, members, axis=-1), axis=-1)
        # The only label of a group has the score of the group, because its logarithm within the group is 0.
        parts.append(groups[:, number : number + 1] + within)
        order.extend(members)
    return _in_order(parts, order)


def _hierarchical(x: Any, taxonomy: Taxonomy) -> Any:
    """Return P(label) = P(group) P(label | group). The scores of a group's labels sum to the score of the group."""
    members_of = taxonomy.labels_by_group
    if len(members_of) < 2:
        raise NetworkInvalid(f"the head hierarchical needs labels of at least two groups, got {len(members_of)}")
    groups = keras.layers.Dense(len(members_of), name=GROUP_HEAD)(x)
    groups = keras.layers.Softmax(name="group_scores")(groups)
    labels = keras.layers.Dense(len(taxonomy.labels), name=LABEL_HEAD)(x)
    parts, order = [], []
    for number, members in enumerate(members_of):
        part = groups[:, number : number + 1]
        # The only label of a group has the score of the group.
        if len(members) > 1:
            within = keras.layers.Softmax(name=f"scores_in_group{number}")(keras.ops.take(labels, members, axis=-1))
            part = part * within
        parts.append(part)
        order.extend(members)
    return keras.layers.Identity(name=SCORES)(_in_order(parts, order))


def _in_order(parts: list[Any], order: list[int]) -> Any:
    """Return the parts side by side, and their columns in the order of the labels. `order` has the label of each."""
    columns = [order.index(number) for number in range(len(order))]
    return keras.ops.take(keras.ops.concatenate(parts, axis=-1), columns, axis=-1)
