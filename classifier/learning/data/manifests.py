"""Reads the manifest of a dataset that `lookbook dataset build` made (folder.py writes it)."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

from classifier.learning.data.irregularities import Irregularity, IrregularityCounts
from classifier.learning.data.label_files import LabelFile
from classifier.learning.data.pictures import DESCRIPTION, MANIFEST
from classifier.taxonomy import Taxonomy
from core.errors import ArtifactInvalid, DatasetInvalid
from core.sources.names import storable, unsafe_name_reason

MAX_LINE_BYTES = 2**20
"""Maximum length of a line. The lines of `dataset build` have about a thousand bytes."""


def read_manifest(root: Path, counts: IrregularityCounts) -> dict[str, LabelFile]:
    """Return the lines of a manifest by the path of their picture. Lines that cannot be read are counted."""
    rows: dict[str, LabelFile] = {}
    with (root / MANIFEST).open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            example = f"{MANIFEST}:{number}"
            row = _row(line) if len(line) <= MAX_LINE_BYTES else None
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE_BYTES)
            if row is None:
                counts.add(Irregularity.INVALID_LABEL_FILE, example)
            elif unsafe_name_reason(row[0]):
                counts.add(Irregularity.REFUSED_FILE, example)
            else:
                rows[unicodedata.normalize("NFC", row[0])] = row[1]
    return rows


def _row(line: bytes) -> tuple[str, LabelFile] | None:
    try:
        row = json.loads(line)
        return str(row["file"]), _label(row)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _label(row: dict[str, Any]) -> LabelFile:
    product = row.get("product_key") or row.get("cluster")
    return LabelFile(
        style=storable(str(row["label"])),
        sub_styles=[storable(str(word)) for word in row.get("sub_labels", [])],
        kind=storable(str(row.get("kind", "given"))),
        product=storable(str(product)) if product else None,
    )


def read_taxonomy(root: Path) -> Taxonomy | None:
    """Return the taxonomy in the description of a dataset, or None if the folder has no description.

    Raises:
        DatasetInvalid: the description cannot be read.
    """
    path = root / DESCRIPTION
    if not path.is_file():
        return None
    try:
        return Taxonomy.from_json(json.loads(path.read_text("utf-8"))["taxonomy"])
    except (ValueError, KeyError, TypeError, RecursionError, ArtifactInvalid) as error:
        raise DatasetInvalid(f"{path}: expected the member taxonomy of a dataset: {error}") from error
