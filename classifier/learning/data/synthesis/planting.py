"""Plants irregularities in a synthetic dataset. Each picture gets at most one, so that their counts are known."""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from classifier.learning.data.irregularities import Irregularity
from classifier.learning.data.synthesis.label_files import encode_label, label_content
from classifier.learning.data.synthesis.picture import Drawn
from classifier.learning.data.synthesis.plan import TRAINING, Planned, Planner, number_pictures
from classifier.taxonomy import Taxonomy
from core.errors import DatasetInvalid

UNKNOWN_STYLE_WORD = "고프코어"
"""A style (gorpcore) that is not in the taxonomy."""
_KOREAN_MALL = "옷장"

PLANTABLE = tuple(
    kind
    for kind in Irregularity
    if kind
    not in {
        Irregularity.REPEATED_NAME,
        Irregularity.REFUSED_FILE,
        Irregularity.INVALID_ARCHIVE,
        Irregularity.OTHER_FILE,
    }
)
"""The irregularities that a picture or its label file can have. The others concern files beside them."""

IMPLIED: Mapping[Irregularity, Irregularity] = {
    Irregularity.IN_BOTH_SPLITS: Irregularity.DUPLICATE_IDENTIFIER,
    Irregularity.INVALID_LABEL_FILE: Irregularity.STYLE_FROM_FOLDER,
    Irregularity.DECOMPOSED_NAME: Irregularity.ORIGINAL_NAME,
}
"""Irregularities that a planted one always brings with it: a file in both splits has its identifier twice, a label file
that cannot be read has no style, and only original names have letters that can be decomposed."""


class Planter:
    """Chooses pictures of a plan for irregularities, and adds pictures where a kind needs them."""

    def __init__(self, planner: Planner, planned: list[Planned], taxonomy: Taxonomy) -> None:
        self.planned = planned
        self._planner = planner
        self._random = planner.random
        self._taxonomy = taxonomy
        self._free: list[Planned] = []

    def plant(self, wanted: Mapping[Irregularity, int]) -> None:
        """Mark pictures with the irregularities, number all pictures, and change what their files will say.

        Raises:
            DatasetInvalid: there are too few pictures for the irregularities.
        """
        self._add_pictures(wanted)
        number_pictures(self.planned, self._random)
        order = self._random.permutation(len(self.planned)).tolist()
        self._free = [self.planned[k] for k in order if not self.planned[k].leak and self.planned[k].mark is None]
        leaked = {picture.shot for picture in self.planned if picture.leak == "same_file"}
        self._free = [picture for picture in self._free if picture.shot not in leaked]
        # Aliases come first, because only some labels have them.
        for kind in sorted(wanted, key=lambda kind: kind is not Irregularity.STYLE_ALIAS):
            if kind not in _ADDED and kind is not Irregularity.IN_BOTH_SPLITS:
                for _ in range(wanted[kind]):
                    self._plant(kind)

    def _add_pictures(self, wanted: Mapping[Irregularity, int]) -> None:
        labels = self._taxonomy.label_ids
        words = {Irregularity.NOT_A_LABEL: next(iter(self._taxonomy.not_labels), "")}
        words[Irregularity.UNKNOWN_STYLE] = UNKNOWN_STYLE_WORD
        for kind in _ADDED:
            for _ in range(wanted.get(kind, 0)):
                main = labels[int(self._random.integers(len(labels)))]
                if kind is Irregularity.TWO_LABELS:
                    self._add_second_label()
                    continue
                picture = next(self._planner.pictures(main, TRAINING, 1))
                picture.mark = kind
                if kind in words:
                    picture.label, picture.sub_style = None, None
                    picture.folder = picture.style = words[kind]
                self.planned.append(picture)

    def _add_second_label(self) -> None:
        """Add a file of a picture again, under another label."""
        candidates = [
            p for p in self.planned if p.mark is None and not p.leak and p.split == TRAINING and not p.shot.copy
        ]
        source = candidates[int(self._random.integers(len(candidates)))]
        label = self._other_label(source.label)
        word = self._planner.words[label]
        source.mark = Irregularity.TWO_LABELS
        self.planned.append(replace(source, label=label, folder=word, style=word))

    def _other_label(self, label: str | None) -> str:
        others = [other for other in self._taxonomy.label_ids if other != label]
        return others[int(self._random.integers(len(others)))]

    def _take(self, kind: Irregularity, fits: Callable[[Planned], bool] = lambda _: True) -> Planned:
        index = next((k for k, picture in enumerate(self._free) if fits(picture)), None)
        if index is None:
            raise DatasetInvalid(f"expected more pictures for the irregularities, got too few for another {kind.value}")
        picture = self._free.pop(index)
        picture.mark = kind
        return picture

    def _plant(self, kind: Irregularity) -> None:
        aliases = {label.id: label.aliases for label in self._taxonomy.labels if label.aliases}
        if kind is Irregularity.STYLE_ALIAS:
            picture = self._take(kind, lambda picture: picture.label in aliases)
            picture.style = aliases[str(picture.label)][0]
            return
        picture = self._take(kind)
        if kind is Irregularity.STYLE_FROM_FOLDER:
            picture.style = None
        elif kind is Irregularity.UNKNOWN_SUB_STYLE:
            picture.sub_style = UNKNOWN_STYLE_WORD
        elif kind is Irregularity.STYLE_DIFFERS_FROM_FOLDER:
            picture.folder = self._planner.words[self._other_label(picture.label)]
        elif kind is Irregularity.ORIGINAL_NAME:
            picture.file_name = picture.name
        elif kind is Irregularity.DECOMPOSED_NAME:
            picture.mall = _KOREAN_MALL
            picture.file_name = picture.name
        elif kind is Irregularity.DUPLICATE_IDENTIFIER:
            other = self._take(kind, lambda other: other.split == picture.split and other.folder != picture.folder)
            other.identifier = picture.identifier


_ADDED = (
    Irregularity.TWO_LABELS,
    Irregularity.NOT_A_LABEL,
    Irregularity.UNKNOWN_STYLE,
    Irregularity.LABEL_WITHOUT_PICTURE,
)
"""Irregularities whose pictures come on top of the others."""


def counted(planned: Sequence[Planned]) -> Counter[Irregularity]:
    """Return how often a reader finds each irregularity."""
    counts = Counter(picture.mark for picture in planned if picture.mark is not None)
    counts[Irregularity.IN_BOTH_SPLITS] = sum(picture.leak == "same_file" for picture in planned)
    # Two pictures have one irregularity of these kinds together.
    for kind in (Irregularity.TWO_LABELS, Irregularity.DUPLICATE_IDENTIFIER):
        counts[kind] //= 2
    for kind, implied in IMPLIED.items():
        counts[implied] += counts[kind]
    return +counts


def files_of(planned: Planned, drawn: Drawn) -> tuple[tuple[str, bytes] | None, tuple[str, bytes] | None]:
    """Return name and bytes of the picture and of the label file, as the planted irregularity leaves them."""
    mark = planned.mark
    name = planned.file_name or str(planned.identifier)
    suffix = ".JPG" if mark is Irregularity.UPPERCASE_SUFFIX else ".jpg"
    shown = unicodedata.normalize("NFD", name) if mark is Irregularity.DECOMPOSED_NAME else name
    data = drawn.data
    if mark is Irregularity.UNREADABLE_PICTURE:
        data = data[: len(data) // 2 if planned.identifier % 2 else 64]
    picture = None if mark is Irregularity.LABEL_WITHOUT_PICTURE else (shown + suffix, data)
    label = None if mark is Irregularity.PICTURE_WITHOUT_LABEL else (name + ".json", _label_bytes(planned, drawn))
    return picture, label


def _label_bytes(planned: Planned, drawn: Drawn) -> bytes:
    content = label_content(planned, drawn)
    if planned.mark is not None and planned.mark in _EDITS:
        _EDITS[planned.mark](planned, content)
    data = encode_label(content)
    if planned.mark is Irregularity.BYTE_ORDER_MARK:
        return codecs.BOM_UTF8 + data
    return data[: len(data) // 2] if planned.mark is Irregularity.INVALID_LABEL_FILE else data


def _details(content: dict[str, Any]) -> dict[str, Any]:
    details: dict[str, Any] = content["데이터셋 정보"]["데이터셋 상세설명"]
    return details


def _first_garment(content: dict[str, Any], part: str) -> dict[str, Any]:
    """Return the first box (렉트좌표) or the attributes (라벨링) of the first garment in the file."""
    rows: dict[str, list[dict[str, Any]]] = _details(content)[part]
    return next(row[0] for slot, row in rows.items() if slot != "스타일" and row[0])


def _drop_style(planned: Planned, content: dict[str, Any]) -> None:
    if planned.identifier % 2:
        del _details(content)["라벨링"]["스타일"]


def _add_style(_: Planned, content: dict[str, Any]) -> None:
    styles = _details(content)["라벨링"]["스타일"]
    styles.append({"스타일": "모던" if styles[0]["스타일"] != "모던" else "레트로"})


def _flatten_box(_: Planned, content: dict[str, Any]) -> None:
    _first_garment(content, "렉트좌표")["가로"] = 0


def _move_box(_: Planned, content: dict[str, Any]) -> None:
    box = _first_garment(content, "렉트좌표")
    box["가로"] = content["이미지 정보"]["이미지 너비"] - box["X좌표"] + 40


def _write_as_text(_: Planned, content: dict[str, Any]) -> None:
    box = _first_garment(content, "렉트좌표")
    box["Y좌표"] = str(box["Y좌표"])


def _lose_coordinate(planned: Planned, content: dict[str, Any]) -> None:
    box = _first_garment(content, "렉트좌표")
    if planned.identifier % 2:
        del box["세로"]
    else:
        box["세로"] = None


def _add_hard_space(_: Planned, content: dict[str, Any]) -> None:
    attributes = _first_garment(content, "라벨링")
    attributes["색상"] += "\u00a0"


def _vary_value(_: Planned, content: dict[str, Any]) -> None:
    _first_garment(content, "라벨링")["핏"] = "노말"


def _double_size(_: Planned, content: dict[str, Any]) -> None:
    for key in ("이미지 높이", "이미지 너비"):
        content["이미지 정보"][key] *= 2


_EDITS: Mapping[Irregularity, Callable[[Planned, dict[str, Any]], None]] = {
    Irregularity.STYLE_FROM_FOLDER: _drop_style,
    Irregularity.SEVERAL_STYLES: _add_style,
    Irregularity.ZERO_AREA_BOX: _flatten_box,
    Irregularity.BOX_OUTSIDE_PICTURE: _move_box,
    Irregularity.COORDINATE_AS_TEXT: _write_as_text,
    Irregularity.INVALID_COORDINATE: _lose_coordinate,
    Irregularity.NON_BREAKING_SPACE: _add_hard_space,
    Irregularity.VALUE_VARIANT: _vary_value,
    Irregularity.SIZE_DIFFERS: _double_size,
}
