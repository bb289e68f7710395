"""Blobs in a folder, on this machine or shared by several machines."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO, ClassVar

from core.errors import BlobMissing, BlobStoreUnavailable
from db.blobs.durability import sync_paths
from db.blobs.spool import BlobWriter, storage_error
from db.blobs.store import DAMAGED, checked_name, checked_sha256, damaged_error

_SHA256_DIGITS = 64
_PING_BYTES = 2**20
"""The bytes that `ping` writes, because not every file system and quota tells how much room is left."""


class LocalBlobStore:
    """Keeps a blob as the file `ab/abcd…`. Derived files stand beside it (`ab/abcd….thumbnail.jpg`).

    A blob is first written to a file in `tmp/`. `commit` gives that file its final name as a hard link and keeps the
    name in `tmp/` until the request ends, so that `ensure` can put a blob again that was deleted meanwhile.
    """

    is_remote: ClassVar[bool] = False
    max_call_seconds: ClassVar[float] = 0.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self._make_folders()

    def writer(self) -> BlobWriter:
        return BlobWriter(self.temporary)

    def commit(self, writers: Sequence[BlobWriter]) -> None:
        try:
            # The bytes are synced before the links are made, so that a name in the store never refers to bytes that
            # a power failure could lose.
            sync_paths(self.temporary, [writer.path for writer in writers])
            for writer in writers:
                writer.created = self._put(writer)
                writer.found = not writer.created
            # The folders of found blobs are synced, too, because the process that put them may not have done so yet.
            sync_paths(self.folder, self._folders(writer.sha256 for writer in writers))
        except OSError as error:
            raise storage_error(error) from error

    def ensure(self, writers: Sequence[BlobWriter]) -> None:
        try:
            again = [writer.sha256 for writer in writers if not self._has(writer.sha256) and self._link(writer)]
            if again:
                sync_paths(self.folder, self._folders(again))
        except OSError as error:
            raise storage_error(error) from error

    def put(self, data: bytes) -> str:
        writer = self.writer()
        try:
            writer.write(data)
            sha256 = writer.finish()
            self.commit([writer])
            return sha256
        finally:
            writer.abort()

    def open(self, sha256: str) -> IO[bytes]:
        try:
            return open(self._path(sha256), "rb")  # noqa: PTH123 (its reader closes it)
        except FileNotFoundError as error:
            self._check_folder()
            raise BlobMissing(f"no blob {sha256} in the store") from error
        except OSError as error:
            raise storage_error(error) from error

    def presigned_url(self, sha256: str, life: timedelta) -> str | None:
        return None

    def read(self, sha256: str) -> bytes:
        with self.open(sha256) as file:
            try:
                data = file.read()
            except OSError as error:
                raise storage_error(error) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            self.check(sha256)
        return data

    def check(self, sha256: str) -> None:
        self.open(sha256).close()
        try:
            if self._set_aside_if_damaged(sha256):
                raise damaged_error(sha256)
        except OSError as error:
            raise storage_error(error) from error

    def read_all(self, sha256s: Sequence[str]) -> Iterator[bytes]:
        return map(self.read, sha256s)

    def read_derived(self, sha256: str, name: str) -> bytes | None:
        try:
            return Path(self._path(sha256, f".{checked_name(name)}")).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error) from error

    def put_derived(self, sha256: str, name: str, data: bytes) -> None:
        # The file is renamed into place, so that readers never see half of it. It is not synced, because it can be
        # made again.
        temporary = self.temporary / secrets.token_hex(16)
        target = Path(self._path(sha256, f".{checked_name(name)}"))
        try:
            temporary.write_bytes(data)
            temporary.replace(target)
            if not self._has(sha256):
                target.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def delete(self, sha256s: Sequence[str]) -> None:
        gone = {checked_sha256(sha256) for sha256 in sha256s}
        try:
            for sha256 in gone:
                Path(self._path(sha256)).unlink(missing_ok=True)
            # The names of derived files are not known, therefore each folder is searched once.
            for folder in self._folders(gone):
                for file in list(Path(folder).iterdir()):
                    if file.name[:_SHA256_DIGITS] in gone:
                        file.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error) from error

    def ping(self) -> None:
        self._check_folder()
        probe = self.temporary / secrets.token_hex(16)
        try:
            probe.write_bytes(bytes(_PING_BYTES))
        except OSError as error:
            raise storage_error(error) from error
        finally:
            probe.unlink(missing_ok=True)

    def _check_folder(self) -> None:
        if not self.temporary.is_dir():
            raise BlobStoreUnavailable(f"the folder {self.folder} of the blob store does not exist")

    def _make_folders(self) -> None:
        # All 256 folders are made at the start, so that later commits need not sync the names of the folders.
        missing = {f"{number:02x}" for number in range(256)} - {path.name for path in self.folder.iterdir()}
        for name in missing:
            (self.folder / name).mkdir(exist_ok=True)
        if missing:
            sync_paths(self.folder, [str(self.folder), str(self.folder.parent)])

    def _path(self, sha256: str, suffix: str = "") -> str:
        return f"{self.folder}/{sha256[:2]}/{checked_sha256(sha256)}{suffix}"

    def _has(self, sha256: str) -> bool:
        return os.path.exists(self._path(sha256))  # noqa: PTH110 (`Path` would cost more than the question)

    def _folders(self, sha256s: Iterable[str]) -> list[str]:
        return [f"{self.folder}/{prefix}" for prefix in sorted({sha256[:2] for sha256 in sha256s})]

    def _set_aside_if_damaged(self, sha256: str) -> bool:
        """Move a blob out of the store if its bytes have another SHA-256. Return whether it was moved.

        The files that were made from it are removed, because they may show the wrong bytes.
        """
        path, aside = Path(self._path(sha256)), self.folder / DAMAGED / sha256
        if _digest(path) == sha256:
            return False
        aside.parent.mkdir(exist_ok=True)
        path.replace(aside)
        if _digest(aside) == sha256:
            # Another process has put the right bytes meanwhile.
            aside.replace(path)
            return False
        for derived in path.parent.glob(f"{sha256}.*"):
            derived.unlink(missing_ok=True)
        return True

    def _put(self, writer: BlobWriter) -> bool:
        """Give the blob its name in the store. Return False if the store has the same bytes already."""
        return self._link(writer) or (self._set_aside_if_damaged(writer.sha256) and self._link(writer))

    def _link(self, writer: BlobWriter) -> bool:
        """Give the blob its name in the store. Return False if the name exists already."""
        target = self._path(writer.sha256)
        try:
            os.link(writer.path, target)
        except FileExistsError:
            return False
        return True


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
