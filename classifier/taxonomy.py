"""Labels and their groups: the ordered, versioned set that a model's output speaks of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from core.errors import ArtifactInvalid


@dataclass(frozen=True, slots=True)
class Group:
    """An upper category of labels. `names` by language: `en`, `ko`."""

    id: str
    names: dict[str, str]


@dataclass(frozen=True, slots=True)
class Label:
    """One style or kind. `names` by language: `en`, `ko`."""

    id: str
    group: str
    names: dict[str, str]


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Labels in the order of the model's output, and the groups that they belong to."""

    name: str
    version: str
    groups: tuple[Group, ...]
    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        ids = [label.id for label in self.labels]
        groups = {group.id for group in self.groups}
        if len(set(ids)) != len(ids):
            raise ArtifactInvalid(f"taxonomy {self.name}: expected every label once, got {ids}")
        strangers = {label.group for label in self.labels} - groups
        if strangers:
            raise ArtifactInvalid(f"taxonomy {self.name}: labels name groups that it lacks: {sorted(strangers)}")

    @property
    def label_ids(self) -> list[str]:
        return [label.id for label in self.labels]

    def restricted_to(self, label_ids: Sequence[str]) -> Self:
        """The same taxonomy with only these labels, in this order, and the groups that they need.

        Raises:
            ArtifactInvalid: one of them is not in the taxonomy.
        """
        by_id = {label.id: label for label in self.labels}
        missing = [label_id for label_id in label_ids if label_id not in by_id]
        if missing:
            raise ArtifactInvalid(f"taxonomy {self.name} has no label {', '.join(missing)}; it has {', '.join(by_id)}")
        labels = tuple(by_id[label_id] for label_id in label_ids)
        used = {label.group for label in labels}
        groups = tuple(group for group in self.groups if group.id in used)
        return type(self)(self.name, self.version, groups, labels)

    def to_json(self) -> dict[str, Any]:
        """The form of `labels.json`."""
        return {
            "name": self.name,
            "version": self.version,
            "groups": [{"id": group.id, "name": group.names} for group in self.groups],
            "labels": [{"id": label.id, "group": label.group, "name": label.names} for label in self.labels],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The taxonomy of a `labels.json`.

        Raises:
            ArtifactInvalid: a member is missing or the labels do not fit together.
        """
        try:
            return cls(
                name=data["name"],
                version=data["version"],
                groups=tuple(Group(row["id"], dict(row["name"])) for row in data["groups"]),
                labels=tuple(Label(row["id"], row["group"], dict(row["name"])) for row in data["labels"]),
            )
        except (KeyError, TypeError) as error:
            raise ArtifactInvalid(f"labels.json lacks or misspells {error}") from error
