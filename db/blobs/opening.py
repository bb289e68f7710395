"""Open the blob store that the settings name."""

from __future__ import annotations

import shutil

from core.settings import Settings
from db.blobs.local import LocalBlobStore
from db.blobs.store import BlobStore


def open_blob_store(settings: Settings) -> BlobStore:
    """Return the blob store that the settings name. A bucket is not asked anything yet."""
    if not settings.blobs:
        return LocalBlobStore(settings.blobs_folder)
    return open_bucket(settings)


def open_bucket(settings: Settings, prefix: str = "") -> BlobStore:
    """Return the store in the bucket of the settings, or a separate one under a further prefix."""
    # Imported here, because otherwise every decoder process would load the S3 client even if it is not used.
    from db.blobs.s3 import S3BlobStore

    url = f"{settings.blobs}/{prefix}" if prefix else settings.blobs
    return S3BlobStore(url, settings.spool_folder, settings.s3_secret_key)


def remove_unfinished_uploads(settings: Settings) -> None:
    """Remove the files that interrupted uploads left. Call it only while no other process uses the data folder."""
    shutil.rmtree(settings.spool_folder, ignore_errors=True)
