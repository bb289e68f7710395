"""Decide which label an item has in a dataset: the one of its review, or the one that a word of its source means."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from core.errors import DatasetInvalid
from core.types import Crop
from lookbook import Item
from lookbook.model_answers import Labels

WEAK, VERIFIED = "weak", "verified"
OTHER: dict[str, Any] = {"id": "other", "name": {"en": "Other", "ko": "기타"}}
"""The group of the labels that no taxonomy has."""

_MAX_LABEL_LENGTH = 80
"""Characters. A label becomes the name of a folder."""


class LabelsFrom(StrEnum):
    """Where labels come from."""

    QUERY = "query"
    """The search word. A review takes precedence."""
    CATEGORY = "category"
    """The category on the page of the product. A review takes precedence."""
    REVIEW = "review"
    """Reviews only."""


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """A label of an item, and where it comes from."""

    label: str
    kind: str
    """`VERIFIED` if a person gave it in a review, `WEAK` otherwise."""
    label_from: LabelsFrom
    word: str | None = None
    """The search word or category that gave a weak label."""
    crop: Crop | None = None
    """The part of the picture that shows the label, if the review names one."""


@dataclass(slots=True)
class Vocabulary:
    """Words and the labels that they mean: the names in the taxonomies of models, and the renamings of the caller."""

    renamed: Mapping[str, str]
    """Word -> label, given by the caller."""
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Id -> label in the form of `labels.json`: the labels of the taxonomies, and those made from unknown words."""
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Id -> group in the form of `labels.json`."""
    unused: dict[str, str] = field(init=False)
    """Words of `renamed` that no item had: normalised word -> word as given."""
    _by_word: dict[str, str] = field(default_factory=dict)
    _renamed: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._renamed = {_normalised(word): label for word, label in self.renamed.items()}
        self.unused = {_normalised(word): word for word in self.renamed}

    def learn(self, taxonomy: Labels) -> None:
        """Add the labels and groups of a model."""
        for group in taxonomy.groups:
            self.groups.setdefault(group.id, {"id": group.id, "name": {"en": group.names.en, "ko": group.names.ko}})
        for label in taxonomy.labels:
            names = {"en": label.names.en, "ko": label.names.ko}
            self.labels.setdefault(label.id, {"id": label.id, "group": label.group, "name": names})
            for word in (label.id, *names.values()):
                self._by_word.setdefault(_normalised(word), label.id)

    def label_of(self, word: str) -> str | None:
        """Return the label that a word means. An unknown word becomes a label; None if it has no letters or digits."""
        normalised = _normalised(word)
        meant = self._renamed.get(normalised, word)
        self.unused.pop(normalised, None)
        known = self._by_word.get(_normalised(meant))
        if known is not None:
            return known
        made = re.sub(r"[^\w]+", "-", _normalised(meant)).strip("-_")[:_MAX_LABEL_LENGTH]
        if not made:
            return None
        if made not in self.labels:
            self.groups.setdefault(OTHER["id"], OTHER)
            self.labels[made] = {"id": made, "group": OTHER["id"], "name": {"en": meant.strip(), "ko": meant.strip()}}
        self._by_word[_normalised(meant)] = made
        return made

    def taxonomy(self, name: str, used: Iterable[str]) -> dict[str, Any]:
        """Return a taxonomy of the used labels, in the form of `labels.json`: first those of models, in their order."""
        ids = set(used)
        of_models = [label for label in self.labels.values() if label["id"] in ids and label["group"] != OTHER["id"]]
        of_words = [label for label in self.labels.values() if label["id"] in ids and label["group"] == OTHER["id"]]
        labels = of_models + sorted(of_words, key=lambda label: str(label["id"]))
        groups = {label["group"] for label in labels}
        return {
            "name": name,
            "version": "1",
            "groups": [group for group in self.groups.values() if group["id"] in groups],
            "labels": labels,
        }


@dataclass(slots=True)
class LabelledPictures:
    """Pictures with their labels, and the number of items that were left out, by reason."""

    pictures: dict[str, list[tuple[Item, GivenLabel]]] = field(default_factory=dict)
    """Key of a picture -> the items that show it, each with its label, in the order of `add`.

    The key is the SHA-256 of the picture. For a part of a picture, it is that of the whole one and the crop, until the
    part is cut out (`rename`).
    """
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, items: Iterable[Item], labels_from: LabelsFrom, vocabulary: Vocabulary) -> Iterator[Item]:
        """Label items. Yield each item after it is labelled, so that the caller can show progress."""
        for item in items:
            label = _label_of(item, labels_from, vocabulary)
            if isinstance(label, str):
                self.left_out[label] += 1
            elif item.image is not None:
                key = item.image.sha256 if label.crop is None else f"{item.image.sha256} {label.crop.key}"
                self.pictures.setdefault(key, []).append((item, label))
            yield item

    def rename(self, key: str, sha256: str) -> None:
        """Give the items of a picture another key: the SHA-256 of the part that was cut out."""
        if key != sha256:
            self.pictures.setdefault(sha256, []).extend(self.pictures.pop(key))


def _label_of(item: Item, labels_from: LabelsFrom, vocabulary: Vocabulary) -> GivenLabel | str:
    """Return the label of an item, or the reason why it has none."""
    if item.crop is not None and (item.review is None or item.review.crop is None):
        # The label belongs to the crop, but a model would learn it from the whole picture.
        return "cropped"
    if item.review is not None:
        if item.review.label is None:
            return "rejected"
        crop = item.review.crop
        part = None if crop is None else Crop(crop.x, crop.y, crop.width, crop.height)
        return GivenLabel(item.review.label.id, VERIFIED, LabelsFrom.REVIEW, crop=part)
    if labels_from is LabelsFrom.REVIEW:
        return "not_reviewed"
    category = item.product.category if item.product is not None else None
    word = item.source.query if labels_from is LabelsFrom.QUERY else category
    label = vocabulary.label_of(word) if word else None
    return "unlabelled" if label is None else GivenLabel(label, WEAK, labels_from, word)


def agreed_labels(labelled: LabelledPictures, clusters: Mapping[str, str]) -> dict[str, tuple[Item, GivenLabel]]:
    """Return the item and the label to use for each picture: SHA-256 -> (item, label).

    All pictures of a cluster show one photo, so their labels must agree. A label of a review takes precedence over
    words. Items are left out as `contradictory` if their word differs from a review, if the words differ and there is
    no review, or if reviews of the same picture differ.
    """
    weak, verified = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for sha256, labels in labelled.pictures.items():
        for _, given in labels:
            (verified if given.kind == VERIFIED else weak)[clusters[sha256]].add(given.label)
    chosen: dict[str, tuple[Item, GivenLabel]] = {}
    for sha256, labels in labelled.pictures.items():
        reviews = [pair for pair in labels if pair[1].kind == VERIFIED]
        # A picture with reviews of its own keeps their label, even if reviews of a copy differ.
        accepted = {given.label for _, given in reviews} or verified[clusters[sha256]] or weak[clusters[sha256]]
        agreeing = [pair for pair in reviews or labels if {pair[1].label} == accepted]
        if agreeing:
            chosen[sha256] = agreeing[0]
        else:
            labelled.left_out["contradictory"] += len(labels)
    return chosen


def product_key(item: Item) -> str | None:
    """Return what the pictures of one product have in common, also in several jobs of one shop. None: no product."""
    if item.product is None or item.product.product_id is None:
        return None
    host = urlsplit(item.source.page_url or "").hostname
    # Without a shop, an id names a product only within its job.
    return f"{host or item.job_id} {item.product.product_id}"


def families_of(labelled: LabelledPictures, clusters: Mapping[str, str]) -> dict[str, str]:
    """Return the family of each picture: SHA-256 -> the least name of the clusters that share a product with it.

    Pictures of one product, and pictures of one cluster, are in the same family, directly or through other pictures.
    """
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.setdefault(name, name) != name:
            name = parents[name]
        return name

    for sha256, labels in labelled.pictures.items():
        keys = {key for item, _ in labels if (key := product_key(item)) is not None}
        for key in sorted(keys):
            # Every name of a product is greater than the name of any cluster, which has only hexadecimal digits.
            least, greater = sorted((root(clusters[sha256]), root(f"product {key}")))
            parents[greater] = least
    return {sha256: root(clusters[sha256]) for sha256 in labelled.pictures}


def read_renaming(text: str) -> tuple[str, str]:
    """Return the word and the label of `WORD=LABEL`.

    Raises:
        ValueError: the text has another form.
    """
    word, equals, label = text.rpartition("=")
    if not equals or not word.strip() or not label.strip():
        raise ValueError(f"expected WORD=LABEL, such as 'winter coats=outwear', got {text!r}")
    return word.strip(), label.strip()


def check_folder_name(label: str) -> str:
    """Return the label if it can be the name of a folder.

    Raises:
        DatasetInvalid: it has characters that would lead out of the folder.
    """
    if not re.fullmatch(r"[\w][\w.-]*", label):
        raise DatasetInvalid(f"expected a label that can be the name of a folder, got {label!r}")
    return label


def _normalised(word: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", word).casefold().split())
