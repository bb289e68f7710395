"""The blob store: bytes under their SHA-256. Paths are made of digests only, never of a user's text."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import IO, Protocol

from core.errors import BlobMissing

THUMBNAIL = "thumbnail.jpg"
"""The name of a blob's thumbnail beside it."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DERIVED = re.compile(r"[a-z0-9_]+\.[a-z]+")


class BlobWriter(Protocol):
    """Bytes on their way into the store. Nothing is in it before `commit`."""

    bytes_written: int

    def write(self, data: bytes) -> int: ...

    def finish(self) -> None:
        """All bytes are written: close what is open (a request may hold ten thousand pictures)."""
        ...

    def commit(self) -> str:
        """Make the bytes durable under their SHA-256 (returned, in hex)."""
        ...

    def abort(self) -> None:
        """Forget the bytes. Harmless after `commit` or a second time."""
        ...


class BlobStore(Protocol):
    """Where blobs are kept."""

    def writer(self) -> BlobWriter: ...

    def put(self, data: bytes) -> str:
        """Store `data`; its SHA-256 in hex."""
        ...

    def open(self, sha256: str) -> IO[bytes]:
        """The blob, open for reading.

        Raises:
            BlobMissing: it is not in the store.
        """
        ...

    def read(self, sha256: str) -> bytes:
        """The whole blob.

        Raises:
            BlobMissing: it is not in the store.
        """
        ...

    def read_derived(self, sha256: str, name: str) -> bytes | None:
        """What was made of a blob and can be made again, such as its thumbnail; None if it is not there yet."""
        ...

    def put_derived(self, sha256: str, name: str, data: bytes) -> None: ...


class LocalBlobWriter:
    """Writes to a temporary file beside the blobs; `commit` renames it, synced, to its digest."""

    def __init__(self, store: LocalBlobStore) -> None:
        self._store = store
        self._path = store.temporary / secrets.token_hex(16)
        self._file: IO[bytes] = self._path.open("xb")
        self._digest = hashlib.sha256()
        self.bytes_written = 0

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self.bytes_written += len(data)
        return self._file.write(data)

    def finish(self) -> None:
        if not self._file.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def commit(self) -> str:
        self.finish()
        sha256 = self._digest.hexdigest()
        target = self._store.path(sha256)
        if target.exists():
            self.abort()
        else:
            _rename_durably(self._path, target)
        return sha256

    def abort(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


class LocalBlobStore:
    """Blobs in a folder: `ab/abcd….`, thumbnails beside them, unfinished writes in `tmp/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str, suffix: str = "") -> Path:
        """Where a blob lies.

        Raises:
            ValueError: `sha256` is not 64 hexadecimal digits.
        """
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"expected a SHA-256 of 64 hexadecimal digits, got {sha256!r}")
        return self.folder / sha256[:2] / f"{sha256}{suffix}"

    def writer(self) -> LocalBlobWriter:
        return LocalBlobWriter(self)

    def put(self, data: bytes) -> str:
        writer = self.writer()
        writer.write(data)
        return writer.commit()

    def open(self, sha256: str) -> IO[bytes]:
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError as error:
            raise BlobMissing(f"no blob {sha256} in the store") from error

    def read(self, sha256: str) -> bytes:
        with self.open(sha256) as file:
            return file.read()

    def read_derived(self, sha256: str, name: str) -> bytes | None:
        try:
            return self.path(sha256, f".{_derived(name)}").read_bytes()
        except FileNotFoundError:
            return None

    def put_derived(self, sha256: str, name: str, data: bytes) -> None:
        # It can be made again: it is renamed into place, but not synced.
        temporary = self.temporary / secrets.token_hex(16)
        temporary.write_bytes(data)
        temporary.replace(self.path(sha256, f".{_derived(name)}"))


def explanation_name(prediction_id: str) -> str:
    """The name of a prediction's heat map beside its blob."""
    return f"{prediction_id}.png"


def _derived(name: str) -> str:
    if not _DERIVED.fullmatch(name):
        raise ValueError(f"expected a name of lower-case letters, digits, _ and one dot, got {name!r}")
    return name


def _rename_durably(source: Path, target: Path) -> None:
    try:
        source.replace(target)
    except FileNotFoundError:
        # The first blob of its folder.
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
    # The rename itself is durable only once the folder's entry is on disk.
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
