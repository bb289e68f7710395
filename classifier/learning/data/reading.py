"""Makes the index of a dataset: of the AI Hub form of K-Fashion, of label folders, and of `lookbook dataset build`.

All irregularities are found on the way and counted, and none ends the reading. Pictures and label files are read by
threads, because decoding and reading release the interpreter's lock.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from classifier.learning.data.containers import Containers, FoundFile, find_files
from classifier.learning.data.index import IndexNote, PictureIndex, SplitOrigin, write_rows
from classifier.learning.data.irregularities import Irregularity, IrregularityCounts
from classifier.learning.data.label_files import MAX_LABEL_BYTES, LabelFile, read_label_file
from classifier.learning.data.layout import (
    Layout,
    Pairs,
    PlacedFile,
    lay_out,
    pair_by_name,
    pair_by_spot,
    product_of,
    unique_keys,
)
from classifier.learning.data.manifests import read_manifest, read_taxonomy
from classifier.learning.data.parallel import in_order
from classifier.learning.data.pictures import MANIFEST, Track
from classifier.learning.data.styles import StyleNames, taxonomy_of_folders
from classifier.prepare import InputSpec, prepare
from classifier.taxonomy import Taxonomy
from core.errors import DatasetInvalid
from core.item_errors import ArchiveUnsafe, ItemError, TooLarge
from core.perceptual import fingerprint
from core.pictures import inspect
from core.settings import PROJECT

_KFASHION_LABELS = PROJECT / "recipes" / "training" / "kfashion.labels.json"
"""The taxonomy of datasets in the AI Hub form."""
FINGERPRINT_SIDE = 224
"""Long side in pixels at which pictures are compared. Fingerprints are designed for 200 to 500 pixels."""
_BATCH = 1000
"""Number of rows that are in memory at the same time."""

Pair = tuple[PlacedFile, PlacedFile | None]


@dataclass(frozen=True, slots=True)
class _ReadPicture:
    """The row of a picture, and the irregularities of the picture and of its label file."""

    row: dict[str, Any]
    path: str
    found: Counter[Irregularity]
    label_path: str | None
    label: LabelFile


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How a dataset is read."""

    taxonomy: Taxonomy | None = None
    """The taxonomy; None means that of the dataset: K-Fashion's, that of its description, or its folders."""
    whole: bool | None = True
    """Whether all pictures are decoded, to find the damaged ones and to compare them. This takes most of the time. None
    means that they are decoded if the dataset has to be split (`must_be_split`)."""
    weight: float = 1.0
    """The weight of every picture in training."""


def make_index(root: Path, path: Path, options: ReadingOptions, track: Track) -> PictureIndex:
    """Read a dataset, save its index in the file `path`, and return the index.

    Raises:
        DatasetInvalid: there is no such folder, or it has no pictures.
    """
    root = root.resolve()
    counts = IrregularityCounts()
    layout = lay_out(find_files(root, counts), root, counts)
    if not layout.pictures:
        raise DatasetInvalid(f"{root}: expected pictures in folders or zips, got none")
    manifest = read_manifest(root, counts) if (root / MANIFEST).is_file() else None
    taxonomy = options.taxonomy or _taxonomy(root, layout)
    origin: SplitOrigin = "aihub" if layout.is_aihub else "manifest" if manifest is not None else "folders"
    if options.whole is None:
        options = replace(options, whole=must_be_split(origin, {placed.split for placed in layout.pictures}))
    reader = _Reader(Containers(root), taxonomy, options, layout, manifest, counts)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = path.with_name(f".{path.name}.rows")
    try:
        table = write_rows(rows, reader.batches(track))
        _count_across(table, counts)
        zips = sorted({placed.file.container for placed in [*layout.pictures, *layout.labels]} - {""})
        sizes = {name: (root / name).stat().st_size for name in zips}
        index = PictureIndex(table, IndexNote(root, taxonomy, bool(options.whole), origin, sizes, counts))
        index.save(path)
    finally:
        rows.unlink(missing_ok=True)
    return PictureIndex.open(path)


def must_be_split(origin: SplitOrigin, sides: Set[str]) -> bool:
    """Return whether a dataset has no split to judge models by: that of the AI Hub leaks, and others may have none."""
    return origin == "aihub" or not sides - {""}


def kfashion_taxonomy() -> Taxonomy:
    """Return the taxonomy of K-Fashion: 23 styles in 10 groups."""
    return Taxonomy.from_json(json.loads(_KFASHION_LABELS.read_text("utf-8")))


def _taxonomy(root: Path, layout: Layout) -> Taxonomy:
    if layout.is_aihub:
        return kfashion_taxonomy()
    described = read_taxonomy(root)
    folders = {placed.folder for placed in layout.pictures} - {""}
    return described or taxonomy_of_folders(root.name, folders)


class _Reader:
    """Reads the pictures and label files of one dataset."""

    def __init__(
        self,
        containers: Containers,
        taxonomy: Taxonomy,
        options: ReadingOptions,
        layout: Layout,
        manifest: dict[str, LabelFile] | None,
        counts: IrregularityCounts,
    ) -> None:
        self._containers = containers
        self._styles = StyleNames(taxonomy)
        self._options = options
        self._layout = layout
        self._manifest = manifest
        self._counts = counts
        self._identified: dict[str, str] = {}
        self._repeated: dict[str, str] = {}

    def batches(self, track: Track) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows of all pictures, sorted by key, and count all irregularities."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            paired = self._pair(pool)
            keyed = list(zip(unique_keys(paired.pairs), paired.pairs, strict=True))
            rows: list[dict[str, Any]] = []
            for read in track(in_order(pool, self._read, keyed), len(keyed)):
                self._counts.add_all(read.found, read.path)
                self._counts.add_all(read.label.found, read.label_path or read.path)
                if read.label_path is not None:
                    self._note_identifier(read.label_path, read.label.identifier)
                rows.append(read.row)
                if len(rows) == _BATCH:
                    yield rows
                    rows = []
            yield rows
        for identifier, example in self._repeated.items():
            self._counts.add(Irregularity.DUPLICATE_IDENTIFIER, f"{identifier}: {example}")
        self._containers.close()

    def _pair(self, pool: ThreadPoolExecutor) -> Pairs:
        paired = pair_by_spot(self._layout, self._counts)
        labels = in_order(pool, self._read_label, paired.alone)
        alone = {label.file.path: read for label, read in zip(paired.alone, labels, strict=True)}
        names = {path: [*label.file_names, *filter(None, [label.identifier])] for path, label in alone.items()}
        paired = pair_by_name(paired, names)
        for label in paired.alone:
            path = label.file.path
            self._counts.add(Irregularity.LABEL_WITHOUT_PICTURE, path)
            self._counts.add_all(alone[path].found, path)
            self._note_identifier(path, alone[path].identifier)
        for path in sorted((self._manifest or {}).keys() - {placed.file.path for placed in self._layout.pictures}):
            self._counts.add(Irregularity.LABEL_WITHOUT_PICTURE, path)
        return paired

    def _note_identifier(self, path: str, identifier: str | None) -> None:
        if identifier is not None and self._identified.setdefault(identifier, path) != path:
            self._repeated.setdefault(identifier, path)

    def _read(self, keyed: tuple[str, Pair]) -> _ReadPicture:
        key, (picture, label_file) = keyed
        found = Counter[Irregularity]()
        label = self._label(picture, label_file, found)
        pixels = self._picture(picture.file, found)
        style, sub_labels = self._resolve(label, picture.folder, found)
        if label.identifier is not None and any(
            placed is not None and placed.stem != label.identifier for placed in (picture, label_file)
        ):
            found[Irregularity.ORIGINAL_NAME] += 1
        row = {
            "key": key,
            "container": picture.file.container,
            "member": picture.file.member,
            "place": picture.file.place and asdict(picture.file.place),
            "name": PurePosixPath(picture.file.path).name,
            "folder": picture.folder,
            "label": style,
            "sub_labels": sub_labels,
            "kind": label.kind,
            "weight": self._options.weight,
            "split": picture.split,
            "product": self._product(picture, label),
            "identifier": label.identifier,
            **pixels,
            "boxes": [asdict(box) for box in self._boxes(label, pixels, found)],
            # asdict() copies every coordinate, which takes half of the time for a picture.
            "polygons": [{"garment": shape.garment, "x": shape.x, "y": shape.y} for shape in label.polygons],
            "attributes": [asdict(attribute) for attribute in label.attributes],
        }
        label_path = None if label_file is None else label_file.file.path
        return _ReadPicture(row, picture.file.path, found, label_path, label)

    def _label(self, picture: PlacedFile, label_file: PlacedFile | None, found: Counter[Irregularity]) -> LabelFile:
        if label_file is not None:
            return self._read_label(label_file)
        if self._manifest is not None and picture.file.path in self._manifest:
            return self._manifest[picture.file.path]
        if self._layout.is_aihub or self._manifest is not None:
            found[Irregularity.PICTURE_WITHOUT_LABEL] += 1
        return LabelFile()

    def _read_label(self, placed: PlacedFile) -> LabelFile:
        file = placed.file
        try:
            return read_label_file(self._containers.read(file.container, file.member, file.place, MAX_LABEL_BYTES))
        except (ArchiveUnsafe, TooLarge):
            return LabelFile(found=Counter([Irregularity.REFUSED_FILE]))
        except ItemError:
            return LabelFile(found=Counter([Irregularity.INVALID_LABEL_FILE]))

    def _picture(self, file: FoundFile, found: Counter[Irregularity]) -> dict[str, Any]:
        """Return the columns that the bytes of a picture give."""
        columns: dict[str, Any] = {"readable": True, "width": 0, "height": 0, "sha256": None, "fingerprint": None}
        try:
            data = self._containers.read(file.container, file.member, file.place)
            columns["sha256"] = hashlib.sha256(data).hexdigest()
            if self._options.whole:
                prepared = prepare(data, InputSpec(FINGERPRINT_SIDE))
                info, columns["fingerprint"] = prepared.info, fingerprint(prepared.picture)
            else:
                info = inspect(data)
            columns["width"], columns["height"] = info.width, info.height
        except ItemError as error:
            refused = isinstance(error, ArchiveUnsafe | TooLarge)
            found[Irregularity.REFUSED_FILE if refused else Irregularity.UNREADABLE_PICTURE] += 1
            columns["readable"] = False
        return columns

    def _resolve(self, label: LabelFile, folder: str, found: Counter[Irregularity]) -> tuple[str | None, list[str]]:
        """Return the label and the sub-labels of a picture."""
        style = self._find(label.style, found) if label.style is not None else None
        if label.style is None:
            if self._layout.is_aihub and Irregularity.PICTURE_WITHOUT_LABEL not in found:
                found[Irregularity.STYLE_FROM_FOLDER] += 1
            style = self._find(folder, found)
        elif self._known(label.style) and self._known(folder) and self._styles.find(folder) != style:
            found[Irregularity.STYLE_DIFFERS_FROM_FOLDER] += 1
        sub_labels: list[str] = []
        for word in label.sub_styles:
            if (sub_label := self._styles.find(word)) is None:
                found[Irregularity.UNKNOWN_SUB_STYLE] += 1
                continue
            if self._styles.is_alias(word):
                found[Irregularity.STYLE_ALIAS] += 1
            if sub_label not in sub_labels:
                sub_labels.append(sub_label)
        return style, sub_labels

    def _known(self, word: str) -> bool:
        return self._styles.find(word) is not None or self._styles.is_no_label(word)

    def _find(self, word: str, found: Counter[Irregularity]) -> str | None:
        label = self._styles.find(word)
        if label is None:
            found[Irregularity.NOT_A_LABEL if self._styles.is_no_label(word) else Irregularity.UNKNOWN_STYLE] += 1
        elif self._styles.is_alias(word):
            found[Irregularity.STYLE_ALIAS] += 1
        return label

    def _product(self, picture: PlacedFile, label: LabelFile) -> str:
        if label.product is not None:
            return label.product
        if self._layout.is_aihub:
            named = next(filter(None, map(product_of, [*label.file_names, picture.stem])), None)
            return named or label.identifier or picture.stem
        return picture.stem

    def _boxes(self, label: LabelFile, pixels: dict[str, Any], found: Counter[Irregularity]) -> Iterator[Any]:
        """Yield the boxes, cut at the edges of the picture. The label gives the size if the picture is unreadable."""
        width, height = pixels["width"] or label.width, pixels["height"] or label.height
        own = (pixels["width"], pixels["height"])
        if pixels["readable"] and None not in (label.width, label.height) and (label.width, label.height) != own:
            found[Irregularity.SIZE_DIFFERS] += 1
        for box in label.boxes:
            cut = box.within(width, height) if width and height else box
            if cut != box:
                found[Irregularity.BOX_OUTSIDE_PICTURE] += 1
            if cut.width and cut.height:
                yield cut


def _count_across(table: Any, counts: IrregularityCounts) -> None:
    """Count the irregularities that only several pictures together have."""
    sides = (pc.unique(table.filter(pc.field("split") == side).column("name")) for side in ("train", "validation"))
    names, others = sides
    for name in pc.drop_null(pc.unique(names.filter(pc.is_in(names, others)))).to_pylist():
        counts.add(Irregularity.IN_BOTH_SPLITS, name)
    labelled = table.select(["sha256", "label"]).filter(pc.field("sha256").is_valid() & pc.field("label").is_valid())
    distinct = labelled.group_by("sha256").aggregate([("label", "count_distinct"), ("label", "list")])
    for row in distinct.filter(pc.field("label_count_distinct") > pa.scalar(1)).to_pylist():
        counts.add(Irregularity.TWO_LABELS, f"{row['sha256'][:16]}: {', '.join(sorted(set(row['label_list'])))}")
