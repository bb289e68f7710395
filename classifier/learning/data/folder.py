"""The folder that `lookbook dataset build` writes: label folders in train/, validation/ and test/, and two files.

    dataset.json         the taxonomy, the texts for a model card, and how the dataset was built
    manifest.jsonl       a line for each picture
    train/<label>/<sha256>.jpg

The name of a picture is the SHA-256 of its bytes, so that a later build finds pictures that are already downloaded.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from classifier.learning.data.pictures import DESCRIPTION, MANIFEST, TRAIN, VALIDATION
from core.errors import DatasetInvalid

TEST = "test"
SIDES = (TRAIN, VALIDATION, TEST)

_UNFINISHED = ".pictures"
"""The folder of the pictures during a build. If it exists later, the build was interrupted."""
_NAME = re.compile(r"[0-9a-f]{64}")
_SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "gif": ".gif", "avif": ".avif", "bmp": ".bmp"}


class DatasetFolder:
    """A folder in which a dataset is built."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pictures = path / _UNFINISHED

    def check(self, *, overwrite: bool) -> None:
        """Check that a dataset may be built here.

        Raises:
            DatasetInvalid: the folder has a finished dataset and `overwrite` is false, or it has other files.
        """
        if self.path.exists() and not self.path.is_dir():
            raise DatasetInvalid(f"{self.path}: expected a folder, got a file")
        if self._pictures.exists():
            return
        finished = (self.path / MANIFEST).exists() and (self.path / DESCRIPTION).exists()
        if finished and not overwrite:
            raise DatasetInvalid(
                f"{self.path} has a dataset already: --overwrite builds it again and reuses its pictures"
            )
        if not finished and self.path.exists() and any(self.path.iterdir()):
            raise DatasetInvalid(f"{self.path}: expected an empty folder or a dataset, got other files")

    def begin(self) -> None:
        """Start a build: move the pictures of an earlier build aside for reuse, and remove the rest of it."""
        self._pictures.mkdir(parents=True, exist_ok=True)
        for name in (MANIFEST, DESCRIPTION):
            (self.path / name).unlink(missing_ok=True)
        for side in SIDES:
            self._collect_pictures(self.path / side)

    def _collect_pictures(self, side: Path) -> None:
        for file in sorted(side.glob("*/*")):
            if _NAME.fullmatch(file.stem):
                file.replace(self._pictures / file.stem)
        for folder in [*side.glob("*/"), side]:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def read(self, sha256: str) -> bytes | None:
        """Return the bytes of a picture if the folder has it complete, None otherwise."""
        try:
            data = self._picture(sha256).read_bytes()
        except FileNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def keep(self, sha256: str, data: bytes) -> None:
        """Store the bytes of a picture.

        Raises:
            DatasetInvalid: the bytes have another SHA-256.
        """
        actual = hashlib.sha256(data).hexdigest()
        if actual != sha256:
            raise DatasetInvalid(f"expected the picture {sha256}, got {len(data):,} bytes with SHA-256 {actual}")
        self._picture(sha256).write_bytes(data)

    def _picture(self, sha256: str) -> Path:
        if not _NAME.fullmatch(sha256):
            raise DatasetInvalid(f"expected a SHA-256 in hexadecimal digits, got {sha256[:80]!r}")
        return self._pictures / sha256

    def finish(self, rows: Iterable[dict[str, Any]], description: dict[str, Any]) -> None:
        """End a build: move each picture to the place in its row (`file`), and write the two files."""
        rows = list(rows)
        for row in rows:
            target = self.path / row["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            self._picture(row["sha256"]).replace(target)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (self.path / MANIFEST).write_text(lines, "utf-8")
        (self.path / DESCRIPTION).write_text(json.dumps(description, ensure_ascii=False, indent=1) + "\n", "utf-8")
        # The remaining pictures are not part of the dataset. Without this folder, the dataset counts as finished.
        shutil.rmtree(self._pictures)


def file_of(side: str, label: str, sha256: str, format: str | None) -> str:
    """Return the path of a picture, relative to the folder of the dataset."""
    return f"{side}/{label}/{sha256}{_SUFFIXES.get(format or '', '')}"
