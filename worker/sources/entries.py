"""Read a source entry by entry: the members of an archive or the rows of a manifest become new items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Self

from core.errors import ItemError
from core.fetching import Fetcher
from core.fetching.urls import MAX_URL, parse_url
from core.settings import Settings
from core.sources.archives import HEAD_BYTES, ArchiveLimits, Member, archive_members, is_read_in_order
from core.sources.manifests import Row, manifest_rows, with_row_number
from db.blobs.spool import BlobWriter, storage_error
from db.blobs.store import BlobStore
from db.steps.discoveries import LeasedSource
from db.steps.submitting import NewItem, StoredBlob
from db.tables import JobSource

_COPY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """How much of a source is read, and the folder for a local copy of a source in which the reader has to seek."""

    archive: ArchiveLimits
    spool: Path

    @classmethod
    def of(cls, settings: Settings) -> Self:
        archive = ArchiveLimits(settings.max_source_items, settings.max_picture_bytes, settings.max_unpacked_bytes)
        return cls(archive, settings.spool_folder)


@dataclass(frozen=True, slots=True)
class FoundItem:
    """A new item that was read from a source. If it has bytes, they are complete, but not in the blob store yet."""

    item: NewItem
    writer: BlobWriter | None = None


Entry = Callable[[], FoundItem | None]
"""Reads one member or row. Returns None for one that is skipped. An entry that is not called costs little."""


@contextmanager
def open_source(
    blobs: BlobStore, fetcher: Fetcher, source: LeasedSource, limits: SourceLimits
) -> Iterator[Iterator[Entry]]:
    """Yield the entries of a source, in the same order in every reading.

    The iterator and each entry raise `SourceEnded` at the place where the source cannot be read any further.
    """
    with ExitStack() as stack:
        file = stack.enter_context(blobs.open(source.sha256))
        if source.source is JobSource.MANIFEST:
            rows = stack.enter_context(closing(manifest_rows(file, limits.archive.members)))
            yield (partial(_read_row, fetcher, row) for row in rows)
            return
        head = file.read(HEAD_BYTES)
        file.seek(0)
        if blobs.is_remote and not is_read_in_order(head):
            # A ZIP reader seeks to each member, and each seek in a bucket is a request. A local copy has no such cost.
            file = _copy_to_disk(file, limits.spool, stack)
        yield _members(blobs, file, limits.archive)


def _members(blobs: BlobStore, file: IO[bytes], limits: ArchiveLimits) -> Iterator[Entry]:
    for member in archive_members(file, limits):
        yield partial(_read_member, blobs, member)


def _read_member(blobs: BlobStore, member: Member) -> FoundItem | None:
    """Return a member as an item, with its bytes in a writer of the blob store."""
    if member.error is not None:
        return FoundItem(NewItem(member.name, None, error=member.error))
    if member.pieces is None:
        return None
    writer = blobs.writer()
    try:
        for piece in member.pieces():
            writer.write(piece)
        blob = StoredBlob(writer.finish(), writer.bytes_written)
    except ItemError as error:
        writer.abort()
        return FoundItem(NewItem(member.name, None, error=error))
    except BaseException:
        writer.abort()
        raise
    return FoundItem(NewItem(member.name, blob), writer)


def _read_row(fetcher: Fetcher, row: Row | None) -> FoundItem | None:
    """Return a row as an item. If its URL may never be fetched, the item has that error already."""
    if row is None:
        return None
    name, url, error = f"row {row.number}", row.url[:MAX_URL] or None, row.error
    if error is None:
        try:
            target = parse_url(row.url)
            name = target.name
            fetcher.check_without_lookup(target)
        except ItemError as refused:
            error = with_row_number(row.number, refused)
    return FoundItem(
        NewItem(
            name,
            None,
            row.crop,
            error,
            row.custom_id,
            url,
            row.provenance or None,
            row.details or None,
            regions=row.regions,
        )
    )


def _copy_to_disk(file: IO[bytes], folder: Path, stack: ExitStack) -> IO[bytes]:
    """Return a copy of a file on this machine. It is removed when `stack` is left.

    Raises:
        StorageFull: the disk has no room for the copy.
        BlobStoreUnavailable: the file cannot be read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        copy = stack.enter_context(TemporaryFile(dir=folder))  # noqa: SIM115 (the stack closes it)
        copyfileobj(file, copy, _COPY_BYTES)
    except OSError as error:
        raise storage_error(error) from error
    copy.seek(0)
    return copy
