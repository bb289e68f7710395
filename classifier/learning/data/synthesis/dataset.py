"""Writes a synthetic dataset in the form of K-Fashion, and the file that says what is in it.

    synthetic.json                                     the truth: options, counts, irregularities, a row per picture
    K-Fashion 이미지/Training/원천데이터_1/<style>/…       pictures, in folders or in zips of the same name
    K-Fashion 이미지/Training/라벨링데이터/<style>/…       label files
    K-Fashion 이미지/Validation/…                        the same

The set is a test instrument: it says how tools behave on data of this form, and nothing about real clothes.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol, Self

from classifier.learning.data.irregularities import Irregularity
from classifier.learning.data.pictures import Track
from classifier.learning.data.synthesis.picture import Drawn, Shot, copy_strength, draw_shot
from classifier.learning.data.synthesis.plan import TRAINING, VALIDATION, Options, Planned, Planner
from classifier.learning.data.synthesis.planting import Planter, counted, files_of, stray_files
from classifier.taxonomy import Taxonomy
from core.errors import DatasetInvalid

ROOT = "K-Fashion 이미지"
TRUTH = "synthetic.json"
NOTE = (
    "A test instrument: drawn figures in the file form of K-Fashion. It has no real picture, and figures that were "
    "measured on it say nothing about real clothes."
)
_CONTAINERS = 4
"""Number of containers (원천데이터_1, …) for the pictures of a split. The real set has several as well."""
_LAST, _AGAIN = f"원천데이터_{_CONTAINERS}", f"원천데이터_{_CONTAINERS + 1}"
"""The containers of pictures without a known label, and of files that are there again."""
_SLICE = 2000
"""Number of shots that are given to the processes at once. Their pictures are in memory until they are written."""
_ZIP_TIME = (2020, 11, 4, 0, 0, 0)


class _Writer(Protocol):
    def write(self, split: str, container: str, name: str, data: bytes) -> str:
        """Write a file of a container, and return its path below the dataset's folder."""


class _FolderWriter:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, split: str, container: str, name: str, data: bytes) -> str:
        path = f"{ROOT}/{split}/{container}/{name}"
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return path


class _ZipWriter:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._zips: dict[str, zipfile.ZipFile] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def write(self, split: str, container: str, name: str, data: bytes) -> str:
        path = f"{ROOT}/{split}/{container}.zip"
        if path not in self._zips:
            target = self._folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            self._zips[path] = self._stack.enter_context(zipfile.ZipFile(target, "w"))
        # A fixed time keeps the bytes of the zip the same.
        member = zipfile.ZipInfo(name, _ZIP_TIME)
        member.compress_type = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
        self._zips[path].writestr(member, data)
        return f"{path}/{name}"


def synthesize(
    folder: Path,
    options: Options,
    taxonomy: Taxonomy,
    track: Track,
    *,
    zips: bool = False,
    processes: int | None = None,
) -> dict[str, Any]:
    """Write a synthetic dataset, and return the content of its file `synthetic.json`.

    `processes` is the number of processes that draw; None means one for each core. It does not change the bytes.

    Raises:
        DatasetInvalid: the folder has other files, or there are too few pictures for labels, leaks or irregularities.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetInvalid(f"{folder}: expected a folder that is empty or does not exist, got other files")
    planner = Planner(options, taxonomy)
    planter = Planter(planner, planner.plan(), taxonomy)
    planter.plant(options.irregularities)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        writer: _Writer = stack.enter_context(_ZipWriter(folder)) if zips else _FolderWriter(folder)
        rows = list(_write(planter.planned, writer, taxonomy, track, processes))
    stray = list(_write_stray(folder, options))
    truth = _truth(planter.planned, options, taxonomy, rows, stray)
    _save(folder / TRUTH, truth)
    return truth


def _write(
    planned: Sequence[Planned], writer: _Writer, taxonomy: Taxonomy, track: Track, processes: int | None
) -> Iterator[dict[str, Any]]:
    """Draw each shot once, write all its files, and yield a row of the truth for each picture."""
    uses: defaultdict[Shot, list[Planned]] = defaultdict(list)
    for picture in planned:
        uses[picture.shot].append(picture)
    containers = {
        name: f"원천데이터_{k * _CONTAINERS // len(taxonomy.labels) + 1}" for k, name in enumerate(_folders(taxonomy))
    }
    for shot, drawn in track(zip(uses, _drawn(list(uses), processes), strict=True), len(uses)):
        for picture in uses[shot]:
            image, label = files_of(picture, drawn)
            container = _AGAIN if picture.again else containers.get(picture.folder, _LAST)
            written = [
                None if file is None else writer.write(picture.split, where, f"{picture.folder}/{file[0]}", file[1])
                for where, file in ((container, image), ("라벨링데이터", label))
            ]
            yield _row(picture, *written)


def _write_stray(folder: Path, options: Options) -> Iterator[str]:
    for name, data in stray_files(options.irregularities):
        path = f"{ROOT}/{TRAINING}/{name}"
        (folder / path).write_bytes(data)
        yield path


def _folders(taxonomy: Taxonomy) -> list[str]:
    return [label.names["ko"] for label in taxonomy.labels]


def _drawn(shots: Sequence[Shot], processes: int | None) -> Iterator[Drawn]:
    if processes == 1:
        yield from map(draw_shot, shots)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes or os.cpu_count(), mp_context=context) as pool:
        for start in range(0, len(shots), _SLICE):
            yield from pool.map(draw_shot, shots[start : start + _SLICE], chunksize=8)


def _row(planned: Planned, picture: str | None, label_file: str | None) -> dict[str, Any]:
    shot = planned.shot
    row: dict[str, Any] = {
        "picture": picture,
        "label_file": label_file,
        "identifier": planned.identifier,
        "split": planned.split,
        "label": planned.label,
        "sub_label": None if planned.label is None or planned.mark is Irregularity.UNKNOWN_SUB_STYLE else shot.sub,
        "drawn_as": shot.main,
        "mall": planned.mall,
        "product": f"{planned.mall}_{10_000 + shot.product}",
        "shot": shot.number + 1,
        "format": shot.format.value,
        "leak": planned.leak or None,
        "irregularity": None if planned.mark is None else planned.mark.value,
    }
    if shot.copy:
        row["near_duplicate"] = {"of_shot": shot.number + 1, **copy_strength(shot)}
    return row


def _truth(
    planned: Sequence[Planned], options: Options, taxonomy: Taxonomy, rows: list[dict[str, Any]], stray: list[str]
) -> dict[str, Any]:
    written = [row for row in rows if row["picture"] is not None]
    by_label = Counter((row["label"], row["split"]) for row in written)
    return {
        "note": NOTE,
        "form": "kfashion",
        "seed": options.seed,
        "options": asdict(replace(options, irregularities=_by_name(options.irregularities))),  # type: ignore[arg-type]
        "pictures": len(written),
        "labelled": sum(row["label"] is not None for row in written),
        "label_files": sum(row["label_file"] is not None for row in rows),
        "products": len({row["product"] for row in written}),
        "hybrids": sum(row["sub_label"] is not None for row in written),
        "near_duplicates": sum("near_duplicate" in row for row in written),
        "leaks": dict(sorted(Counter(row["leak"] for row in written if row["leak"]).items())),
        "irregularities": _by_name(counted(planned, options.irregularities)),
        "labels": {
            label: {split: by_label[label, split] for split in (TRAINING, VALIDATION)} for label in taxonomy.label_ids
        },
        "stray_files": stray,
        "rows": rows,
    }


def _by_name(counts: Mapping[Any, int]) -> dict[str, int]:
    return {kind.value: counts[kind] for kind in sorted(counts)}


def _save(path: Path, truth: dict[str, Any]) -> None:
    """Write the truth with one line for each picture, so that people can read it and programs can compare it."""
    head = json.dumps({**truth, "rows": []}, ensure_ascii=False, indent=1).removesuffix("[]\n}")
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in truth["rows"])
    path.write_text(f"{head}[\n{lines}\n]\n}}\n", "utf-8")
