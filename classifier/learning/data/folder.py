"""The folder of a dataset that was built: train/, validation/ and test/ of label folders, what it is, and its manifest.

    dataset.json         the taxonomy, what a model card says of the pictures, how it was built
    manifest.jsonl       a line for each picture
    train/<label>/<sha256>.jpg

Files are named by their bytes: what was downloaded once is found again, however far an earlier build came.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from classifier.learning.data.pictures import DESCRIPTION, TRAIN, VALIDATION
from core.errors import DatasetInvalid

MANIFEST = "manifest.jsonl"
TEST = "test"
SIDES = (TRAIN, VALIDATION, TEST)

_UNFINISHED = ".pictures"
"""Where pictures are until all of them are there: a folder that has it was left by a build that did not end."""
_NAME = re.compile(r"[0-9a-f]{64}")
_SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "gif": ".gif", "avif": ".avif", "bmp": ".bmp"}


class DatasetFolder:
    """A folder that a dataset is built in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pictures = path / _UNFINISHED

    def check(self, *, overwrite: bool) -> None:
        """Whether a dataset may be built here.

        Raises:
            DatasetInvalid: it holds a finished dataset that is not to be overwritten, or something else.
        """
        if self.path.exists() and not self.path.is_dir():
            raise DatasetInvalid(f"{self.path}: expected a folder, got a file")
        if self._pictures.exists():
            return
        finished = (self.path / MANIFEST).exists() and (self.path / DESCRIPTION).exists()
        if finished and not overwrite:
            raise DatasetInvalid(f"{self.path} holds a dataset: --overwrite builds it anew, from its pictures")
        if not finished and self.path.exists() and any(self.path.iterdir()):
            raise DatasetInvalid(f"{self.path}: expected an empty folder or a dataset, got other files")

    def begin(self) -> None:
        """Take apart what an earlier build made: its pictures are kept, to be used again."""
        self._pictures.mkdir(parents=True, exist_ok=True)
        for name in (MANIFEST, DESCRIPTION):
            (self.path / name).unlink(missing_ok=True)
        for side in SIDES:
            self._take_back(self.path / side)

    def _take_back(self, side: Path) -> None:
        for file in sorted(side.glob("*/*")):
            if _NAME.fullmatch(file.stem):
                file.replace(self._pictures / file.stem)
        for folder in [*side.glob("*/"), side]:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def read(self, sha256: str) -> bytes | None:
        """The picture of this name, if it is there and whole."""
        try:
            data = self._picture(sha256).read_bytes()
        except FileNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep the bytes that have this name.

        Raises:
            DatasetInvalid: they have another.
        """
        came = hashlib.sha256(data).hexdigest()
        if came != sha256:
            raise DatasetInvalid(f"expected the picture {sha256}, got {len(data):,} bytes with SHA-256 {came}")
        self._picture(sha256).write_bytes(data)

    def _picture(self, sha256: str) -> Path:
        if not _NAME.fullmatch(sha256):
            raise DatasetInvalid(f"expected a SHA-256 in hexadecimal digits, got {sha256[:80]!r}")
        return self._pictures / sha256

    def finish(self, rows: Iterable[dict[str, Any]], description: dict[str, Any]) -> None:
        """Put every picture where its row says (`file`), and write down what the folder holds."""
        rows = list(rows)
        for row in rows:
            target = self.path / row["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            self._picture(row["sha256"]).replace(target)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (self.path / MANIFEST).write_text(lines, "utf-8")
        (self.path / DESCRIPTION).write_text(json.dumps(description, ensure_ascii=False, indent=1) + "\n", "utf-8")
        # What is left are pictures that are not wanted any more; without the folder, the dataset counts as finished.
        shutil.rmtree(self._pictures)


def file_of(side: str, label: str, sha256: str, format: str | None) -> str:
    """Where a picture is, from the dataset's folder."""
    return f"{side}/{label}/{sha256}{_SUFFIXES.get(format or '', '')}"
