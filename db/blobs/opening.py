"""The one place where a blob store is made."""

from __future__ import annotations

import shutil

from core.settings import Settings
from db.blobs.local import LocalBlobStore
from db.blobs.store import BlobStore


def open_blob_store(settings: Settings) -> BlobStore:
    """The store that the settings name. Nothing needs to answer yet."""
    if not settings.blobs:
        return LocalBlobStore(settings.blobs_folder)
    # Not at the top: what is not used need not be loaded by every decoder process.
    from db.blobs.s3 import S3BlobStore

    return S3BlobStore(settings.blobs, settings.spool_folder)


def remove_unfinished_uploads(settings: Settings) -> None:
    """Remove what uploads left that were cut off. Only while nobody else works on the data folder."""
    shutil.rmtree(settings.spool_folder, ignore_errors=True)
