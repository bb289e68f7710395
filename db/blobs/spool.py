"""Bytes on their way into a store: a file on this machine until their digest, which is their name, is known."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from core.errors import BlobStoreUnavailable, StorageFull


def storage_error(error: OSError) -> BlobStoreUnavailable | StorageFull:
    """What a file system's error means to whoever wanted to store or read something."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFull()
    return BlobStoreUnavailable(f"the blob store cannot be used: {error.strerror or error}")


def create_file(path: str) -> int:
    """A new file, open for writing."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


class BlobWriter:
    """One blob that is being written. Nothing of it is in the store before the store's `commit`."""

    def __init__(self, folder: Path) -> None:
        # A request may hold ten thousand: no path objects, no buffers.
        self.path = f"{folder}/{secrets.token_hex(16)}"
        self.bytes_written = 0
        self.created = self.found = False
        """Whether `commit` has put the blob into the store, or has found it there; neither before it was there."""
        self._digest = hashlib.sha256()
        self._sha256 = ""
        try:
            self._file = create_file(self.path)
        except OSError as error:
            raise storage_error(error) from error

    @property
    def sha256(self) -> str:
        """The SHA-256 of the finished blob, in hex."""
        assert self._sha256, "finish() comes first"
        return self._sha256

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Add bytes; how many.

        Raises:
            StorageFull, BlobStoreUnavailable: they cannot be kept.
            ValueError: the blob is finished.
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
        """All bytes are written: their SHA-256 in hex. Closes the file: many blobs may wait for their commit.

        Raises:
            StorageFull, BlobStoreUnavailable: what was written could not be kept after all.
        """
        if not self._sha256:
            try:
                self._close()
            except OSError as error:
                raise storage_error(error) from error
            self._sha256 = self._digest.hexdigest()
        return self._sha256

    def abort(self) -> None:
        """Remove the file. Harmless after `commit`, whose blob stays, and a second time."""
        # What cannot be removed now is removed by the next start.
        with suppress(OSError):
            self._close()
        with suppress(OSError):
            os.unlink(self.path)  # noqa: PTH108 (`Path` would cost as much as the call)

    def _close(self) -> None:
        if self._file >= 0:
            file, self._file = self._file, -1
            os.close(file)
