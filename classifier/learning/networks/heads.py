"""Heads: the part of a network between the features of its backbone and the scores of the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import keras

from classifier.artifact import GROUP_HEAD, HIDDEN, LABEL_HEAD, SCORES, SUB_SCORES
from classifier.learning.networks.backbone import Backbone
from classifier.taxonomy import Taxonomy
from core.errors import NetworkInvalid

HeadKind = Literal["straight", "two_dense", "hierarchical", "multi_label"]

POOL = "pool"
"""The layer whose output, [N, channels], is the input of every head."""


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
        NetworkInvalid: the head is `hierarchical`, and all labels belong to one group.
    """
    if backbone.fused is None:
        x = keras.layers.GlobalAveragePooling2D(name=POOL)(backbone.features)
    else:
        x = keras.layers.Identity(name=POOL)(backbone.fused)
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
    in_groups = keras.ops.concatenate(parts, axis=-1)
    in_order = keras.ops.take(in_groups, [order.index(number) for number in range(len(order))], axis=-1)
    return keras.layers.Identity(name=SCORES)(in_order)
