"""Writes a split: as a CSV file, or as a folder that `lookbook train` reads."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from classifier.learning.data.folder import SIDES
from classifier.learning.data.index import PictureIndex
from classifier.learning.data.pictures import DESCRIPTION, MANIFEST, Track
from classifier.learning.data.splitting import Families
from core.errors import DatasetInvalid
from core.item_errors import ItemError
from core.sources.names import unsafe_name_reason

COLUMNS = ("key", "side", "label", "product", "cluster", "family")


def write_split(path: Path, index: PictureIndex, families: Families, sides: Sequence[str]) -> None:
    """Write the side of each picture as CSV: the columns `COLUMNS`, and a line for each picture of the index."""
    columns = {
        "key": index.table.column("key"),
        "side": pa.array(sides, pa.string()),
        "label": index.table.column("label"),
        "product": index.table.column("product"),
        "cluster": pa.array(families.clusters),
        "family": pa.array(families.families),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    csv.write_csv(pa.table(columns), os.fspath(path))


def read_split(path: Path, index: PictureIndex) -> PictureIndex:
    """Return the index with the sides of a CSV file as its `split`. Pictures that the file lacks have the side "".

    Raises:
        DatasetInvalid: the file is no split, or has none of the pictures.
    """
    types = csv.ConvertOptions(include_columns=["key", "side"], column_types={"key": pa.string(), "side": pa.string()})
    try:
        table = csv.read_csv(os.fspath(path), convert_options=types)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise DatasetInvalid(f"{path}: expected a split with the columns key and side: {error}") from error
    unknown = set(pc.unique(table.column("side")).to_pylist()) - set(SIDES)
    if unknown:
        raise DatasetInvalid(f"{path}: expected the sides {', '.join(SIDES)}; got {', '.join(map(repr, unknown))}")
    positions = pc.index_in(index.table.column("key"), table.column("key").combine_chunks())
    if positions.null_count == len(index):
        raise DatasetInvalid(f"{path}: expected a split of this dataset, but it has none of its pictures")
    sides = pc.fill_null(pc.take(table.column("side"), positions), "").to_pylist()
    return index.with_column("split", sides).with_note(split_from="file")


def write_folder(
    folder: Path,
    index: PictureIndex,
    positions: NDArray[Any],
    families: Families,
    sides: Sequence[str],
    track: Track,
) -> dict[str, str]:
    """Copy pictures to `<side>/<label>/`, with a manifest and a description, and return those that cannot be read.

    Raises:
        DatasetInvalid: the folder is not empty, or a label cannot be the name of a folder.
    """
    for label in index.note.taxonomy.label_ids:
        if "/" in label or unsafe_name_reason(label):
            raise DatasetInvalid(f"expected a label that can be the name of a folder, got {label!r}")
    if folder.exists() and any(folder.iterdir()):
        raise DatasetInvalid(f"{folder}: expected an empty folder, got other files")
    folder.mkdir(parents=True, exist_ok=True)
    unreadable: dict[str, str] = {}
    with (folder / MANIFEST).open("w", encoding="utf-8") as manifest:
        for position in track(positions.tolist(), len(positions)):
            row = index.row(position)
            try:
                data = index.read(position)
            except ItemError as error:
                unreadable[row.key] = error.detail
                continue
            # The key has any characters and any length; its digest is the name of a file everywhere.
            name = hashlib.sha256(row.key.encode()).hexdigest()[:32] + PurePosixPath(row.name).suffix.lower()
            file = f"{sides[position]}/{row.label}/{name}"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(data)
            line = {
                "file": file,
                "split": sides[position],
                "label": row.label,
                "sub_labels": list(row.sub_labels),
                "kind": row.kind,
                "label_from": "dataset",
                "cluster": str(families.clusters[position]),
                "sha256": row.sha256,
                "source": {"name": row.path},
                "product_key": row.product,
            }
            manifest.write(json.dumps(line, ensure_ascii=False) + "\n")
    description = {
        "taxonomy": index.note.taxonomy.to_json(),
        "data": {
            "title": f"{len(positions) - len(unreadable):,} pictures of {index.note.root.name}",
            "source": "a dataset that was split again; manifest.jsonl names the file of each picture",
            "licence": "that of the dataset",
            "limits": "It has seen only the pictures of this dataset.",
        },
        "pictures": len(positions) - len(unreadable),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return unreadable
