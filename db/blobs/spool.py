"""Blobs on their way into a store. A blob is a local file until all its bytes, and so its SHA-256, are known."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from core.errors import BlobStoreUnavailable, StorageFull


def storage_error(error: OSError) -> BlobStoreUnavailable | StorageFull:
    """Return the error that the store's caller gets for an error of the file system."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFull()
    return BlobStoreUnavailable(f"the blob store cannot be used: {error.strerror or error}")


def create_file(path: str) -> int:
    """Create a file and return its descriptor, open for writing."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


class BlobWriter:
    """One blob that is being written. It enters the store only by the store's `commit`."""

    def __init__(self, folder: Path) -> None:
        # A request may hold ten thousand writers, therefore each one holds neither a `Path` nor a buffer.
        self.path = f"{folder}/{secrets.token_hex(16)}"
        self.bytes_written = 0
        self.created = self.found = False
        """Whether `commit` has put the blob into the store (`created`), or has found it there (`found`). Both are False
        before `commit`."""
        self._digest = hashlib.sha256()
        self._sha256 = ""
        try:
            self._file = create_file(self.path)
        except OSError as error:
            raise storage_error(error) from error

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the finished blob, in hex."""
        assert self._sha256, "finish() comes first"
        return self._sha256

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Add bytes and return how many they are.

        Raises:
            StorageFull, BlobStoreUnavailable: The bytes cannot be written.
            ValueError: The blob is finished.
        """
        if self._file < 0:
            raise ValueError("expected no more bytes: the blob is finished and its file closed")
        self._digest.update(data)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise storage_error(error) from error
        self.bytes_written += len(data)
        return len(data)

    def finish(self) -> str:
        """Finish the blob and return its SHA-256 in hex.

        The file is closed, because thousands of finished blobs can wait for one commit.

        Raises:
            StorageFull, BlobStoreUnavailable: The file system reported on closing that bytes were lost.
        """
        if not self._sha256:
            try:
                self._close()
            except OSError as error:
                raise storage_error(error) from error
            self._sha256 = self._digest.hexdigest()
        return self._sha256

    def abort(self) -> None:
        """Remove the local file. After `commit` the blob stays in the store. A second call does nothing."""
        # A file that cannot be removed now is removed at the next start of the service.
        with suppress(OSError):
            self._close()
        with suppress(OSError):
            os.unlink(self.path)  # noqa: PTH108 (`Path` would cost as much as the call)

    def _close(self) -> None:
        if self._file >= 0:
            file, self._file = self._file, -1
            os.close(file)
