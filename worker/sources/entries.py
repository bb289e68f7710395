"""What the expander reads from: the members of an archive, or the rows of a manifest, as items to be."""

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

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """How much of a source is read, and where it is put if it must be sought in."""

    archive: ArchiveLimits
    spool: Path

    @classmethod
    def of(cls, settings: Settings) -> Self:
        archive = ArchiveLimits(settings.max_source_items, settings.max_picture_bytes, settings.max_unpacked_bytes)
        return cls(archive, settings.spool_folder)


@dataclass(frozen=True, slots=True)
class Found:
    """An item to be; its bytes, if it came with any, are finished, but not in the store."""

    item: NewItem
    writer: BlobWriter | None = None


Entry = Callable[[], Found | None]
"""Reads one member or row; None if it is passed over. Not calling it costs little."""


@contextmanager
def open_source(
    blobs: BlobStore, fetcher: Fetcher, taken: LeasedSource, limits: SourceLimits
) -> Iterator[Iterator[Entry]]:
    """The entries of a source, the same in every reading of it.

    They, and calling one of them, raise `SourceEnded` where the source cannot be read any further.
    """
    with ExitStack() as stack:
        file = stack.enter_context(blobs.open(taken.sha256))
        if taken.source is JobSource.MANIFEST:
            rows = stack.enter_context(closing(manifest_rows(file, limits.archive.members)))
            yield (partial(_found, fetcher, row) for row in rows)
            return
        head = file.read(HEAD_BYTES)
        file.seek(0)
        if blobs.is_remote and not is_read_in_order(head):
            # A ZIP reader seeks to each member, and each seek in a bucket is a request. A local copy has no such cost.
            file = _spooled(file, limits.spool, stack)
        yield _members(blobs, file, limits.archive)


def _members(blobs: BlobStore, file: IO[bytes], limits: ArchiveLimits) -> Iterator[Entry]:
    for member in archive_members(file, limits):
        yield partial(_store, blobs, member)


def _store(blobs: BlobStore, member: Member) -> Found | None:
    if member.error is not None:
        return Found(NewItem(member.name, None, error=member.error))
    if member.pieces is None:
        return None
    writer = blobs.writer()
    try:
        for piece in member.pieces():
            writer.write(piece)
        blob = StoredBlob(writer.finish(), writer.bytes_written)
    except ItemError as error:
        writer.abort()
        return Found(NewItem(member.name, None, error=error))
    except BaseException:
        writer.abort()
        raise
    return Found(NewItem(member.name, blob), writer)


def _found(fetcher: Fetcher, row: Row | None) -> Found | None:
    """A row as an item; one whose URL will never be fetched has its error already."""
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
    return Found(NewItem(name, None, row.crop, error, row.custom_id, url, row.provenance or None, row.details or None))


def _spooled(file: IO[bytes], folder: Path, stack: ExitStack) -> IO[bytes]:
    """A copy on this machine, gone with the block.

    Raises:
        StorageFull, BlobStoreUnavailable: there is no room for it, or it cannot be read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        copy = stack.enter_context(TemporaryFile(dir=folder))  # noqa: SIM115 (the stack closes it)
        copyfileobj(file, copy, _BLOCK)
    except OSError as error:
        raise storage_error(error) from error
    copy.seek(0)
    return copy
