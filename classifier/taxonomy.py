"""Taxonomies: the ordered, versioned sets of labels and groups that the output of a model refers to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from core.errors import ArtifactInvalid


@dataclass(frozen=True, slots=True)
class Group:
    """A category of labels. `names` maps a language (`en`, `ko`) to a name."""

    id: str
    names: dict[str, str]


@dataclass(frozen=True, slots=True)
class Label:
    """A style or kind of garment. `names` maps a language (`en`, `ko`) to a name."""

    id: str
    group: str
    names: dict[str, str]
    aliases: tuple[str, ...] = ()
    """Other spellings of the names in datasets."""


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Labels in the order of the model's output, and their groups."""

    name: str
    version: str
    groups: tuple[Group, ...]
    labels: tuple[Label, ...]
    not_labels: tuple[str, ...] = ()
    """Words that datasets use for pictures without a label, such as 기타 ("other")."""

    def __post_init__(self) -> None:
        ids = [label.id for label in self.labels]
        groups = {group.id for group in self.groups}
        if len(set(ids)) != len(ids):
            raise ArtifactInvalid(f"taxonomy {self.name}: expected every label once, got {ids}")
        unknown = {label.group for label in self.labels} - groups
        if unknown:
            raise ArtifactInvalid(f"taxonomy {self.name}: the groups of some labels are missing: {sorted(unknown)}")

    @property
    def label_ids(self) -> list[str]:
        """The ids of the labels, in the order of the model's output."""
        return [label.id for label in self.labels]

    @property
    def labels_by_group(self) -> list[list[int]]:
        """The positions of the labels of each group that has labels, in the order of the groups."""
        members = [[index for index, label in enumerate(self.labels) if label.group == g.id] for g in self.groups]
        return [indices for indices in members if indices]

    def restricted_to(self, label_ids: Sequence[str]) -> Self:
        """Return the taxonomy with only these labels, in this order, and their groups.

        Raises:
            ArtifactInvalid: a label is not in the taxonomy.
        """
        by_id = {label.id: label for label in self.labels}
        missing = [label_id for label_id in label_ids if label_id not in by_id]
        if missing:
            raise ArtifactInvalid(f"taxonomy {self.name} has no label {', '.join(missing)}; it has {', '.join(by_id)}")
        labels = tuple(by_id[label_id] for label_id in label_ids)
        used = {label.group for label in labels}
        groups = tuple(group for group in self.groups if group.id in used)
        return type(self)(self.name, self.version, groups, labels, self.not_labels)

    def to_json(self) -> dict[str, Any]:
        """Return the content of `labels.json`."""
        content: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "groups": [{"id": group.id, "name": group.names} for group in self.groups],
            "labels": [_label_to_json(label) for label in self.labels],
        }
        if self.not_labels:
            content["not_labels"] = list(self.not_labels)
        return content

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the taxonomy of the content of a `labels.json`.

        Raises:
            ArtifactInvalid: a member is missing, a label is there twice, or the group of a label is missing.
        """
        try:
            return cls(
                name=data["name"],
                version=data["version"],
                groups=tuple(Group(row["id"], dict(row["name"])) for row in data["groups"]),
                labels=tuple(
                    Label(row["id"], row["group"], dict(row["name"]), tuple(row.get("aliases", ())))
                    for row in data["labels"]
                ),
                not_labels=tuple(data.get("not_labels", ())),
            )
        except (KeyError, TypeError) as error:
            raise ArtifactInvalid(f"labels.json lacks or misspells {error}") from error


def _label_to_json(label: Label) -> dict[str, Any]:
    row: dict[str, Any] = {"id": label.id, "group": label.group, "name": label.names}
    return row | {"aliases": list(label.aliases)} if label.aliases else row
