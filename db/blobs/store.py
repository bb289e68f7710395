"""The blob store: bytes under their SHA-256. Names are made of digests only, never of a user's text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import IO, ClassVar, Protocol

from db.blobs.spool import BlobWriter

THUMBNAIL = "thumbnail.jpg"
"""The name of a blob's thumbnail beside it."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DERIVED = re.compile(r"[a-z0-9_]+\.[a-z]+")


class BlobStore(Protocol):
    """Where blobs are kept. One object serves all threads of a process, and pickles into others.

    Storing is four steps, so that thousands of blobs share what each would pay alone: `writer` for each, `commit` of
    them together, the transaction with the rows that refer to them, `ensure`. The last is what makes deleting safe:
    whoever deletes a blob does so inside a transaction that removes its row, so it may delete what a `commit` has just
    found in the store; after the rows are committed nobody deletes it any more, and what is gone is put again.

    Raises (every method that reads or writes):
        BlobStoreUnavailable: the store does not answer.
        StorageFull: there is no room, here or in the store.
        ValueError: what should be a SHA-256 is not 64 hexadecimal digits.
    """

    is_remote: ClassVar[bool]
    """Whether each call is a request over the network. Seeking in a blob then costs one request for each place."""
    max_call_seconds: ClassVar[float]
    """The longest time that one call takes before it raises `BlobStoreUnavailable`, in seconds. 0 for a local folder,
    which answers at once."""

    def writer(self) -> BlobWriter:
        """Bytes on their way into the store. Its user aborts it in the end, whatever became of it."""
        ...

    def commit(self, writers: Sequence[BlobWriter]) -> None:
        """Make finished blobs durable under their digests; those that are there already are `found`."""
        ...

    def ensure(self, writers: Sequence[BlobWriter]) -> None:
        """Put again what was committed here and deleted before the rows that refer to it were committed."""
        ...

    def put(self, data: bytes) -> str:
        """Store one blob; its SHA-256 in hex."""
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

    def read_all(self, sha256s: Sequence[str]) -> Iterator[bytes]:
        """Whole blobs in the order given, fetched at the same time where fetching takes time.

        Raises:
            BlobMissing: one is not in the store.
        """
        ...

    def read_derived(self, sha256: str, name: str) -> bytes | None:
        """What was made of a blob and can be made again, such as its thumbnail; None if it is not there yet."""
        ...

    def put_derived(self, sha256: str, name: str, data: bytes) -> None:
        """Keep what was made of a blob; of one that was deleted meanwhile nothing is kept."""
        ...

    def delete(self, sha256s: Sequence[str]) -> None:
        """Remove blobs, and whatever was made of them. Those that are not there are none the worse."""
        ...

    def ping(self) -> None:
        """One round trip.

        Raises:
            BlobStoreUnavailable: the store does not answer.
        """
        ...


def explanation_name(prediction_id: str) -> str:
    """The name of a prediction's heat map beside its blob."""
    return f"{prediction_id}.png"


def checked_sha256(sha256: str) -> str:
    """`sha256` itself.

    Raises:
        ValueError: it is not 64 hexadecimal digits.
    """
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"expected a SHA-256 of 64 hexadecimal digits, got {sha256!r}")
    return sha256


def checked_name(name: str) -> str:
    """`name` itself, of something derived.

    Raises:
        ValueError: it is not one that could be.
    """
    if not _DERIVED.fullmatch(name):
        raise ValueError(f"expected a name of lower-case letters, digits, _ and one dot, got {name!r}")
    return name
