"""The index of a dataset: an Arrow table with a row for each picture, in one memory-mapped file.

Opening maps the file and reads no row, so that an index of a million pictures opens at once. Each row says where the
bytes of its picture are, and `read` returns them, from a folder or from a zip.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from classifier.garments import Box, Polygon
from classifier.learning.data.containers import Containers
from classifier.learning.data.garments import Attribute
from classifier.learning.data.irregularities import IrregularityCounts
from classifier.taxonomy import Taxonomy
from core.errors import DatasetInvalid
from core.sources.zips import MemberPlace

VERSION = 2
"""Version of the schema below. An index of another version must be made again."""
_METADATA = b"lookbook.index"

_COORDINATES = pa.list_(pa.float32())
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("container", pa.string(), nullable=False),
        pa.field("member", pa.string(), nullable=False),
        pa.field(
            "place",
            pa.struct(
                [
                    ("offset", pa.int64()),
                    ("following", pa.int64()),
                    ("method", pa.int32()),
                    ("packed", pa.int64()),
                    ("unpacked", pa.int64()),
                    ("crc", pa.int64()),
                ]
            ),
        ),
        pa.field("name", pa.string(), nullable=False),
        pa.field("folder", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("sub_labels", pa.list_(pa.string()), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("product", pa.string(), nullable=False),
        pa.field("identifier", pa.string()),
        pa.field("readable", pa.bool_(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("sha256", pa.string()),
        pa.field("fingerprint", pa.binary()),
        pa.field(
            "boxes",
            pa.list_(
                pa.struct([("garment", pa.string()), *((name, pa.float32()) for name in ("x", "y", "width", "height"))])
            ),
            nullable=False,
        ),
        pa.field(
            "polygons",
            pa.list_(pa.struct([("garment", pa.string()), ("x", _COORDINATES), ("y", _COORDINATES)])),
            nullable=False,
        ),
        pa.field(
            "attributes",
            pa.list_(pa.struct([("garment", pa.string()), ("name", pa.string()), ("value", pa.string())])),
            nullable=False,
        ),
    ]
)
"""The columns. `key` names a picture by split, folder and name, so it is the same in a zip and in a folder.
`split` is the shipped one: "train", "validation", "test" or "". `kind` is "given", "verified" or "weak". `product` is
shared by pictures of one product. `readable` is false if the picture cannot be decoded; then its sizes are 0. `sha256`
is null if the bytes cannot be read. `fingerprint` is null if the index was made without decoding the pictures."""

SplitOrigin = Literal["aihub", "folders", "manifest", "file"]
"""Where the sides come from: the folders of the AI Hub, label folders, the manifest of a built dataset, or a file of
`lookbook dataset split`."""


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One row of an index. The columns are explained at `SCHEMA`."""

    key: str
    container: str
    member: str
    place: MemberPlace | None
    name: str
    folder: str
    label: str | None
    sub_labels: tuple[str, ...]
    kind: str
    weight: float
    split: str
    product: str
    identifier: str | None
    readable: bool
    width: int
    height: int
    sha256: str | None
    fingerprint: bytes | None
    boxes: tuple[Box, ...]
    polygons: tuple[Polygon, ...]
    attributes: tuple[Attribute, ...]

    @property
    def path(self) -> str:
        """The path of the picture below the dataset's folder."""
        return f"{self.container}/{self.member}" if self.container else self.member

    @classmethod
    def from_columns(cls, row: dict[str, Any]) -> Self:
        """Return the row of a dictionary of the table's columns."""
        place = row["place"]
        return cls(
            **row
            | {
                "place": place and MemberPlace(**place),
                "sub_labels": tuple(row["sub_labels"]),
                "boxes": tuple(Box(**box) for box in row["boxes"]),
                "polygons": tuple(
                    Polygon(shape["garment"], tuple(shape["x"]), tuple(shape["y"])) for shape in row["polygons"]
                ),
                "attributes": tuple(Attribute(**attribute) for attribute in row["attributes"]),
            }
        )


@dataclass(frozen=True, slots=True)
class IndexNote:
    """The part of an index that describes its dataset as a whole."""

    root: Path
    """The dataset's folder."""
    taxonomy: Taxonomy
    whole: bool
    """Whether all pictures were decoded, so that `fingerprint` is known."""
    split_from: SplitOrigin
    zips: dict[str, int]
    """The size in bytes of each zip. An index is of no use after its zips have changed."""
    irregularities: IrregularityCounts

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "root": os.fspath(self.root),
            "taxonomy": self.taxonomy.to_json(),
            "whole": self.whole,
            "split_from": self.split_from,
            "zips": self.zips,
            "irregularities": self.irregularities.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(
            Path(data["root"]),
            Taxonomy.from_json(data["taxonomy"]),
            data["whole"],
            data["split_from"],
            data["zips"],
            IrregularityCounts.from_json(data["irregularities"]),
        )


class PictureIndex:
    """An open index. Threads may read pictures from it at the same time."""

    def __init__(self, table: Any, note: IndexNote) -> None:
        self.table = table
        self.note = note
        self._containers = Containers(note.root)

    @classmethod
    def open(cls, path: Path, root: Path | None = None) -> Self:
        """Open an index file. `root` is the dataset's folder if it has moved.

        Raises:
            DatasetInvalid: the file is no index of this version, or the folder or its zips are not those of the index.
        """
        try:
            table = pa.ipc.open_file(pa.memory_map(os.fspath(path))).read_all()
            content = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            raise DatasetInvalid(f"{path}: expected an index of a dataset: {error}") from error
        if content.get("version") != VERSION or not table.schema.equals(SCHEMA, check_metadata=False):
            raise DatasetInvalid(f"{path}: expected an index of version {VERSION}, got {content.get('version')}")
        if root is not None:
            content["root"] = os.fspath(root.resolve())
        index = cls(table, IndexNote.from_json(content))
        changed = [name for name, size in index.note.zips.items() if _size(index.note.root / name) != size]
        if changed:
            raise DatasetInvalid(f"{path}: expected the zips that it was made from, but {changed[0]} has changed")
        if len(index) and _size(index.note.root / (first := index.row(0).container or index.row(0).member)) is None:
            raise DatasetInvalid(f"{path}: expected an index of {index.note.root}, which has no {first}")
        return index

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def row(self, position: int) -> PictureRow:
        """Return one row."""
        return PictureRow.from_columns(self.table.slice(position, 1).to_pylist()[0])

    def read(self, position: int) -> bytes:
        """Return the bytes of the picture of a row.

        Raises:
            ItemError: the file is missing, damaged, too large or not safe to read.
        """
        where = self.table.select(["container", "member", "place"]).slice(position, 1).to_pylist()[0]
        place = where["place"]
        return self._containers.read(where["container"], where["member"], place and MemberPlace(**place))

    def column(self, name: str) -> list[Any]:
        """Return the values of a column as Python objects."""
        values: list[Any] = self.table.column(name).to_pylist()
        return values

    def numbers(self, name: str) -> NDArray[Any]:
        """Return a column of numbers or truth values: [N]."""
        values: NDArray[Any] = self.table.column(name).to_numpy()
        return values

    def label_numbers(self) -> NDArray[np.int64]:
        """Return the positions of the labels in the taxonomy, and -1 for pictures without a label: int64 [N]."""
        found = pc.index_in(self.table.column("label"), pa.array(self.note.taxonomy.label_ids, pa.string()))
        return np.asarray(found.fill_null(-1).to_numpy(), np.int64)

    def usable(self) -> NDArray[np.int64]:
        """Return the positions of the pictures that have a label and are not known to be unreadable: int64 [M]."""
        return np.flatnonzero((self.label_numbers() >= 0) & self.numbers("readable"))

    def take(self, positions: NDArray[np.int64] | Sequence[int]) -> PictureIndex:
        """Return the index of only these rows, in this order."""
        return PictureIndex(self.table.take(pa.array(positions, pa.int64())), self.note)

    def with_column(self, name: str, values: Iterable[Any] | NDArray[Any]) -> PictureIndex:
        """Return the index with other values in one column."""
        position = SCHEMA.get_field_index(name)
        column = pa.array(values, SCHEMA.field(name).type)
        return PictureIndex(self.table.set_column(position, SCHEMA.field(name), column), self.note)

    def with_note(self, **changes: Any) -> PictureIndex:
        """Return the index with other members of its note."""
        return PictureIndex(self.table, replace(self.note, **changes))

    def save(self, path: Path) -> None:
        """Write the index to a file, in place of an earlier one."""
        note = json.dumps(self.note.to_json(), ensure_ascii=False).encode()
        table = self.table.replace_schema_metadata({_METADATA: note})
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        with pa.OSFile(os.fspath(partial), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        partial.replace(path)

    def close(self) -> None:
        """Close the zips of the dataset."""
        self._containers.close()


def write_rows(path: Path, batches: Iterator[list[dict[str, Any]]]) -> Any:
    """Write rows to a file as they come, and return them as a memory-mapped table."""
    with pa.OSFile(os.fspath(path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        for rows in batches:
            writer.write_batch(pa.RecordBatch.from_pylist(rows, SCHEMA))
    return pa.ipc.open_file(pa.memory_map(os.fspath(path))).read_all()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
