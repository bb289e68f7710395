"""The labels that a shop's own category means, as far as words say it. An unknown word means no label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_SAME = (
    ("outwear", "outerwear", "outer", "coat", "overcoat", "jacket", "parka", "아우터", "코트", "재킷", "자켓", "점퍼"),
    ("pants", "trousers", "jeans", "slacks", "chinos", "긴바지", "바지", "팬츠", "청바지", "슬랙스", "데님 팬츠"),
    ("shorts", "bermudas", "반바지", "숏팬츠", "쇼츠"),
    ("t-shirt", "tee", "티셔츠", "반팔", "반팔티", "반팔 티셔츠"),
    ("longsleeve", "long-sleeve", "long-sleeve t-shirt", "long-sleeved t-shirt", "긴팔", "긴팔티", "긴팔 티셔츠"),
    ("shirt", "dress shirt", "셔츠", "남방", "와이셔츠"),
    ("dress", "gown", "원피스", "드레스"),
    ("skirt", "치마", "스커트"),
    ("shoes", "footwear", "sneakers", "boots", "sandals", "loafers", "신발", "슈즈", "운동화", "부츠", "샌들", "구두"),
    ("hat", "cap", "beanie", "headwear", "모자", "비니", "볼캡", "캡"),
)
"""Words that mean the same label, whatever the model calls it. A model may have several of them as labels."""
_ALSO = {"t-shirt": "longsleeve", "pants": "shorts"}
"""Label -> a label that shops put in the same category, although the model tells them apart."""
_WEARERS = re.compile(
    r"\b(?:wo)?m[ae]n(?:['’]?s)?\b|\b(?:girl|boy|kid|lad(?:y|ie)|unisex)(?:['’]?s)?\b|"
    r"여성용?|남성용?|여자|남자|공용|유니섹스|아동용?|키즈"
)
"""Words for those who wear it. They say nothing about what it is."""
_LEVELS = re.compile(r"[>»›|]")
"""Separators between a category and the category in it, within one text."""
_ALTERNATIVES = re.compile(r"[/&,+·]|\band\b|\b및\b")
"""Separators between two categories that a shop has put together."""


class CategoryWords:
    """The words for the labels and groups of one taxonomy."""

    def __init__(self, taxonomy: Mapping[str, Any]) -> None:
        """`taxonomy` has the form of `labels.json`."""
        self._labels: dict[str, set[str]] = {}
        for group in taxonomy["groups"]:
            members = [label["id"] for label in taxonomy["labels"] if label["group"] == group["id"]]
            self._add(_words_of(group), members)
        own: dict[str, set[str]] = {}
        for label in taxonomy["labels"]:
            for word in _words_of(label):
                own.setdefault(_normalised(word), set()).add(label["id"])
        for same in _SAME:
            words = {_normalised(word) for word in same}
            self._add(words, {label for word in words for label in own.get(word, ())})
        # The names of labels win over words that mean the same, and over groups.
        self._labels |= own
        known = {label["id"] for label in taxonomy["labels"]}
        for labels in self._labels.values():
            labels.update({_ALSO[label] for label in labels & _ALSO.keys()} & known)

    def labels_of(self, category: str | None, breadcrumb: Sequence[str] = ()) -> frozenset[str] | None:
        """Return the labels that fit a category, or None if its words are unknown.

        The most special level that is known decides. If a shop has put two categories together ("Skirts & Shorts"),
        both must be known, and the labels of both fit. The breadcrumb counts if the category is unknown.
        """
        for levels in (_LEVELS.split(category or ""), breadcrumb):
            for level in reversed(levels):
                found = self._labels_of_level(level)
                if found:
                    return found
        return None

    def _labels_of_level(self, level: str) -> frozenset[str] | None:
        words = [_normalised(part) for part in _ALTERNATIVES.split(_WEARERS.sub(" ", level.casefold()))]
        found = [self._labels.get(word) for word in words if word]
        return frozenset().union(*(labels for labels in found if labels)) if found and all(found) else None

    def _add(self, words: Iterable[str], labels: Iterable[str]) -> None:
        for word in words:
            if labels:
                self._labels.setdefault(_normalised(word), set()).update(labels)


def _words_of(row: Mapping[str, Any]) -> list[str]:
    return [row["id"], *row["name"].values(), *row.get("aliases", ())]


def _normalised(word: str) -> str:
    """Return a word without case, spaces, hyphens and the ending of the plural."""
    letters = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", word).casefold())
    if re.search(r"(?:ss|sh|ch|x)es$", letters):
        return letters[:-2]
    return letters[:-1] if re.search(r"[a-z]*[a-rt-z]s$", letters) else letters
