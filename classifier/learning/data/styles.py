"""Finds the label of the taxonomy that a dataset's word means."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from classifier.taxonomy import Group, Label, Taxonomy


class StyleNames:
    """The words for the labels of one taxonomy: ids, names and aliases. Capitals and spaces do not matter."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._exact = {word: label.id for label in taxonomy.labels for word in (label.id, *label.names.values())}
        aliases = {word: label.id for label in taxonomy.labels for word in label.aliases}
        self._labels = {_normalised(word): label for word, label in (aliases | self._exact).items()}
        self._not_labels = {_normalised(word) for word in taxonomy.not_labels}

    def find(self, word: str) -> str | None:
        """Return the id of the label that a word means, or None."""
        return self._labels.get(_normalised(word))

    def is_alias(self, word: str) -> bool:
        """Return whether a word means a label, but is not its id or one of its names."""
        return self.find(word) is not None and word not in self._exact

    def is_no_label(self, word: str) -> bool:
        """Return whether the taxonomy lists the word as one for pictures without a label."""
        return _normalised(word) in self._not_labels


def taxonomy_of_folders(name: str, folders: Iterable[str]) -> Taxonomy:
    """Return a taxonomy with a label for each folder, all in the group `other`."""
    labels = tuple(Label(folder, "other", {"en": folder, "ko": folder}) for folder in sorted(set(folders)))
    return Taxonomy(name, "1", (Group("other", {"en": "Other", "ko": "기타"}),) if labels else (), labels)


def _normalised(word: str) -> str:
    return "".join(unicodedata.normalize("NFKC", word).casefold().split())
