from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from core.errors import BlobMissing
from db.blob_store import THUMBNAIL, LocalBlobStore


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


def files(store: LocalBlobStore) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


def test_bytes_are_kept_under_their_sha256(store: LocalBlobStore) -> None:
    sha256 = store.put(b"picture")
    assert sha256 == hashlib.sha256(b"picture").hexdigest()
    assert store.read(sha256) == b"picture"


def test_the_same_bytes_twice_are_one_file(store: LocalBlobStore) -> None:
    assert store.put(b"picture") == store.put(b"picture")
    assert len(files(store)) == 1


def test_nothing_is_in_the_store_before_commit_and_nothing_is_left_after_abort(store: LocalBlobStore) -> None:
    writer = store.writer()
    writer.write(b"half a pic")
    with pytest.raises(BlobMissing):
        store.read(hashlib.sha256(b"half a pic").hexdigest())
    writer.abort()
    writer.abort()
    assert files(store) == []


def test_abort_after_commit_is_harmless(store: LocalBlobStore) -> None:
    writer = store.writer()
    writer.write(b"picture")
    sha256 = writer.commit()
    writer.abort()
    assert store.read(sha256) == b"picture"


def test_a_finished_write_holds_no_file_open(store: LocalBlobStore) -> None:
    writer = store.writer()
    writer.write(b"picture")
    writer.finish()
    with pytest.raises(ValueError, match="closed"):
        writer.write(b"more")
    assert store.read(writer.commit()) == b"picture"


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "/.."])
def test_only_digests_are_names(store: LocalBlobStore, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        store.read(name)


def test_thumbnails_lie_beside_their_blobs(store: LocalBlobStore) -> None:
    sha256 = store.put(b"picture")
    assert store.read_derived(sha256, THUMBNAIL) is None
    store.put_derived(sha256, THUMBNAIL, b"small")
    assert store.read_derived(sha256, THUMBNAIL) == b"small"
    assert store.read(sha256) == b"picture"
