"""The interface of a blob store: bytes under their SHA-256. Names are made of digests, never of a user's text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import IO, ClassVar, Protocol

import structlog

from core.errors import BlobDamaged
from db.blobs.spool import BlobWriter

log = structlog.get_logger(__name__)

WHOLE_JPEG = "whole.jpg"
"""The name of the whole picture as a JPEG among a blob's derived files."""
DAMAGED = "damaged"
"""The folder of a store with the bytes that were set aside, each under the SHA-256 that it should have."""
THUMBNAIL = "thumbnail.jpg"
"""The name of a blob's thumbnail among its derived files."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DERIVED = re.compile(r"[a-z0-9_]+\.[a-z]+")


class BlobStore(Protocol):
    """The place where blobs are kept. One object serves all threads of a process. It can be pickled for others.

    Blobs are stored in four steps, so that thousands of blobs share the cost of syncing and of the transaction:

    1. A `writer` for each blob takes its bytes.
    2. `commit` puts all of them into the store.
    3. A database transaction inserts the rows that refer to them.
    4. `ensure` puts those again that were deleted between steps 2 and 3.

    Step 4 is needed because a blob is deleted inside a transaction that removes its row. That transaction can delete a
    blob that step 2 has just found in the store. After step 3 the row protects the blob.

    Raises (every method that reads or writes):
        BlobStoreUnavailable: The store does not answer.
        StorageFull: The store or this machine has no room.
        ValueError: A SHA-256 does not consist of 64 hexadecimal digits.
    """

    is_remote: ClassVar[bool]
    """Whether each call is a request over the network. Seeking in a blob then costs one request for each place."""
    max_call_seconds: ClassVar[float]
    """The longest time that one call takes before it raises `BlobStoreUnavailable`, in seconds. 0 for a local folder,
    which answers at once."""

    def writer(self) -> BlobWriter:
        """Open a new blob for writing. The caller calls `abort` in the end, also after a success."""
        ...

    def commit(self, writers: Sequence[BlobWriter]) -> None:
        """Put finished blobs into the store and make them durable. Blobs that exist already are marked as `found`.

        The bytes of a found blob are checked. Damaged ones are set aside, and the new ones take their place.
        """
        ...

    def ensure(self, writers: Sequence[BlobWriter]) -> None:
        """Put those blobs again that were deleted after `commit` and before their rows were committed."""
        ...

    def put(self, data: bytes) -> str:
        """Store one blob and return its SHA-256 in hex."""
        ...

    def open(self, sha256: str) -> IO[bytes]:
        """Open a blob for reading. Its bytes are not checked: see `check`.

        Raises:
            BlobMissing: The blob is not in the store.
        """
        ...

    def presigned_url(self, sha256: str, life: timedelta) -> str | None:
        """Return a URL at which everyone can read a blob from the store for a while. None: the store has no such URLs.

        The store is not asked whether it has the blob.
        """
        ...

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a blob, which have its SHA-256.

        Raises:
            BlobMissing: The blob is not in the store.
            BlobDamaged: Its bytes have another SHA-256, and are set aside.
        """
        ...

    def read_all(self, sha256s: Sequence[str]) -> Iterator[bytes]:
        """Return the bytes of several blobs in the given order. A remote store fetches them at the same time.

        Raises:
            BlobMissing: A blob is not in the store.
            BlobDamaged: The bytes of a blob have another SHA-256, and are set aside.
        """
        ...

    def check(self, sha256: str) -> None:
        """Read a blob, of any size, and compare its bytes with its SHA-256.

        Raises:
            BlobMissing: The blob is not in the store.
            BlobDamaged: Its bytes have another SHA-256, and are set aside.
        """
        ...

    def read_derived(self, sha256: str, name: str) -> bytes | None:
        """Return a file that was made from a blob and can be made again, such as its thumbnail, or None."""
        ...

    def put_derived(self, sha256: str, name: str, data: bytes) -> None:
        """Store a file that was made from a blob. If the blob was deleted meanwhile, nothing is stored."""
        ...

    def delete(self, sha256s: Sequence[str]) -> None:
        """Remove blobs and all files that were made from them. Blobs that do not exist are ignored."""
        ...

    def ping(self) -> None:
        """Make one round trip to the store. A local store writes a small file and removes it.

        Raises:
            BlobStoreUnavailable: The store does not answer.
            StorageFull: A local store has no room.
        """
        ...


def damaged_error(sha256: str) -> BlobDamaged:
    """Return the error about a blob that has been set aside."""
    log.error("blob_damaged", sha256=sha256)
    return BlobDamaged(f"the bytes of blob {sha256} had another SHA-256 and were set aside in {DAMAGED}/")


def explanation_name(prediction_id: str) -> str:
    """Return the name of a prediction's heat map among the derived files of its blob."""
    return f"{prediction_id}.png"


def checked_sha256(sha256: str) -> str:
    """Return `sha256` unchanged.

    Raises:
        ValueError: It does not consist of 64 hexadecimal digits.
    """
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"expected a SHA-256 of 64 hexadecimal digits, got {sha256!r}")
    return sha256


def checked_name(name: str) -> str:
    """Return `name`, the name of a derived file, unchanged.

    Raises:
        ValueError: It contains other characters than such a name may.
    """
    if not _DERIVED.fullmatch(name):
        raise ValueError(f"expected a name of lower-case letters, digits, _ and one dot, got {name!r}")
    return name
