"""Read a source entry by entry: the members of an archive or the rows of a manifest become new items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Self

from core.fetching import Fetcher
from core.fetching.urls import MAX_URL, parse_url
from core.item_errors import EmptyFile, ItemError, SourceEnded
from core.settings import Settings
from core.sources.archives import HEAD_BYTES, ArchiveLimits, Member, archive_members, is_read_in_order
from core.sources.manifests import Columns, Row, manifest_rows, with_row_number
from core.sources.names import is_other_file
from core.sources.picture_lists import PictureList
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
    manifest_bytes: int
    spool: Path

    @classmethod
    def of(cls, settings: Settings) -> Self:
        archive = ArchiveLimits(settings.max_source_items, settings.max_picture_bytes, settings.max_unpacked_bytes)
        return cls(archive, settings.max_manifest_bytes, settings.spool_folder)


@dataclass(frozen=True, slots=True)
class FoundItem:
    """A new item that was read from a source. If it has bytes, they are complete, but not in the blob store yet."""

    item: NewItem
    writer: BlobWriter | None = None


class LeftOut(Enum):
    """A file of an archive that is no picture. It is counted and becomes no item."""

    FILE = "file"


Entry = Callable[[], FoundItem | LeftOut | None]
"""Reads one member or row. Returns None for a folder or an empty row. An entry that is not called costs little."""


@dataclass(frozen=True, slots=True)
class OpenSource:
    """The entries of a source, and what the columns of its table mean that have been read so far."""

    entries: Iterator[Entry]
    columns: dict[str, str]


@contextmanager
def open_source(blobs: BlobStore, fetcher: Fetcher, source: LeasedSource, limits: SourceLimits) -> Iterator[OpenSource]:
    """Yield the entries of a source, in the same order in every reading.

    Their iterator and each entry raise `SourceEnded` at the place where the source cannot be read any further.
    """
    with ExitStack() as stack:
        blobs.check(source.sha256)
        file = stack.enter_context(blobs.open(source.sha256))
        if source.source is JobSource.MANIFEST:
            columns = Columns(source.columns)
            found = manifest_rows(file, limits.archive.members, columns, limits.manifest_bytes)
            rows = stack.enter_context(closing(found))
            yield OpenSource((partial(_read_row, fetcher, row) for row in rows), columns.understood)
            return
        head = file.read(HEAD_BYTES)
        file.seek(0)
        if blobs.is_remote and not is_read_in_order(head):
            # A ZIP reader seeks to each member, and each seek in a bucket is a request. A local copy has no such cost.
            file = _copy_to_disk(file, limits.spool, stack)
        pictures = _read_lists(file, source, limits.archive)
        yield OpenSource(_members(blobs, file, limits.archive, pictures), pictures.columns)


def _read_lists(file: IO[bytes], source: LeasedSource, limits: ArchiveLimits) -> PictureList:
    """Return what the tables of an archive say about its pictures. They may stand behind the pictures."""
    try:
        members = archive_members(file, limits)
    except SourceEnded:
        members = iter(())
    return PictureList.read(members, source.columns, limits.members)


def _members(blobs: BlobStore, file: IO[bytes], limits: ArchiveLimits, pictures: PictureList) -> Iterator[Entry]:
    file.seek(0)
    for member in archive_members(file, limits):
        yield partial(_read_member, blobs, member, pictures)


def _read_member(blobs: BlobStore, member: Member, pictures: PictureList) -> FoundItem | LeftOut | None:
    """Return a member as an item, with its bytes in a writer of the blob store."""
    if member.error is not None:
        return FoundItem(_item(member, pictures, error=member.error))
    if member.pieces is None:
        return LeftOut.FILE if member.left_out else None
    writer = blobs.writer()
    is_first = True
    try:
        for piece in member.pieces():
            if is_first and is_other_file(member.name, piece):
                writer.abort()
                return LeftOut.FILE
            is_first = False
            writer.write(piece)
        blob = StoredBlob(writer.finish(), writer.bytes_written)
    except ItemError as error:
        writer.abort()
        if isinstance(error, EmptyFile) and is_other_file(member.name, b""):
            return LeftOut.FILE
        return FoundItem(_item(member, pictures, error=error))
    except BaseException:
        writer.abort()
        raise
    return FoundItem(_item(member, pictures, blob), writer)


def _item(
    member: Member, pictures: PictureList, blob: StoredBlob | None = None, error: ItemError | None = None
) -> NewItem:
    """Return the item of a member, with what the tables of the archive say about it."""
    row = pictures.find(member.name)
    if row is None:
        return NewItem(member.name, blob, error=error)
    error = error or row.error
    return NewItem(
        member.name,
        None if error else blob,
        row.crop,
        error,
        row.custom_id,
        provenance=row.provenance or None,
        details=row.details or None,
        regions=row.regions,
    )


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
