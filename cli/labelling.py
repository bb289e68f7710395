"""Which label an item of a job has for a dataset: by what a person said of it, or by a word that came with it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.errors import DatasetInvalid
from lookbook import Item
from lookbook.answers import Labels

WEAK, VERIFIED = "weak", "verified"
OTHER: dict[str, Any] = {"id": "other", "name": {"en": "Other", "ko": "기타"}}
"""The group of labels that no model knows."""

_LONGEST = 80
"""Characters of a label: it becomes the name of a folder."""


class LabelsFrom(StrEnum):
    """Where labels come from."""

    QUERY = "query"
    """The word that was searched for; a review counts more."""
    CATEGORY = "category"
    """What the page says; a review counts more."""
    REVIEW = "review"
    """What people said, and nothing else."""


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """A label, who says so (`weak` or `verified`), and by which word or review."""

    label: str
    kind: str
    source: LabelsFrom
    word: str | None = None


@dataclass(slots=True)
class Vocabulary:
    """Words and the labels that they stand for: names of labels in the models' taxonomies, and what the caller says."""

    renamed: Mapping[str, str]
    """Word -> label, as the caller says."""
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of the taxonomies, and those that words made, by their ids, as `labels.json` has them."""
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    unused: dict[str, str] = field(init=False)
    """Of what the caller says, the words that did not occur: plain word -> as it was given."""
    _by_word: dict[str, str] = field(default_factory=dict)
    _renamed: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._renamed = {_plain(word): label for word, label in self.renamed.items()}
        self.unused = {_plain(word): word for word in self.renamed}

    def learn(self, taxonomy: Labels) -> None:
        """The labels of one more model."""
        for group in taxonomy.groups:
            self.groups.setdefault(group.id, {"id": group.id, "name": {"en": group.names.en, "ko": group.names.ko}})
        for label in taxonomy.labels:
            names = {"en": label.names.en, "ko": label.names.ko}
            self.labels.setdefault(label.id, {"id": label.id, "group": label.group, "name": names})
            for word in (label.id, *names.values()):
                self._by_word.setdefault(_plain(word), label.id)

    def label_of(self, word: str) -> str | None:
        """The label that a word stands for; a word that no taxonomy has is one by itself. None: it has no letters."""
        plain = _plain(word)
        meant = self._renamed.get(plain, word)
        self.unused.pop(plain, None)
        known = self._by_word.get(_plain(meant))
        if known is not None:
            return known
        made = re.sub(r"[^\w]+", "-", _plain(meant)).strip("-_")[:_LONGEST]
        if not made:
            return None
        if made not in self.labels:
            self.groups.setdefault(OTHER["id"], OTHER)
            self.labels[made] = {"id": made, "group": OTHER["id"], "name": {"en": meant.strip(), "ko": meant.strip()}}
        self._by_word[_plain(meant)] = made
        return made

    def taxonomy(self, name: str, used: Iterable[str]) -> dict[str, Any]:
        """The labels that are used, as `labels.json` has them: those of models in their order, then the others."""
        wanted = set(used)
        own = [label for label in self.labels.values() if label["id"] in wanted and label["group"] != OTHER["id"]]
        made = [label for label in self.labels.values() if label["id"] in wanted and label["group"] == OTHER["id"]]
        labels = own + sorted(made, key=lambda label: str(label["id"]))
        groups = {label["group"] for label in labels}
        return {
            "name": name,
            "version": "1",
            "groups": [group for group in self.groups.values() if group["id"] in groups],
            "labels": labels,
        }


@dataclass(slots=True)
class LabelledPictures:
    """Pictures that have a label, each once, and how many items were left out for which reason."""

    pictures: dict[str, list[tuple[Item, GivenLabel]]] = field(default_factory=dict)
    """SHA-256 -> the items that show it, in the order in which they were given."""
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, items: Iterable[Item], wanted: LabelsFrom, vocabulary: Vocabulary) -> Iterator[Item]:
        """Label items; each is given on once it has been looked at."""
        for item in items:
            said = _label_of(item, wanted, vocabulary)
            if isinstance(said, str):
                self.left_out[said] += 1
            elif item.image is not None:
                self.pictures.setdefault(item.image.sha256, []).append((item, said))
            yield item


def _label_of(item: Item, wanted: LabelsFrom, vocabulary: Vocabulary) -> GivenLabel | str:
    """An item's label, or why it has none."""
    if item.crop is not None:
        # The label is that of a part; what would be learned from is the whole.
        return "cropped"
    if item.review is not None:
        if item.review.label is None:
            return "rejected"
        return GivenLabel(item.review.label.id, VERIFIED, LabelsFrom.REVIEW)
    if wanted is LabelsFrom.REVIEW:
        return "not_reviewed"
    word = item.source.query if wanted is LabelsFrom.QUERY else item.source.category
    label = vocabulary.label_of(word) if word else None
    return "unlabelled" if label is None else GivenLabel(label, WEAK, wanted, word)


def agreed_labels(labelled: LabelledPictures, clusters: Mapping[str, str]) -> dict[str, tuple[Item, GivenLabel]]:
    """SHA-256 -> the item and label that count.

    Of one photo, however often it is there, what a person said counts more than words: words that say otherwise, or
    that contradict each other while nobody said anything, are left out as `contradictory`. So is what people
    contradict each other about.
    """
    weak, verified = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for sha256, shown in labelled.pictures.items():
        for _, said in shown:
            (verified if said.kind == VERIFIED else weak)[clusters[sha256]].add(said.label)
    chosen: dict[str, tuple[Item, GivenLabel]] = {}
    for sha256, shown in labelled.pictures.items():
        people = [pair for pair in shown if pair[1].kind == VERIFIED]
        # Of copies that people judged apart, each keeps what was said of it.
        right = {said.label for _, said in people} or verified[clusters[sha256]] or weak[clusters[sha256]]
        fitting = [pair for pair in people or shown if {pair[1].label} == right]
        if fitting:
            chosen[sha256] = fitting[0]
        else:
            labelled.left_out["contradictory"] += len(shown)
    return chosen


def read_renaming(text: str) -> tuple[str, str]:
    """`WORD=LABEL`.

    Raises:
        ValueError: it is something else.
    """
    word, equals, label = text.rpartition("=")
    if not equals or not word.strip() or not label.strip():
        raise ValueError(f"expected WORD=LABEL, such as 'winter coats=outwear', got {text!r}")
    return word.strip(), label.strip()


def check_folder_name(label: str) -> str:
    """A label as the name of a folder.

    Raises:
        DatasetInvalid: it would lead elsewhere.
    """
    if not re.fullmatch(r"[\w][\w.-]*", label):
        raise DatasetInvalid(f"expected a label that can be the name of a folder, got {label!r}")
    return label


def _plain(word: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", word).casefold().split())
