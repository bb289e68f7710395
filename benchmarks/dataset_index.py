"""`python -m benchmarks.dataset_index`: the time to open the index of a million pictures, without any pictures."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from classifier.learning.data.index import IndexNote, PictureIndex, write_rows
from classifier.learning.data.irregularities import IrregularityCounts
from classifier.learning.data.reading import kfashion_taxonomy

PICTURES, BATCH = 1_000_000, 10_000
POINTS = 30
"""Points of a polygon. Each picture has two polygons and two boxes."""


def rows(labels: list[str], root: Path) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, PICTURES, BATCH):
        yield [row(number, labels[number % len(labels)], root) for number in range(start, start + BATCH)]


def row(number: int, label: str, root: Path) -> dict[str, Any]:
    """Return a row with the sizes of K-Fashion. Its picture is the folder itself, because no picture exists."""
    points = [float(number % 800 + point) for point in range(POINTS)]
    garments = ("top", "bottom")
    return {
        "key": f"train/{label}/{number}",
        "container": "",
        "member": str(root),
        "place": dict.fromkeys(("offset", "following", "method", "packed", "unpacked", "crc"), number),
        "name": f"{number}.jpg",
        "folder": label,
        "label": label,
        "sub_labels": [label],
        "kind": "given",
        "weight": 1.0,
        "split": "train",
        "product": f"mall_{number // 3}",
        "identifier": str(number),
        "readable": True,
        "width": 800,
        "height": 1200,
        "sha256": f"{number:064x}",
        "fingerprint": number.to_bytes(35, "big"),
        "boxes": [{"garment": name, "x": 1.0, "y": 2.0, "width": 300.0, "height": 400.0} for name in garments],
        "polygons": [{"garment": name, "x": points, "y": points} for name in garments],
        "attributes": [{"garment": "top", "name": name, "value": "니트"} for name in ("fit", "print", "material")],
    }


def main() -> None:
    taxonomy = kfashion_taxonomy()
    with tempfile.TemporaryDirectory() as folder:
        root, path = Path(folder), Path(folder, "index.arrow")
        table = write_rows(root / "rows", rows(taxonomy.label_ids, root))
        PictureIndex(table, IndexNote(root, taxonomy, True, "aihub", {}, IrregularityCounts())).save(path)
        started = time.perf_counter()
        index = PictureIndex.open(path)
        opened = time.perf_counter()
        usable = index.usable()
        used = time.perf_counter()
        print(f"{len(index):,} pictures, {path.stat().st_size / 1e9:.2f} GB: opened in {opened - started:.3f} s")
        print(f"positions of {len(usable):,} usable pictures: {used - opened:.3f} s")


if __name__ == "__main__":
    main()
