"""Finds split, folder and name of each file in the path of a dataset, and matches pictures with their label files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from classifier.learning.data.containers import FoundFile
from classifier.learning.data.irregularities import Irregularity, IrregularityCounts
from core.sources.names import is_system_file

SPLITS = {
    "training": "train",
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
"""Names of folders for the sides of the shipped split, in lower case, and the names here."""
_NUMBERED = re.compile(r"^\d+\.\s*")
"""The AI Hub numbers some folders: "1.Training"."""
_PICTURES_FOLDER, _LABELS_FOLDER = "원천데이터", "라벨링데이터"

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".bmp"}
LABEL_SUFFIX = ".json"
_OWN_FILES = {"manifest.jsonl", "dataset.json", "synthetic.json"}
"""Files that Lookbook writes beside the pictures of a dataset."""

Spot = tuple[str, str, str]
"""Split, folder and name without its suffix. A picture and its label file have the same."""


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A picture or a label file, and its spot."""

    file: FoundFile
    split: str
    folder: str
    """The folder that has the file. In label folders, it is the name of the label."""
    stem: str

    @property
    def spot(self) -> Spot:
        return self.split, self.folder, self.stem


@dataclass(slots=True)
class Layout:
    """The files of a dataset by their kind."""

    pictures: list[PlacedFile] = field(default_factory=list)
    labels: list[PlacedFile] = field(default_factory=list)
    is_aihub: bool = False
    """Whether the folders are those of the AI Hub, or pictures have label files."""


def lay_out(files: Iterable[FoundFile], root: Path, counts: IrregularityCounts) -> Layout:
    """Sort the files of a dataset into pictures and label files, and count the others.

    `root` is the dataset's folder. Its name is the side of the split if no folder below names one.
    """
    layout = Layout(is_aihub=root.name.startswith(_PICTURES_FOLDER))
    default_split = _side(root.parent.name if layout.is_aihub else root.name)
    has_labels_folder = False
    for file in files:
        path = PurePosixPath(file.path)
        suffix = path.suffix.lower()
        in_labels_folder = any(part.startswith(_LABELS_FOLDER) for part in path.parts[:-1])
        has_labels_folder |= in_labels_folder
        layout.is_aihub |= in_labels_folder or any(part.startswith(_PICTURES_FOLDER) for part in path.parts[:-1])
        if is_system_file(file.path):
            counts.add(Irregularity.OTHER_FILE, file.path)
            continue
        if suffix in PICTURE_SUFFIXES:
            layout.pictures.append(_placed(file, path, default_split))
        elif suffix == LABEL_SUFFIX and file.path not in _OWN_FILES:
            layout.labels.append(_placed(file, path, default_split))
        elif file.path not in _OWN_FILES:
            counts.add(Irregularity.OTHER_FILE, file.path)
            continue
        if path.suffix != suffix:
            counts.add(Irregularity.UPPERCASE_SUFFIX, file.path)
    if has_labels_folder:
        _leave_out_other_json(layout, counts)
    # Other datasets may have JSON files that are no label files.
    layout.is_aihub |= not {label.spot for label in layout.labels}.isdisjoint(
        picture.spot for picture in layout.pictures
    )
    if not layout.is_aihub:
        for placed in layout.labels:
            counts.add(Irregularity.OTHER_FILE, placed.file.path)
        layout.labels = []
    return layout


def _leave_out_other_json(layout: Layout, counts: IrregularityCounts) -> None:
    """Keep only the JSON files below folders for label files, if there are such folders."""
    labels = []
    for placed in layout.labels:
        if any(part.startswith(_LABELS_FOLDER) for part in PurePosixPath(placed.file.path).parts[:-1]):
            labels.append(placed)
        else:
            counts.add(Irregularity.OTHER_FILE, placed.file.path)
    layout.labels = labels


def _placed(file: FoundFile, path: PurePosixPath, default_split: str) -> PlacedFile:
    *above, folder = path.parts[:-1] or [""]
    sides = [side for part in [*above, folder] if (side := _side(part))]
    split = sides[0] if sides else default_split
    if _side(folder) or folder.startswith((_PICTURES_FOLDER, _LABELS_FOLDER)) or folder.lower().endswith(".zip"):
        folder = ""
    return PlacedFile(file, split, folder, path.stem)


def _side(part: str) -> str:
    word = _NUMBERED.sub("", part.lower().removesuffix(".zip"))
    return SPLITS.get(word, "")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pictures with their label files. `alone` are the label files that no picture has so far."""

    pairs: list[tuple[PlacedFile, PlacedFile | None]]
    alone: list[PlacedFile]


def pair_by_spot(layout: Layout, counts: IrregularityCounts) -> Pairs:
    """Pair each picture with the label file of the same spot. The pictures are sorted by spot."""
    labels: defaultdict[Spot, list[PlacedFile]] = defaultdict(list)
    for label in layout.labels:
        labels[label.spot].append(label)
    pictures: defaultdict[Spot, list[PlacedFile]] = defaultdict(list)
    for picture in layout.pictures:
        pictures[picture.spot].append(picture)
    pairs: list[tuple[PlacedFile, PlacedFile | None]] = []
    alone: list[PlacedFile] = []
    for spot in sorted(pictures):
        own = labels.pop(spot, [])
        for number, picture in enumerate(pictures[spot]):
            pairs.append((picture, own[min(number, len(own) - 1)] if own else None))
        if len(pictures[spot]) > 1:
            counts.add(Irregularity.REPEATED_NAME, pictures[spot][1].file.path)
        alone += own[len(pictures[spot]) :]
    alone += [label for rest in labels.values() for label in rest]
    return Pairs(pairs, alone)


def pair_by_name(pairs: Pairs, names: dict[str, list[str]]) -> Pairs:
    """Pair the remaining pictures with the label files that name them.

    `names` has for the path of each remaining label file the names and the identifier that it gives its picture. A pair
    is made only if the picture and the label file have the same split and folder, and no other file fits.
    """
    wanted: defaultdict[Spot, list[PlacedFile]] = defaultdict(list)
    for label in pairs.alone:
        for name in {_stem(name) for name in names[label.file.path]}:
            wanted[label.split, label.folder, name].append(label)
    found: dict[str, tuple[PlacedFile, PlacedFile]] = {}
    doubtful = set[str]()
    for picture, own in pairs.pairs:
        fitting = wanted.get(picture.spot, []) if own is None else []
        if len(fitting) == 1:
            path = fitting[0].file.path
            if path in found:
                doubtful.add(path)
            found[path] = (picture, fitting[0])
    paired = {picture.file.path: label for path, (picture, label) in found.items() if path not in doubtful}
    used = {label.file.path for label in paired.values()}
    return Pairs(
        [(picture, own or paired.get(picture.file.path)) for picture, own in pairs.pairs],
        [label for label in pairs.alone if label.file.path not in used],
    )


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in PICTURE_SUFFIXES else path.name


def product_of(name: str) -> str | None:
    """Return the product of a file name `<mall>_<product>_<shot>`: the name without its shot. None for other names."""
    product, _, shot = _stem(name).rpartition("_")
    return product if shot and "_" in product.strip("_") else None


def unique_keys(pairs: Iterable[tuple[PlacedFile, PlacedFile | None]]) -> Iterator[str]:
    """Yield a key for each picture. Repeated spots get a number, in the order of the pictures."""
    before, number = None, 1
    for picture, _ in pairs:
        number = number + 1 if picture.spot == before else 1
        before = picture.spot
        key = "/".join(part for part in picture.spot if part)
        yield key if number == 1 else f"{key}#{number}"
