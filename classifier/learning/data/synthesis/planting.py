"""Plants irregularities in a synthetic dataset. Each picture gets at most one, so that their counts are known."""

from __future__ import annotations

import codecs
import io
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from classifier.learning.data.irregularities import Irregularity
from classifier.learning.data.synthesis.label_writing import encode_label, label_content
from classifier.learning.data.synthesis.picture import Drawn
from classifier.learning.data.synthesis.plan import TRAINING, Planned, Planner, number_pictures
from classifier.taxonomy import Taxonomy
from core.errors import DatasetInvalid

UNKNOWN_STYLE_WORD = "고프코어"
"""A style (gorpcore) that is not in the taxonomy."""
_KOREAN_MALL = "옷장"

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
            if kind not in _ADDED and kind not in _STRAY and kind is not Irregularity.IN_BOTH_SPLITS:
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
        elif kind is Irregularity.STYLE_DIFFERS_FROM_FOLDER:
            picture.folder = self._planner.words[self._other_label(picture.label)]
        elif kind is Irregularity.UNKNOWN_SUB_STYLE:
            picture.sub_style = UNKNOWN_STYLE_WORD
        elif kind is Irregularity.REPEATED_NAME:
            self.planned.append(replace(picture, again=True))
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
_STRAY = (Irregularity.OTHER_FILE, Irregularity.INVALID_ARCHIVE, Irregularity.REFUSED_FILE)
"""Irregularities that are files of their own."""
_PAIRED = (Irregularity.TWO_LABELS, Irregularity.DUPLICATE_IDENTIFIER, Irregularity.REPEATED_NAME)
"""Irregularities that two pictures have together."""


def stray_files(wanted: Mapping[Irregularity, int]) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of files beside the pictures: notes, broken zips, and zips with an unsafe member."""
    for number in range(wanted.get(Irregularity.OTHER_FILE, 0)):
        yield f"notes_{number + 1}.txt", b"A note that somebody left here.\n"
    for number in range(wanted.get(Irregularity.INVALID_ARCHIVE, 0)):
        yield f"incomplete_{number + 1}.zip", b"PK\x03\x04 the rest of this download is missing"
    for number in range(wanted.get(Irregularity.REFUSED_FILE, 0)):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(zipfile.ZipInfo(f"../outside_{number + 1}.jpg"), b"unsafe")
        yield f"unsafe_{number + 1}.zip", packed.getvalue()


def counted(planned: Sequence[Planned], wanted: Mapping[Irregularity, int]) -> Counter[Irregularity]:
    """Return how often a reader finds each irregularity of a plan."""
    counts = Counter(picture.mark for picture in planned if picture.mark is not None)
    counts[Irregularity.IN_BOTH_SPLITS] = sum(picture.leak == "same_file" for picture in planned)
    for kind in _PAIRED:
        counts[kind] //= 2
    for kind in _STRAY:
        counts[kind] = wanted.get(kind, 0)
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
        # Half of a download, or a file without its beginning.
        data = data[: len(data) // 2] if planned.identifier % 2 else data[200:]
    picture = None if mark is Irregularity.LABEL_WITHOUT_PICTURE else (shown + suffix, data)
    alone = planned.again or mark is Irregularity.PICTURE_WITHOUT_LABEL
    label = None if alone else (name + ".json", _label_bytes(planned, drawn))
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


def _add_style(planned: Planned, content: dict[str, Any]) -> None:
    """Add the sub-style, or the style again, as another main style."""
    _details(content)["라벨링"]["스타일"].append({"스타일": planned.sub_style or planned.style})


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
